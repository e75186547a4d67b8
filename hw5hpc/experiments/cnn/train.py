"""Train the CNN on small colour images, and keep its filters and its confusion matrix."""

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hw5hpc.engine.distributed import SOLO, Ranks
from hw5hpc.engine.loop import Evaluation
from hw5hpc.engine.random import generator
from hw5hpc.experiments.cnn.config import CnnConfig
from hw5hpc.experiments.images import ImageBatches
from hw5hpc.experiments.supervised import Supervised
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


def pixels(images: Tensor, layout: torch.memory_format) -> Tensor:
    """Return uint8 images [N, C, H, W] as floats from 0 to 1."""
    return images.to(torch.get_default_dtype()).div_(255).contiguous(memory_format=layout)


class CnnTraining(Supervised):
    """A CNN on colour images; see engine.loop.Training for the methods."""

    def __init__(
        self,
        config: CnnConfig,
        device: torch.device,
        weights: dict[str, dict[str, Tensor]],
        ranks: Ranks = SOLO,
    ) -> None:
        images, model = ImageBatches(config, SHAPE, device), config.model
        self._cnn = Cnn(
            generator("cpu", config.seed, "init"),
            model.batch_norm,
            model.batch_norm_momentum,
            model.batch_norm_eps,
            model.batch_norm_placement == "after_relu",
            len(images.data.class_names),
        )
        # The CPU's convolutions are faster with the channels innermost.
        layout = torch.channels_last if device.type == "cpu" else torch.contiguous_format
        net = self._cnn.to(device).to(memory_format=layout)
        inputs = partial(pixels, layout=layout)
        super().__init__(config, config.optim, images, net, inputs, ranks)

    def start(self) -> Evaluation:
        data = self._images.data
        shown = examples(data.train_images, data.train_labels, len(self.class_names))
        return Evaluation(arrays={"filters": self._filters(), "examples": shown})

    def _filters(self) -> NDArray[np.float32]:
        weights: NDArray[np.float32] = self._cnn.filters.detach().float().cpu().numpy()
        return np.array(weights, order="C")

    def evaluate(self, epoch: int) -> Evaluation:
        arrays = {"filters": self._filters()} if epoch == self.epochs else {}
        return Evaluation(super().evaluate(epoch).metrics, arrays)

    def finish(self) -> Evaluation:
        return Evaluation(arrays={"confusion": self.test().confusion.numpy()})
