"""The ring's samples: as many within 3 standard deviations as theory says, at any radius."""

import math

import pytest
import torch

from hw5hpc.data.ring import centres, sample
from hw5hpc.metrics.ring import coverage

# A plane Gaussian lies within r standard deviations with probability 1 - exp(-r^2 / 2).
WITHIN_THREE = 1 - math.exp(-4.5)


@pytest.mark.parametrize("radius", [0.5, 1.0, 100.0])
@pytest.mark.parametrize("modes", [1, 8, 20])
def test_samples_are_near_their_modes(modes: int, radius: float) -> None:
    around, count = centres(modes, radius), 50_000
    points = sample(count, around, 0.02, torch.Generator().manual_seed(0))
    found = coverage(points, around, 0.02)
    sigma = math.sqrt(WITHIN_THREE * (1 - WITHIN_THREE) / count)
    assert found.high_quality_share == pytest.approx(WITHIN_THREE, abs=5 * sigma)
    assert found.kl_modes < 0.002


def test_samples_come_from_the_source_alone() -> None:
    around = centres(8, 1.0)
    torch.manual_seed(1)
    one = sample(64, around, 0.02, torch.Generator().manual_seed(5))
    torch.manual_seed(2)
    assert torch.equal(one, sample(64, around, 0.02, torch.Generator().manual_seed(5)))
    assert not torch.equal(one, sample(64, around, 0.02, torch.Generator().manual_seed(6)))
