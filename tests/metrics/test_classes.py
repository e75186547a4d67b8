"""The spread of predicted labels: the relations between its measures, and figures by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hw5hpc.metrics.classes import spread

Labels = st.lists(st.integers(0, 9), min_size=1, max_size=200)


@given(labels=Labels)
def test_measures_agree_with_each_other(labels: list[int]) -> None:
    found = spread(torch.tensor(labels), 10)
    assert found.histogram.tolist() == [labels.count(label) for label in range(10)]
    assert found.entropy + found.kl_uniform == pytest.approx(math.log(10))
    assert -1e-12 <= found.kl_uniform <= math.log(10) + 1e-12
    assert -1e-12 <= found.total_variation <= 0.9 + 1e-12
    # Pinsker's inequality ties the two distances together.
    assert found.total_variation**2 <= found.kl_uniform / 2 + 1e-12


@given(labels=Labels, shift=st.integers(1, 9))
def test_names_of_classes_do_not_matter(labels: list[int], shift: int) -> None:
    one = spread(torch.tensor(labels), 10).metrics()
    other = spread((torch.tensor(labels) + shift) % 10, 10).metrics()
    assert one == pytest.approx(other)


def test_three_quarters_and_a_quarter() -> None:
    found = spread(torch.tensor([0, 0, 0, 3]), 4)
    assert found.entropy == pytest.approx(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))
    assert found.total_variation == pytest.approx(0.5)
    assert found.covered == 2
