"""Supervised training of a classifier of images; the network and what it is fed are handed in."""

from collections.abc import Callable, Collection
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from hw5hpc.engine.batch_norm import synchronise
from hw5hpc.engine.distributed import Ranks, Share
from hw5hpc.engine.loop import Evaluation
from hw5hpc.engine.precision import autocast
from hw5hpc.engine.replay import Replay, graphs_for
from hw5hpc.experiments.config import ImagesConfig
from hw5hpc.experiments.images import ImageBatches
from hw5hpc.experiments.optimizers import OptimConfig, build
from hw5hpc.metrics.classification import Classified, evaluate

LOSSES = ("train_loss", "train_accuracy")


class Supervised:
    """A classifier of images, trained on cross-entropy; see engine.loop.Training.

    Args:
        config: the seed, and how to train.
        optim: the optimizer, and its settings.
        images: the data set, in batches.
        net: the network, freshly initialised on the device; its outputs are logits [N, classes].
        inputs: makes of uint8 images [N, C, H, W] what the network is fed.
        ranks: the processes that train together.
    """

    looks: Collection[int] = ()

    def __init__(
        self,
        config: ImagesConfig,
        optim: OptimConfig,
        images: ImageBatches,
        net: nn.Module,
        inputs: Callable[[Tensor], Tensor],
        ranks: Ranks,
    ) -> None:
        self._images, self._inputs, self._ranks = images, inputs, ranks
        self._precision = config.train.precision
        self.seed, self.epochs = config.seed, config.train.epochs
        self.steps_per_epoch, self.class_names = images.per_epoch, images.data.class_names
        self.data_source, self.data_content = images.data.source, images.data.content
        self._net = synchronise(net, ranks, images.device)
        self._optim = build(optim, net.parameters(), images.device)
        self._replay = self._fresh_replay()

    def _fresh_replay(self) -> Replay:
        graphs = graphs_for(self._images.device, self._ranks.alone)
        return Replay(self._take, self._tensors, graphs)

    def _tensors(self) -> list[Tensor]:
        """Return what a step updates: parameters, buffers, and the optimizer's state of each."""
        held = [value for state in self._optim.state.values() for value in state.values()]
        held = [value for value in held if isinstance(value, Tensor)]
        return [*self._net.state_dict().values(), *held]

    @cached_property
    def _averaged(self) -> nn.Module:
        """The network as its training step calls it: over ranks, backward averages gradients.

        Made at the first step, since making it communicates.
        """
        if self._ranks.alone:
            return self._net
        # Otherwise the first step rebuilds the buckets in the order of its gradients, and with them
        # the order of sums over three or more ranks: a resumed run would differ from others.
        return DistributedDataParallel(self._net, find_unused_parameters=True)

    def _scores(self, images: Tensor, net: nn.Module | None = None) -> Tensor:
        net = self._net if net is None else net
        with autocast(self._images.device, self._precision):
            scores: Tensor = net(self._inputs(images))
        return scores.to(torch.get_default_dtype())

    def start(self) -> Evaluation:
        return Evaluation()

    def step(self, epoch: int, index: int) -> tuple[dict[str, Tensor], int]:
        chosen, share = self._images.batch(epoch, index, self._ranks)
        self._share = share
        self._net.train()
        return dict(zip(LOSSES, self._replay(chosen).unbind(), strict=True)), share.total

    def _take(self, chosen: Tensor) -> Tensor:
        data, share = self._images.data, self._share
        labels = data.train_labels[chosen]
        scores = self._scores(data.train_images[chosen], self._averaged)
        loss = _part_of_mean(scores, labels, share)
        self._optim.zero_grad()
        # DDP divides the sum of the ranks' gradients by their number; the parts need the sum.
        (loss * self._ranks.size).backward()
        self._optim.step()
        accuracy = (scores.detach().argmax(1) == labels).double().sum() / share.total
        return torch.stack([loss.detach(), accuracy])

    def test(self) -> Classified:
        """Classify the test images; each rank its share."""
        self._net.eval()
        data = self._images.data
        share = self._ranks.share(len(data.test_labels)).part
        images, labels = data.test_images[share], data.test_labels[share]
        return evaluate(self._scores, images, labels, len(self.class_names), self._ranks.sum)

    def evaluate(self, epoch: int) -> Evaluation:
        measured = self.test()
        return Evaluation({"test_accuracy": measured.accuracy, "test_loss": measured.loss})

    def finish(self) -> Evaluation:
        return Evaluation()

    def state(self) -> dict[str, Any]:
        return {"net": self._net.state_dict(), "optim": self._optim.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        self._net.load_state_dict(state["net"])
        self._optim.load_state_dict(state["optim"])
        self._replay = self._fresh_replay()

    def weights(self) -> dict[str, Tensor]:
        return self._net.state_dict()


def _part_of_mean(scores: Tensor, labels: Tensor, share: Share) -> Tensor:
    """This rank's part of the batch's mean cross-entropy; alone, the mean."""
    if share.count == share.total:
        return cross_entropy(scores, labels)
    return cross_entropy(scores, labels, reduction="sum") / share.total
