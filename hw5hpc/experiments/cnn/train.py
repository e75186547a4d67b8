"""Train the CNN on small colour images, and keep its filters and its confusion matrix."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hw5hpc.data.load import load
from hw5hpc.engine.batches import Batches
from hw5hpc.engine.loop import Evaluation
from hw5hpc.engine.precision import autocast
from hw5hpc.engine.random import generator
from hw5hpc.experiments.cnn.config import CnnConfig
from hw5hpc.metrics.classification import Classified, evaluate
from hw5hpc.models.cnn import Cnn

SHAPE = (3, 32, 32)
EXAMPLES = 8


def examples(
    images: Tensor, labels: Tensor, classes: int, count: int = EXAMPLES
) -> NDArray[np.uint8]:
    """Return the first images of each class, [classes, count, C, H, W]; zeros where too few."""
    shown = np.zeros((classes, count, *images.shape[1:]), np.uint8)
    for label in range(classes):
        found = images[(labels == label).nonzero().flatten()[:count]].cpu().numpy()
        shown[label, : len(found)] = found
    return shown


class CnnTraining:
    """A CNN trained with Adam on cross-entropy; see engine.loop.Training for the methods."""

    def __init__(
        self, config: CnnConfig, device: torch.device, weights: dict[str, dict[str, Tensor]]
    ) -> None:
        self._config, self._device = config, device
        self._data = load(config.data.name, config.data.root, config.data.limit, SHAPE).to(device)
        self.class_names, self.data_source = self._data.class_names, self._data.source
        self.seed, self.epochs = config.seed, config.train.epochs
        count, size = len(self._data.train_images), config.train.batch_size
        self._batches = Batches(count, size, config.seed, device)
        self.steps_per_epoch = self._batches.per_epoch
        # The CPU's convolutions are faster with the channels innermost.
        cpu = device.type == "cpu"
        self._layout = torch.channels_last if cpu else torch.contiguous_format
        self._net = self._network()
        adam = config.optim
        self._optim = torch.optim.Adam(
            self._net.parameters(), lr=adam.lr, betas=(adam.beta1, adam.beta2), eps=adam.eps
        )

    def _network(self) -> Cnn:
        model = self._config.model
        net = Cnn(
            generator("cpu", self.seed, "init"),
            model.batch_norm,
            model.batch_norm_momentum,
            model.batch_norm_eps,
            len(self.class_names),
        )
        return net.to(self._device).to(memory_format=self._layout)

    def _scores(self, images: Tensor) -> Tensor:
        """Return the logits of uint8 images, whose pixels become floats from 0 to 1."""
        inputs = images.float().div_(255).contiguous(memory_format=self._layout)
        with autocast(self._device, self._config.train.precision):
            out: Tensor = self._net(inputs)
        return out.float()

    def start(self) -> Evaluation:
        shown = examples(self._data.train_images, self._data.train_labels, len(self.class_names))
        return Evaluation(arrays={"filters": self._filters(), "examples": shown})

    def step(self, epoch: int, index: int) -> tuple[dict[str, Tensor], int]:
        chosen = self._batches.indices(epoch, index)
        labels = self._data.train_labels[chosen]
        self._net.train()
        scores = self._scores(self._data.train_images[chosen])
        loss = torch.nn.functional.cross_entropy(scores, labels)
        self._optim.zero_grad()
        loss.backward()
        self._optim.step()
        accuracy = (scores.detach().argmax(1) == labels).double().mean()
        return {"train_loss": loss.detach(), "train_accuracy": accuracy}, len(chosen)

    def _test(self) -> Classified:
        self._net.eval()
        images, labels = self._data.test_images, self._data.test_labels
        return evaluate(self._scores, images, labels, len(self.class_names))

    def _filters(self) -> NDArray[np.float32]:
        weights: NDArray[np.float32] = self._net.filters.detach().float().cpu().numpy()
        return np.array(weights, order="C")

    def evaluate(self, epoch: int) -> Evaluation:
        measured = self._test()
        arrays = {"filters": self._filters()} if epoch == self.epochs else {}
        return Evaluation({"test_accuracy": measured.accuracy, "test_loss": measured.loss}, arrays)

    def finish(self) -> Evaluation:
        return Evaluation(arrays={"confusion": self._test().confusion.numpy()})

    def state(self) -> dict[str, Any]:
        return {"net": self._net.state_dict(), "optim": self._optim.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        self._net.load_state_dict(state["net"])
        self._optim.load_state_dict(state["optim"])

    def weights(self) -> dict[str, Tensor]:
        return self._net.state_dict()
