"""Train the GAN on small grey images, and score its samples with the classifier."""

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor

from hw5hpc.engine.distributed import SOLO, Ranks, Share
from hw5hpc.engine.loop import Evaluation
from hw5hpc.engine.random import generator
from hw5hpc.experiments.adversarial import Adversaries
from hw5hpc.experiments.classifier.train import SHAPE, as_bytes, flat
from hw5hpc.experiments.gan.config import GanConfig
from hw5hpc.experiments.gan.score import score
from hw5hpc.experiments.images import ImageBatches
from hw5hpc.metrics.classes import spread
from hw5hpc.models.mlp import (
    PIXELS,
    Mlp,
    classifier_widths,
    discriminator_widths,
    generator_widths,
)

GRID = 64
CHUNK = 1000
# What collapses does so within the first steps; later on, a look after every epoch is enough.
EARLY_STEPS = 1000


class Gan:
    """A GAN whose generator steps look `gan.unroll_steps` discriminator steps ahead.

    See engine.loop.Training for the methods; the step itself is engine.unroll.gan_step.
    """

    def __init__(
        self,
        config: GanConfig,
        device: torch.device,
        weights: dict[str, dict[str, Tensor]],
        ranks: Ranks = SOLO,
    ) -> None:
        self._images, self._ranks = ImageBatches(config, SHAPE, device), ranks
        data, self.steps_per_epoch = self._images.data, self._images.per_epoch
        self.class_names, self.data_source = data.class_names, data.source
        self.data_content = data.content
        self.seed, self.epochs = config.seed, config.train.epochs
        self._samples, every = config.score.samples, config.score.every_steps
        self.looks: Collection[int] = range(every, EARLY_STEPS + 1, every) if every else ()
        widths, seed = generator_widths(config.gan.noise_size), config.seed
        nets = (
            Mlp(widths, generator("cpu", seed, "init", "generator"), output="tanh"),
            Mlp(discriminator_widths(), generator("cpu", seed, "init", "discriminator")),
        )
        self._gan = Adversaries(seed, device, nets, config.optim, config.gan, self._real, ranks)
        judge = classifier_widths(len(self.class_names))
        self._classifier = Mlp(judge, generator("cpu", 0, "unused")).to(device)
        self._classifier.load_state_dict(weights["classifier"])

    def start(self) -> Evaluation:
        return Evaluation()

    def step(self, epoch: int, index: int) -> tuple[dict[str, Tensor], int]:
        chosen, share = self._images.batch(epoch, index, self._ranks)
        return self._gan.step(chosen, share, "noise", epoch, index), share.total

    def _real(self, chosen: Tensor) -> Tensor:
        return flat(self._images.data.train_images[chosen])

    @torch.no_grad()
    def _labels(self, flat_images: Tensor, share: Share) -> Tensor:
        """Return the classifier's labels of all images, of which this rank has its share."""
        parts = [self._classifier(part).argmax(1) for part in flat_images.split(CHUNK)]
        return self._ranks.gather(torch.cat(parts), share)

    def evaluate(self, epoch: int) -> Evaluation:
        """Classify samples from one fixed noise; keep grids at first, middle and last epoch."""
        share = self._ranks.share(self._samples)
        samples = self._gan.generate(self._gan.noise(share.total, "score")[share.part])
        measured = spread(self._labels(samples, share), len(self.class_names))
        arrays = {"label_histogram": measured.histogram.cpu().numpy()}
        if epoch in (1, (self.epochs + 1) // 2, self.epochs):
            first = self._ranks.gather(samples, share)[:GRID]
            arrays["samples"] = as_bytes(first).view(-1, *SHAPE[1:]).cpu().numpy()
        return Evaluation(measured.metrics(), arrays)

    def finish(self) -> Evaluation:
        """Measure the samples once more, and the two ends of every scale; see gan.score."""
        share = self._ranks.share(self._samples)
        samples = self._gan.generate(self._gan.noise(share.total, "score")[share.part])
        source = generator(self._images.device, self.seed, "noise_images")
        noise = torch.randint(256, (share.total, PIXELS), generator=source, device=source.device)
        return score(self._classifier, self._images.data, samples, noise.byte(), self._ranks)

    def state(self) -> dict[str, Any]:
        return self._gan.state()

    def load_state(self, state: dict[str, Any]) -> None:
        self._gan.load_state(state)

    def weights(self) -> dict[str, Tensor]:
        return self._gan.weights()
