"""How many modes of a mixture of Gaussians a generator covers."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

NEAR = 3.0
# At least 20 of 2,500 samples count as covering a mode, and the same share of other numbers.
COVERING_SHARE = 20 / 2500


@dataclass(frozen=True)
class Coverage:
    """modes_covered: modes with enough samples within 3 standard deviations;
    high_quality_share: samples within 3 standard deviations of any mode;
    kl_modes: KL of those samples' shares of the modes from uniform, in nats (ln modes if none).
    """

    modes_covered: int
    high_quality_share: float
    kl_modes: float


def coverage(samples: Tensor, centres: Tensor, std: float) -> Coverage:
    """Measure samples [N, 2] against modes [M, 2]."""
    # By default cdist expands the square, which loses small distances far from the origin.
    exact = "donot_use_mm_for_euclid_dist"
    distance, mode = torch.cdist(samples, centres, compute_mode=exact).min(dim=1)
    good = mode[distance <= NEAR * std]
    counts = torch.bincount(good, minlength=len(centres)).double()
    share = counts / counts.sum().clamp(min=1)
    uniform = math.log(len(centres))
    return Coverage(
        modes_covered=int((counts >= COVERING_SHARE * len(samples)).sum()),
        high_quality_share=len(good) / len(samples),
        kl_modes=float(torch.xlogy(share, share).sum()) + uniform if len(good) else uniform,
    )
