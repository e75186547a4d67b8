"""Train the classifier that scores a GAN's samples."""

from typing import Any

import torch
from torch import Tensor

from hw5hpc.data.load import load
from hw5hpc.engine.batches import Batches
from hw5hpc.engine.loop import Evaluation
from hw5hpc.engine.precision import autocast
from hw5hpc.engine.random import generator
from hw5hpc.experiments.classifier.config import ClassifierConfig
from hw5hpc.metrics.classification import evaluate
from hw5hpc.models.mlp import Mlp, classifier_widths

SHAPE = (1, 28, 28)


def flat(images: Tensor) -> Tensor:
    """Return uint8 images [N, C, H, W] as floats [N, C*H*W] in [-1, 1]."""
    return images.flatten(1).float().div_(127.5).sub_(1)


class Classifier:
    """An MLP trained with Adam on cross-entropy; see engine.loop.Training for the methods."""

    def __init__(
        self, config: ClassifierConfig, device: torch.device, weights: dict[str, dict[str, Tensor]]
    ) -> None:
        self._config, self._device = config, device
        self._data = load(config.data.name, config.data.root, config.data.limit, SHAPE).to(device)
        self.class_names, self.data_source = self._data.class_names, self._data.source
        self.seed, self.epochs = config.seed, config.train.epochs
        count, size = len(self._data.train_images), config.train.batch_size
        self._batches = Batches(count, size, config.seed, device)
        self.steps_per_epoch = self._batches.per_epoch
        self._net = Mlp(classifier_widths(), generator("cpu", config.seed, "init")).to(device)
        adam = config.optim
        self._optim = torch.optim.Adam(
            self._net.parameters(), lr=adam.lr, betas=(adam.beta1, adam.beta2), eps=adam.eps
        )

    def start(self) -> Evaluation:
        return Evaluation()

    def step(self, epoch: int, index: int) -> tuple[dict[str, Tensor], int]:
        chosen = self._batches.indices(epoch, index)
        with autocast(self._device, self._config.train.precision):
            scores = self._net(flat(self._data.train_images[chosen]))
            loss = torch.nn.functional.cross_entropy(scores, self._data.train_labels[chosen])
        self._optim.zero_grad()
        loss.backward()
        self._optim.step()
        return {"train_loss": loss.detach()}, len(chosen)

    def evaluate(self, epoch: int) -> Evaluation:
        measured = evaluate(
            lambda images: self._net(flat(images)), self._data.test_images, self._data.test_labels
        )
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
