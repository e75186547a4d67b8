"""The names that metrics had in files of earlier versions, told apart here alone.

A name says whose first and then what: `train_loss`, `generator_loss`, `noise_entropy`.
"""

from collections.abc import Mapping
from typing import TypeVar

Value = TypeVar("Value")

NOW = {
    "loss_discriminator": "discriminator_loss",
    "loss_generator": "generator_loss",
    "error_naive": "naive_error",
    "error_shifted": "shifted_error",
    "stored_error_naive": "naive_stored_error",
    "stored_error_shifted": "shifted_stored_error",
    "nan_naive": "naive_nan",
    "nan_shifted": "shifted_nan",
    "inf_naive": "naive_inf",
    "inf_shifted": "shifted_inf",
}
FIRST = {now: first for first, now in NOW.items()}


def now(row: dict[str, Value]) -> dict[str, Value]:
    """Return what a file holds under the names of today."""
    if NOW.keys().isdisjoint(row):
        return row
    return {NOW.get(name, name): value for name, value in row.items()}


def first(row: Mapping[str, Value]) -> dict[str, Value]:
    """Return a row under the names that its metrics had first, for what must outlast a renaming."""
    return {FIRST.get(name, name): value for name, value in row.items()}
