"""Softmax written twice: naively, and with the row's maximum subtracted first."""

from torch import Tensor


def naive(logits: Tensor) -> Tensor:
    """exp(x) / sum exp(x) along the last axis, in the tensor's own number format."""
    powers = logits.exp()
    return powers / powers.sum(-1, keepdim=True)


def shifted(logits: Tensor) -> Tensor:
    """The same after subtracting each row's maximum: no power is above 1, the sum is at least 1."""
    return naive(logits - logits.amax(-1, keepdim=True))
