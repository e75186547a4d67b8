"""Softmax: invariance, sums, overflow, and agreement with torch and with high precision."""

import mpmath  # type: ignore[import-untyped]
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hw5hpc.models.softmax import naive, shifted

Rows = st.lists(st.floats(-50, 50, allow_nan=False), min_size=1, max_size=12)


def tensor(row: list[float]) -> torch.Tensor:
    return torch.tensor(row, dtype=torch.float64)


@given(row=Rows, offset=st.floats(-1000, 1000, allow_nan=False))
def test_an_offset_changes_nothing(row: list[float], offset: float) -> None:
    logits = tensor(row)
    assert torch.allclose(shifted(logits + offset), shifted(logits), rtol=1e-10, atol=1e-12)


@given(row=Rows)
def test_sums_to_one_and_agrees_with_torch(row: list[float]) -> None:
    logits = tensor(row)
    for method in (naive, shifted):
        assert float(method(logits).sum()) == pytest.approx(1.0, abs=1e-12)
        assert torch.allclose(method(logits), torch.softmax(logits, -1), rtol=1e-12, atol=1e-15)


@given(row=st.lists(st.floats(-1e308, 1e308, allow_nan=False), min_size=1, max_size=12))
def test_no_finite_row_overflows(row: list[float]) -> None:
    found = shifted(tensor(row))
    assert bool(found.isfinite().all())
    assert float(found.sum()) == pytest.approx(1.0)


@given(row=st.lists(st.floats(-20, 20), min_size=2, max_size=6))
def test_agrees_with_fifty_digits(row: list[float]) -> None:
    with mpmath.workdps(50):
        powers = [mpmath.exp(value) for value in row]
        exact = [float(power / mpmath.fsum(powers)) for power in powers]
    assert shifted(tensor(row)).tolist() == pytest.approx(exact, rel=1e-13)


@pytest.mark.parametrize(
    ("dtype", "fits", "overflows"),
    [
        (torch.float16, 11.0, 11.2),
        (torch.bfloat16, 88.0, 89.0),
        (torch.float32, 88.7, 88.8),
        (torch.float64, 709.7, 709.8),
    ],
)
def test_the_naive_form_overflows_where_exp_does(
    dtype: torch.dtype, fits: float, overflows: float
) -> None:
    assert bool(naive(torch.tensor([fits, 0.0], dtype=dtype)).isfinite().all())
    assert bool(naive(torch.tensor([overflows, 0.0], dtype=dtype)).isnan().any())
    assert bool(shifted(torch.tensor([overflows, 0.0], dtype=dtype)).isfinite().all())


def test_a_sum_that_overflows_alone_gives_zeros_and_no_nan() -> None:
    """The quiet failure: every power is finite, and dividing by an infinite sum leaves nothing."""
    row = torch.tensor([88.5, 88.5], dtype=torch.float32)
    assert naive(row).tolist() == [0.0, 0.0]
    assert shifted(row).tolist() == [0.5, 0.5]


def test_a_sum_that_underflows_is_nan() -> None:
    row = torch.tensor([-200.0, -200.0], dtype=torch.float32)
    assert bool(naive(row).isnan().all())
    assert shifted(row).tolist() == [0.5, 0.5]
