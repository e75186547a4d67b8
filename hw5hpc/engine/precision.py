"""The device to train on, and the number format to train in."""

import contextlib
from contextlib import AbstractContextManager

import torch


def pick_device(index: int = 0) -> torch.device:
    """Return the GPU of this index (modulo their number), or the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", index % torch.cuda.device_count())
    return torch.device("cpu")


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Return the context for the forward pass: 'fp32' as it is, 'bf16' by autocast."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)
