"""Draw the two ends of a measure's scale: its values for real images and for noise."""

from matplotlib.axes import Axes

from hw5hpc.report import style
from hw5hpc.report.tables import Tables

# {prefix of a column: whose values it holds}
ENDS = {"real_": "real images", "noise_": "noise images"}


def level(tables: Tables, name: str) -> float | None:
    """Return the mean over all runs of a column that holds one end, None when no run has it."""
    values = tables.results[name].dropna() if name in tables.results else ()
    return float(sum(values) / len(values)) if len(values) else None


def draw(axes: Axes, tables: Tables, column: str) -> None:
    """Draw the ends as dotted lines, named on the right, outside of the data.

    The upper one's name stands above its line and the lower one's below, so they never collide.
    """
    found = {words: level(tables, prefix + column) for prefix, words in ENDS.items()}
    ends = sorted((at, words) for words, at in found.items() if at is not None)
    for index, (at, words) in enumerate(ends):
        axes.axhline(at, color=style.GREY, linestyle=":", linewidth=1.2)
        side = "bottom" if index == len(ends) - 1 else "top"
        axes.annotate(words.split()[0], (1, at), xycoords=("axes fraction", "data"),
                      xytext=(3, 0), textcoords="offset points", ha="left", va=side, fontsize=8,
                      color=style.GREY)  # fmt: skip
