"""The columns: each one's label with its unit, and the range that its values can take."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from hw5hpc.report.ends import ENDS
from hw5hpc.report.statistics import ANYWHERE, Range, finite
from hw5hpc.report.tables import Tables

SHARE: Range = (0.0, 1.0)
POSITIVE: Range = (0.0, math.inf)
# Rounding may put an entropy of 0 just below it.
SLACK = 1e-9


def _classes(tables: Tables) -> Range:
    return 0.0, float(tables.classes)


def _entropy(tables: Tables) -> Range:
    return 0.0, math.log(tables.classes)


def _variation(tables: Tables) -> Range:
    return 0.0, 1 - 1 / tables.classes


def _modes(tables: Tables) -> Range:
    return 0.0, tables.largest("ring.modes", 8)


def _entropy_of_modes(tables: Tables) -> Range:
    return 0.0, math.log(max(tables.largest("ring.modes", 8), 2))


@dataclass(frozen=True)
class Column:
    """A column's label, and its range: no interval is drawn or told outside it."""

    label: str
    range: Range | Callable[[Tables], Range] = ANYWHERE

    def possible(self, tables: Tables) -> Range:
        return self.range(tables) if callable(self.range) else self.range


COLUMNS: dict[str, Column] = {
    "epoch": Column("epoch"),
    "step": Column("training step"),
    "seconds": Column("seconds", POSITIVE),
    "train_seconds": Column("training time (s)", POSITIVE),
    "step_ms": Column("time of a step (ms)", POSITIVE),
    "gpu_hours": Column("gpu_hours", POSITIVE),
    "train_loss": Column("training loss (nats)", POSITIVE),
    "train_accuracy": Column("training accuracy (share)", SHARE),
    "test_loss": Column("test loss (nats)", POSITIVE),
    "test_accuracy": Column("test accuracy (share)", SHARE),
    "generator_loss": Column("generator loss (nats)", POSITIVE),
    "discriminator_loss": Column("discriminator loss (nats)", POSITIVE),
    "classes_covered": Column("classes covered (count)", _classes),
    "entropy": Column("label entropy (nats)", _entropy),
    "total_variation": Column("total variation from uniform (0 to 1)", _variation),
    "kl_uniform": Column("KL from uniform (nats)", _entropy),
    "steps_to_cover": Column("steps until all stay covered", POSITIVE),
    "classifier_accuracy": Column("classifier's test accuracy (share)", SHARE),
    "frechet_distance": Column("Fréchet distance (squared)", POSITIVE),
    "precision": Column("precision (share of samples)", SHARE),
    "recall": Column("recall (share of real images)", SHARE),
    "density": Column("density (real images: near 1)", POSITIVE),
    "coverage": Column("coverage (share of real images)", SHARE),
    "diversity": Column("diversity within a class (relative)", POSITIVE),
    "near_duplicates": Column("near-duplicates (share of samples)", SHARE),
    "modes_covered": Column("modes covered (count)", _modes),
    "high_quality_share": Column("high-quality samples (share)", SHARE),
    "kl_modes": Column("KL over modes (nats)", _entropy_of_modes),
    "naive_error": Column("largest absolute error, naive", POSITIVE),
    "shifted_error": Column("largest absolute error, shifted", POSITIVE),
    "naive_stored_error": Column("largest error on the stored inputs, naive", POSITIVE),
    "shifted_stored_error": Column("largest error on the stored inputs, shifted", POSITIVE),
    "naive_nan": Column("NaN outputs, naive (count)", POSITIVE),
    "shifted_nan": Column("NaN outputs, shifted (count)", POSITIVE),
    "naive_inf": Column("infinite outputs, naive (count)", POSITIVE),
    "shifted_inf": Column("infinite outputs, shifted (count)", POSITIVE),
    "share": Column("share of samples", SHARE),
    "seed": Column("seed"),
    "gan.objective": Column("generator's objective"),
    "gan.unroll_steps": Column("unrolled discriminator steps"),
    "model.batch_norm": Column("batch norm"),
    "model.batch_norm_momentum": Column("batch norm's momentum"),
    "model.batch_norm_eps": Column("batch norm's epsilon"),
    "optim.lr": Column("learning rate"),
    "optim.lr_discriminator": Column("discriminator's learning rate"),
    "optim.beta1": Column("Adam's first beta"),
    "optim.beta2": Column("Adam's second beta"),
    "optim.eps": Column("Adam's epsilon"),
    "softmax.offset": Column("offset added to every input"),
    "softmax.dtype": Column("number format"),
}


def label(key: str) -> str:
    """Return an axis label with its unit; an unlisted key stands for itself."""
    return COLUMNS[key].label if key in COLUMNS else key


def possible(tables: Tables, column: str) -> Range:
    """Return the range that a column can take, unbounded when nothing is known of it.

    A value that was measured outside shows that the range is not this column's (the generator's
    loss is negative where its objective is minus the discriminator's), so then there is none.
    """
    row = COLUMNS.get(column) or COLUMNS.get(_measure(column))
    low, high = row.possible(tables) if row else ANYWHERE
    measured = [finite(_values(frame, column)) for frame in (tables.results, tables.curves)]
    kept = all(((one >= low - SLACK) & (one <= high + SLACK)).all() for one in measured)
    return (low, high) if kept else ANYWHERE


def _measure(column: str) -> str:
    """The measure itself of one that was taken on an end of its scale instead of the samples."""
    found = [column.removeprefix(prefix) for prefix in ENDS if column.startswith(prefix)]
    return found[0] if found else column


def _values(frame: pd.DataFrame, column: str) -> "pd.Series[float]":
    return frame[column].astype(float) if column in frame else pd.Series(dtype=float)
