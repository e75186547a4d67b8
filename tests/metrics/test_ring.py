"""The ring's measures at their edges: few samples, several modes, samples between modes."""

import math

import pytest
import torch
from torch import Tensor

from hw5hpc.data.ring import centres
from hw5hpc.metrics.ring import coverage

STD = 0.02
RING = centres(8, 1.0)


def at_modes(counts: dict[int, int], total: int) -> Tensor:
    """[total, 2]: so many samples on each named mode, the others at the ring's middle."""
    samples = torch.zeros(total, 2)
    chosen = [mode for mode, count in counts.items() for _ in range(count)]
    samples[: len(chosen)] = RING[chosen]
    return samples


@pytest.mark.parametrize(("total", "count", "covered"), [(250, 1, 0), (250, 2, 1), (5000, 39, 0),
                                                         (5000, 40, 1)])  # fmt: skip
def test_the_twenty_scale_with_the_number_of_samples(total: int, count: int, covered: int) -> None:
    assert coverage(at_modes({5: count}, total), RING, STD).modes_covered == covered


@pytest.mark.parametrize("modes", [1, 2, 4, 8])
def test_kl_of_equal_shares(modes: int) -> None:
    found = coverage(at_modes(dict.fromkeys(range(modes), 100), 2500), RING, STD)
    assert found.modes_covered == modes
    assert found.high_quality_share == pytest.approx(modes * 100 / 2500)
    assert found.kl_modes == pytest.approx(math.log(8 / modes), abs=1e-12)


def test_kl_of_unequal_shares() -> None:
    found = coverage(at_modes({0: 300, 4: 100}, 1000), RING, STD)
    expected = 0.75 * math.log(0.75 * 8) + 0.25 * math.log(0.25 * 8)
    assert found.kl_modes == pytest.approx(expected)


@pytest.mark.parametrize(("distance", "good"), [(2.99, True), (3.01, False)])
def test_three_standard_deviations_are_the_edge(distance: float, good: bool) -> None:
    beside = RING[2] + torch.tensor([distance * STD, 0.0])
    found = coverage(beside.repeat(100, 1), RING, STD)
    assert (found.modes_covered, found.high_quality_share) == (int(good), float(good))


def test_samples_away_from_all_modes_count_for_the_quality_only() -> None:
    """The nearest mode of a bad sample is not asked, or a wanderer would look like coverage."""
    near_one = torch.cat([at_modes({0: 100}, 100), 0.7 * RING[3:4].repeat(900, 1)])
    found = coverage(near_one, RING, STD)
    assert (found.modes_covered, found.high_quality_share) == (1, 0.1)
    assert found.kl_modes == pytest.approx(math.log(8))
