"""Train the classifier that scores a GAN's samples."""

import torch
from torch import Tensor

from hw5hpc.engine.distributed import SOLO, Ranks
from hw5hpc.engine.random import generator
from hw5hpc.experiments.classifier.config import ClassifierConfig
from hw5hpc.experiments.images import ImageBatches
from hw5hpc.experiments.supervised import Supervised
from hw5hpc.models.mlp import Mlp, classifier_widths

SHAPE = (1, 28, 28)


def flat(images: Tensor) -> Tensor:
    """Return uint8 images [N, C, H, W] as floats [N, C*H*W] in [-1, 1]."""
    return images.flatten(1).to(torch.get_default_dtype()).div_(127.5).sub_(1)


def as_bytes(flat_images: Tensor) -> Tensor:
    """Return floats in [-1, 1] as the nearest uint8 pixels, of the same shape: undoes `flat`."""
    return flat_images.add(1).mul_(127.5).round_().clamp_(0, 255).byte()


class Classifier(Supervised):
    """An MLP on flat grey images; see engine.loop.Training for the methods."""

    def __init__(
        self,
        config: ClassifierConfig,
        device: torch.device,
        weights: dict[str, dict[str, Tensor]],
        ranks: Ranks = SOLO,
    ) -> None:
        images = ImageBatches(config, SHAPE, device)
        widths = classifier_widths(len(images.data.class_names))
        net = Mlp(widths, generator("cpu", config.seed, "init")).to(device)
        super().__init__(config, config.optim, images, net, flat, ranks)
