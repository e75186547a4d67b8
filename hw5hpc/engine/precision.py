"""The device to train on, the number format to train in, and that it repeats to the same bit."""

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


def settle(device: torch.device, precision: str) -> None:
    """Let this process compute so that one run gives the same bits every time, on GPUs too.

    What has no such kernel on a GPU warns. 'tf32' lets GPUs multiply with 10 bits of mantissa; in
    the other precisions they do not, although torch lets convolutions do so unasked. The CPU knows
    no such shortcut: there 'tf32' is 'fp32'.
    """
    if device.type != "cuda":
        return
    torch.use_deterministic_algorithms(True, warn_only=True)
    # For debugging only; it would cost a kernel for each tensor.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Return the context for the forward pass: 'bf16' by autocast, others as they are."""
    if precision != "bf16":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)
