"""Train the GAN on small grey images, and score its samples with the classifier."""

from typing import Any

import torch
from torch import Tensor

from hw5hpc.engine.loop import Evaluation
from hw5hpc.engine.random import generator
from hw5hpc.engine.unroll import Flat, GanHyper, GanState, gan_step
from hw5hpc.experiments.classifier.train import SHAPE, flat
from hw5hpc.experiments.gan.config import GanConfig
from hw5hpc.experiments.supervised import OnImages
from hw5hpc.metrics.classes import spread
from hw5hpc.models.mlp import Mlp, classifier_widths, discriminator_widths, generator_widths

GRID = 64
CHUNK = 1000


class Gan(OnImages):
    """A GAN whose generator steps look `gan.unroll_steps` discriminator steps ahead.

    See engine.loop.Training for the methods; the step itself is engine.unroll.gan_step.
    """

    def __init__(
        self, config: GanConfig, device: torch.device, weights: dict[str, dict[str, Tensor]]
    ) -> None:
        super().__init__(config, device, SHAPE)
        self._config = config
        self._nets = self._networks()
        self._classifier = Mlp(classifier_widths(), generator("cpu", 0, "unused")).to(device)
        self._classifier.load_state_dict(weights["classifier"])
        self._state = GanState.start(*self._nets)
        self._hyper = GanHyper(
            lr_generator=config.optim.lr,
            lr_discriminator=config.optim.lr_discriminator,
            beta1=config.optim.beta1,
            beta2=config.optim.beta2,
            eps=config.optim.eps,
            unroll_steps=config.gan.unroll_steps,
        )

    def _networks(self) -> tuple[Flat, Flat]:
        widths = generator_widths(self._config.gan.noise_size)
        made = Mlp(widths, generator("cpu", self.seed, "init", "generator"), output="tanh")
        judge = Mlp(discriminator_widths(), generator("cpu", self.seed, "init", "discriminator"))
        return Flat(made.to(self._device)), Flat(judge.to(self._device))

    def _noise(self, count: int, *stream: str | int) -> Tensor:
        source = generator(self._device, self.seed, *stream)
        size = self._config.gan.noise_size
        return torch.randn(count, size, generator=source, device=self._device)

    def start(self) -> Evaluation:
        return Evaluation()

    def step(self, epoch: int, index: int) -> tuple[dict[str, Tensor], int]:
        real = flat(self._data.train_images[self._batches.indices(epoch, index)])
        noise = self._noise(len(real), "noise", epoch, index)
        self._state, losses = gan_step(self._state, self._nets, real, noise, self._hyper)
        return losses, len(real)

    @torch.no_grad()
    def _generate(self, noise: Tensor) -> Tensor:
        return self._nets[0](self._state.generator, noise)

    @torch.no_grad()
    def _labels(self, flat_images: Tensor) -> Tensor:
        parts = [self._classifier(part).argmax(1) for part in flat_images.split(CHUNK)]
        return torch.cat(parts)

    def evaluate(self, epoch: int) -> Evaluation:
        """Classify fresh samples from one fixed noise; keep grids at first, middle and last."""
        noise = self._noise(self._config.score.samples, "score")
        samples = self._generate(noise)
        measured = spread(self._labels(samples), len(self.class_names))
        arrays = {"label_histogram": measured.histogram.cpu().numpy()}
        if epoch in (1, (self.epochs + 1) // 2, self.epochs):
            pixels = samples[:GRID].add(1).mul(127.5).round().clamp(0, 255).byte()
            arrays["samples"] = pixels.view(-1, *SHAPE[1:]).cpu().numpy()
        return Evaluation(measured.metrics(), arrays)

    def finish(self) -> Evaluation:
        """The classifier's own bias: the same measures on the real test images."""
        labels = self._labels(flat(self._data.test_images))
        real = spread(labels, len(self.class_names))
        accuracy = (labels == self._data.test_labels).double().mean()
        own = {f"classifier_{name}": value for name, value in real.metrics().items()}
        own["classifier_accuracy"] = float(accuracy)
        return Evaluation(own, {"real_histogram": real.histogram.cpu().numpy()})

    def state(self) -> dict[str, Any]:
        return self._state.state_dict()

    def load_state(self, state: dict[str, Any]) -> None:
        self._state = GanState.from_state_dict(state)

    def weights(self) -> dict[str, Tensor]:
        generator_net, discriminator_net = self._nets
        return {
            **_prefixed("generator.", generator_net.named(self._state.generator)),
            **_prefixed("discriminator.", discriminator_net.named(self._state.discriminator)),
        }


def _prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: tensor.clone() for name, tensor in tensors.items()}
