"""How evenly predicted labels spread over the classes: mode coverage and its measures."""

from dataclasses import dataclass

import torch
from torch import Tensor

COVERED_SHARE = 0.1


@dataclass(frozen=True)
class Spread:
    """A histogram of labels [classes] and how far it is from uniform.

    covered: classes that hold at least a tenth of their uniform share;
    entropy: -sum p ln p, in nats; total_variation: half of sum |p - 1/C|, from 0 to 1 - 1/C;
    kl_uniform: KL(p || uniform) = ln C - entropy, in nats.
    """

    histogram: Tensor
    covered: int
    entropy: float
    total_variation: float
    kl_uniform: float

    def metrics(self) -> dict[str, float]:
        return {
            "classes_covered": self.covered,
            "entropy": self.entropy,
            "total_variation": self.total_variation,
            "kl_uniform": self.kl_uniform,
        }


def spread(labels: Tensor, classes: int) -> Spread:
    """Measure labels, int64 [N].

    Raises:
        ValueError: there are no labels.
    """
    if not len(labels):
        raise ValueError("no labels to measure")
    histogram = torch.bincount(labels, minlength=classes).cpu()
    share = histogram.double() / histogram.sum()
    entropy = float(-torch.xlogy(share, share).sum())
    return Spread(
        histogram=histogram,
        covered=int((share >= COVERED_SHARE / classes).sum()),
        entropy=entropy,
        total_variation=float((share - 1 / classes).abs().sum() / 2),
        kl_uniform=float(torch.log(torch.tensor(float(classes), dtype=torch.float64))) - entropy,
    )
