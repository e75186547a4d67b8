"""The images of an experiment: a data set on the device, cut into seeded batches."""

import torch
from torch import Tensor

from hw5hpc.data.load import load
from hw5hpc.engine.batches import Batches
from hw5hpc.engine.distributed import Ranks, Share
from hw5hpc.experiments.config import ImagesConfig


class ImageBatches:
    """A data set, `data`, converted to images of one shape (C, H, W), and its training batches."""

    def __init__(
        self, config: ImagesConfig, shape: tuple[int, int, int], device: torch.device
    ) -> None:
        which = config.data
        self.device, self.shape = device, shape
        self.data = load(which.name, which.root, which.limit, shape).to(device)
        count, size = len(self.data.train_images), config.train.batch_size
        self._batches = Batches(count, size, config.seed, device)

    @property
    def per_epoch(self) -> int:
        return self._batches.per_epoch

    def batch(self, epoch: int, index: int, ranks: Ranks) -> tuple[Tensor, Share]:
        """Return this rank's share of a batch: the numbers of training samples, int64 [n]."""
        chosen = self._batches.indices(epoch, index)
        share = ranks.share(len(chosen))
        return chosen[share.part], share
