"""Random streams that hang on names and counters alone: a resumed run draws the same numbers."""

import hashlib
import random
from typing import Any

import numpy as np
import torch


def derive_seed(seed: int, *stream: str | int) -> int:
    """Return a 63-bit seed for one named stream, such as (seed, 'noise', step)."""
    digest = hashlib.sha256(repr((seed, *stream)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def generator(device: torch.device | str, seed: int, *stream: str | int) -> torch.Generator:
    """Return a fresh generator for one named stream."""
    return torch.Generator(device).manual_seed(derive_seed(seed, *stream))


def shuffle(count: int, seed: int, epoch: int) -> torch.Tensor:
    """Return the order of `count` samples in one epoch: int64 [count], on the CPU."""
    return torch.randperm(count, generator=generator("cpu", seed, "shuffle", epoch))


def seed_everything(seed: int) -> None:
    """Seed the global generators, which only code outside this project draws from."""
    random.seed(derive_seed(seed, "python"))
    np.random.seed(derive_seed(seed, "numpy") % 2**32)  # noqa: NPY002 - the global one is meant
    torch.manual_seed(derive_seed(seed, "torch"))


def global_state() -> dict[str, Any]:
    """Return the state of every global generator, as plain numbers and tensors."""
    name, keys, *rest = np.random.get_state()  # noqa: NPY002 - the global one is meant
    return {
        "python": random.getstate(),
        "numpy": (str(name), torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_global_state(state: dict[str, Any]) -> None:
    """Restore what global_state returned; GPUs are skipped when their number has changed."""
    random.setstate(state["python"])
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
