"""The two ends of a measure's scale: its values for real images and for noise."""

from hw5hpc.report.tables import Tables

# {prefix of a column: whose values it holds}
ENDS = {"real_": "real images", "noise_": "noise images"}


def level(tables: Tables, name: str) -> float | None:
    """Return the mean over all runs of a column that holds one end, None when no run has it."""
    values = tables.results[name].dropna() if name in tables.results else ()
    return float(sum(values) / len(values)) if len(values) else None
