"""What experiments on images share: data in batches, and supervised training of a classifier."""

from abc import ABC, abstractmethod
from collections.abc import Collection
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from hw5hpc.data.load import load
from hw5hpc.engine.batch_norm import synchronise
from hw5hpc.engine.batches import Batches
from hw5hpc.engine.distributed import Ranks, Share
from hw5hpc.engine.loop import Evaluation
from hw5hpc.engine.precision import autocast
from hw5hpc.experiments.config import AdamConfig, DataConfig, TrainConfig
from hw5hpc.metrics.classification import Classified, evaluate


class ImageConfig(Protocol):
    """The config groups that every experiment on images has."""

    @property
    def seed(self) -> int: ...
    @property
    def data(self) -> DataConfig: ...
    @property
    def train(self) -> TrainConfig: ...


class SupervisedConfig(ImageConfig, Protocol):
    """An experiment on images with one Adam optimizer."""

    @property
    def optim(self) -> AdamConfig: ...


class OnImages:
    """The data set on the device, cut into seeded batches; half of engine.loop.Training."""

    looks: Collection[int] = ()

    def __init__(
        self,
        config: ImageConfig,
        device: torch.device,
        shape: tuple[int, int, int],
        ranks: Ranks,
    ) -> None:
        data = config.data
        self._device, self._ranks = device, ranks
        self._data = load(data.name, data.root, data.limit, shape).to(device)
        self.class_names, self.data_source = self._data.class_names, self._data.source
        self.data_content = self._data.content
        self.seed, self.epochs = config.seed, config.train.epochs
        count, size = len(self._data.train_images), config.train.batch_size
        self._batches = Batches(count, size, config.seed, device)
        self.steps_per_epoch = self._batches.per_epoch


class Supervised(OnImages, ABC):
    """A classifier of images, trained with Adam on cross-entropy; subclasses give the network."""

    def __init__(
        self,
        config: SupervisedConfig,
        device: torch.device,
        shape: tuple[int, int, int],
        ranks: Ranks,
    ) -> None:
        super().__init__(config, device, shape, ranks)
        self._precision = config.train.precision
        self._net = self._network()
        synchronise(self._net, ranks, device)
        adam = config.optim
        self._optim = torch.optim.Adam(
            self._net.parameters(), lr=adam.lr, betas=(adam.beta1, adam.beta2), eps=adam.eps
        )

    @abstractmethod
    def _network(self) -> nn.Module:
        """Return the freshly initialised network on the device."""

    @abstractmethod
    def _inputs(self, images: Tensor) -> Tensor:
        """Return uint8 images [N, C, H, W] as the network wants them."""

    @cached_property
    def _averaged(self) -> nn.Module:
        """The network as its training step calls it: over ranks, backward averages gradients.

        Made at the first step, since making it communicates.
        """
        if self._ranks.alone:
            return self._net
        return DistributedDataParallel(self._net)

    def _scores(self, images: Tensor, net: nn.Module | None = None) -> Tensor:
        net = self._net if net is None else net
        with autocast(self._device, self._precision):
            scores: Tensor = net(self._inputs(images))
        return scores.to(torch.get_default_dtype())

    def start(self) -> Evaluation:
        return Evaluation()

    def step(self, epoch: int, index: int) -> tuple[dict[str, Tensor], int]:
        batch = self._batches.indices(epoch, index)
        share = self._ranks.share(len(batch))
        chosen = batch[share.part]
        labels = self._data.train_labels[chosen]
        self._net.train()
        scores = self._scores(self._data.train_images[chosen], self._averaged)
        loss = _part_of_mean(scores, labels, share)
        self._optim.zero_grad()
        # DDP divides the sum of the ranks' gradients by their number; the parts need the sum.
        (loss * self._ranks.size).backward()
        self._optim.step()
        accuracy = (scores.detach().argmax(1) == labels).double().sum() / share.total
        return {"train_loss": loss.detach(), "train_accuracy": accuracy}, share.total

    def _test(self) -> Classified:
        """Classify the test images; each rank its share."""
        self._net.eval()
        share = self._ranks.share(len(self._data.test_labels)).part
        images, labels = self._data.test_images[share], self._data.test_labels[share]
        return evaluate(self._scores, images, labels, len(self.class_names), self._ranks.sum)

    def evaluate(self, epoch: int) -> Evaluation:
        measured = self._test()
        return Evaluation({"test_accuracy": measured.accuracy, "test_loss": measured.loss})

    def finish(self) -> Evaluation:
        return Evaluation()

    def state(self) -> dict[str, Any]:
        return {"net": self._net.state_dict(), "optim": self._optim.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        self._net.load_state_dict(state["net"])
        self._optim.load_state_dict(state["optim"])

    def weights(self) -> dict[str, Tensor]:
        return self._net.state_dict()


def _part_of_mean(scores: Tensor, labels: Tensor, share: Share) -> Tensor:
    """This rank's part of the batch's mean cross-entropy; alone, the mean."""
    if share.count == share.total:
        return cross_entropy(scores, labels)
    return cross_entropy(scores, labels, reduction="sum") / share.total
