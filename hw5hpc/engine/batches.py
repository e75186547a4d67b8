"""The batches of a run: one seeded shuffle an epoch, the same on every machine and rank."""

import torch
from torch import Tensor

from hw5hpc.engine.random import shuffle


class Batches:
    """Cuts each epoch's shuffle into batches; the last one may be smaller."""

    def __init__(self, count: int, batch_size: int, seed: int, device: torch.device) -> None:
        self._count, self._size, self._seed, self._device = count, batch_size, seed, device
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    @property
    def per_epoch(self) -> int:
        return -(-self._count // self._size)

    def indices(self, epoch: int, index: int) -> Tensor:
        """Return the sample numbers of one batch, int64 [at most batch_size], on the device."""
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = shuffle(self._count, self._seed, epoch).to(self._device)
        return self._order[index * self._size : (index + 1) * self._size]
