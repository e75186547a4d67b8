"""Settings, their values and data sets in words."""

from collections.abc import Sequence
from typing import Any

from hw5hpc.data.sets import DATA_SETS
from hw5hpc.report.columns import label
from hw5hpc.report.numbers import power
from hw5hpc.report.tables import Setting, Tables

# A longer name of a class would leave no room for what it names, in letters.
LONGEST = 20

DATA_TITLES = {name: images.title for name, images in DATA_SETS.items()}


def value_name(key: str, value: Any) -> str:
    """Return one setting's value in words."""
    if key == "gan.unroll_steps":
        return f"{value} unrolled step{'' if value == 1 else 's'}"
    if key == "gan.objective":
        return f"{str(value).replace('_', '-')} objective"
    if key == "model.batch_norm":
        return "with batch norm" if value else "without batch norm"
    if key == "model.batch_norm_placement":
        return f"batch norm {str(value).replace('_relu', ' ReLU')}"
    text = power(value) if isinstance(value, float) else str(value)
    return f"{label(key)} {text}"


def classes(tables: Tables, count: int) -> list[str]:
    """Return what stands beside each of `count` classes: its name, cut to LONGEST, or its index."""
    if len(tables.class_names) != count:
        return [str(index) for index in range(count)]
    return [name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
            for name in tables.class_names]  # fmt: skip


def setting_name(tables: Tables, setting: Setting) -> str:
    """Return a setting in words."""
    pairs = zip(tables.settings, setting, strict=True)
    return ", ".join(value_name(key, value) for key, value in pairs) or "all runs"


def difference_name(tables: Tables, base: Setting, setting: Setting) -> str:
    """Return in words what of a setting differs from another one."""
    pairs = zip(tables.settings, setting, base, strict=True)
    return ", ".join(value_name(key, value) for key, value, other in pairs if value != other)


def seeds(lowest: int, highest: int) -> str:
    """Return how many seeds stand behind a mean; a single one is called so."""
    if highest == 0:
        return "no values"
    if lowest != highest:
        return f"n = {lowest} to {highest} seeds"
    return "single seed" if highest == 1 else f"n = {highest} seeds"


def described(tables: Tables, setting: Setting, counts: Sequence[int]) -> str:
    """Return the setting in words, its n, and its diverged runs."""
    words = seeds(min(counts, default=0), max(counts, default=0))
    diverged = tables.count(setting, "diverged")
    lost = f", {diverged} diverged (×)" if diverged else ""
    return f"{setting_name(tables, setting)} ({words}{lost})"
