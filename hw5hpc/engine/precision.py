"""The device to train on, and the number format to train in."""

import contextlib
import gc
from contextlib import AbstractContextManager

import torch

from hw5hpc.errors import UserError, describe


class NoGpu(UserError):
    """A GPU was asked for and torch cannot use one; the message says why."""


def pick_device(index: int = 0) -> torch.device:
    """Return the GPU of this index (modulo their number), or the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", index % torch.cuda.device_count())
    return torch.device("cpu")


def need_gpu() -> None:
    """Raise NoGpu unless torch can use a GPU."""
    if torch.cuda.is_available():
        return
    if torch.version.cuda is None:
        why = "this torch is built without CUDA"
    else:
        try:
            torch.zeros(1, device="cuda")
            why = "torch.cuda.is_available() is false"
        except Exception as error:
            why = describe(error)
    raise NoGpu(
        f"a GPU was asked for, but torch {torch.__version__} can use none here ({why}); "
        "`device: cpu` in the cluster's profile trains on CPUs"
    )


def free_gpu() -> bool:
    """Give back what a broken attempt held on the GPU; return whether the GPU still answers.

    After an error such as an illegal address every later call of the process fails (it is sticky).
    """
    gc.collect()
    try:
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        torch.cuda.empty_cache()
    except RuntimeError:
        return False
    return True


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Return the context for the forward pass: 'fp32' as it is, 'bf16' by autocast."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)
