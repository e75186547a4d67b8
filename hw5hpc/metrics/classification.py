"""Accuracy, cross-entropy and confusion of a classifier over a whole data set."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

CHUNK = 1000


@dataclass(frozen=True)
class Classified:
    """Share of right answers, mean cross-entropy in nats, confusion int64 [truth, predicted]."""

    accuracy: float
    loss: float
    confusion: Tensor


@torch.no_grad()
def evaluate(
    scores_of: Callable[[Tensor], Tensor],
    images: Tensor,
    labels: Tensor,
    classes: int = 10,
    add_up: Callable[[Tensor], Tensor] = lambda count: count,
) -> Classified:
    """Classify images [N, ...] in chunks; `scores_of` gives logits [n, classes].

    `add_up` adds a tensor over all processes, when each of them was given other images.
    """
    confusion = torch.zeros(classes * classes, dtype=torch.int64, device=labels.device)
    loss = torch.zeros((), dtype=torch.float64, device=labels.device)
    for part, truth in zip(images.split(CHUNK), labels.split(CHUNK), strict=True):
        scores = scores_of(part)
        loss += cross_entropy(scores, truth, reduction="sum").double()
        confusion += torch.bincount(truth * classes + scores.argmax(1), minlength=classes**2)
    table = add_up(confusion).view(classes, classes).cpu()
    count = int(table.sum())
    return Classified(float(table.diagonal().sum()) / count, float(add_up(loss)) / count, table)
