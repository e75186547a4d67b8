"""The range that each measured column can take; no interval is drawn or told outside it."""

import math

import pandas as pd

from hw5hpc.report.statistics import ANYWHERE, Range, finite
from hw5hpc.report.tables import Tables

SHARE: Range = (0.0, 1.0)
POSITIVE: Range = (0.0, math.inf)
# The same measures, taken on something else than the samples.
PREFIXES = ("classifier_", "real_", "noise_")
# Rounding may put an entropy of 0 just below it.
SLACK = 1e-9


def _ranges(classes: int, modes: float) -> dict[str, Range]:
    return {
        "train_loss": POSITIVE,
        "test_loss": POSITIVE,
        "discriminator_loss": POSITIVE,
        "generator_loss": POSITIVE,
        "train_accuracy": SHARE,
        "test_accuracy": SHARE,
        "accuracy": SHARE,
        "classes_covered": (0.0, float(classes)),
        "entropy": (0.0, math.log(classes)),
        "total_variation": (0.0, 1 - 1 / classes),
        "kl_uniform": (0.0, math.log(classes)),
        "frechet_distance": POSITIVE,
        "precision": SHARE,
        "recall": SHARE,
        "density": POSITIVE,
        "coverage": SHARE,
        "diversity": POSITIVE,
        "near_duplicates": SHARE,
        "modes_covered": (0.0, modes),
        "high_quality_share": SHARE,
        "kl_modes": (0.0, math.log(max(modes, 2))),
        "steps_to_cover": POSITIVE,
        "naive_error": POSITIVE,
        "shifted_error": POSITIVE,
        "naive_stored_error": POSITIVE,
        "shifted_stored_error": POSITIVE,
        "naive_nan": POSITIVE,
        "shifted_nan": POSITIVE,
        "naive_inf": POSITIVE,
        "shifted_inf": POSITIVE,
        "seconds": POSITIVE,
        "train_seconds": POSITIVE,
        "step_ms": POSITIVE,
        "gpu_hours": POSITIVE,
    }


def possible(tables: Tables, column: str) -> Range:
    """Return the range that a column can take, unbounded when nothing is known of it.

    A value that was measured outside shows that the range is not this column's (the generator's
    loss is negative where its objective is minus the discriminator's), so then there is none.
    """
    ranges = _ranges(tables.classes, tables.largest("ring.modes", 8))
    low, high = ranges.get(column) or ranges.get(_bare(column)) or ANYWHERE
    measured = [finite(_column(frame, column)) for frame in (tables.results, tables.curves)]
    kept = all(((one >= low - SLACK) & (one <= high + SLACK)).all() for one in measured)
    return (low, high) if kept else ANYWHERE


def _bare(column: str) -> str:
    found = [column.removeprefix(prefix) for prefix in PREFIXES if column.startswith(prefix)]
    return found[0] if found else column


def _column(frame: pd.DataFrame, column: str) -> "pd.Series[float]":
    return frame[column].astype(float) if column in frame else pd.Series(dtype=float)
