"""The softmax experiment: what an offset does in each number format."""

import math

import pytest
import torch

from hw5hpc.experiments import rebuild
from hw5hpc.experiments.softmax.train import SoftmaxShift


def measure(dtype: str, offset: float) -> dict[str, float]:
    config = rebuild("softmax", {"softmax.dtype": dtype, "softmax.offset": offset})
    return SoftmaxShift(config, torch.device("cpu"), {}).evaluate(1).metrics


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_both_are_right_without_an_offset(dtype: str) -> None:
    found = measure(dtype, 0.0)
    precision = torch.finfo(getattr(torch, dtype)).eps
    assert found["naive_error"] < 4 * precision
    assert found["shifted_error"] < 4 * precision


def test_the_naive_form_breaks_and_the_shifted_one_does_not() -> None:
    found = measure("float32", 100.0)
    assert math.isnan(found["naive_error"])
    assert found["naive_nan"] == 10_000
    assert found["shifted_nan"] == 0
    assert found["shifted_error"] < 1e-6


def test_an_infinite_input_cannot_be_repaired() -> None:
    assert measure("float16", 1e5)["shifted_nan"] > 0


@pytest.mark.parametrize("offset", [-1.0, math.inf, math.nan])
def test_an_offset_that_leaves_no_logits_is_refused(offset: float) -> None:
    with pytest.raises(ValueError, match="offset"):
        rebuild("softmax", {"softmax.offset": offset})


def test_the_largest_offsets_are_measured() -> None:
    """Far above the logits' last digit they are all equal, and the answer is a tenth each."""
    found = measure("float64", 1e30)
    assert found["shifted_nan"] == found["shifted_inf"] == 0
    assert 0 < found["shifted_error"] < 0.9


def test_the_rounding_of_the_inputs_is_not_the_methods_own_error() -> None:
    found = measure("float32", 1e6)
    assert found["shifted_stored_error"] < 1e-6 < 1e-3 < found["shifted_error"]
