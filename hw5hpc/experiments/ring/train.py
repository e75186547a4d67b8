"""Train the GAN on the ring of Gaussians, and count the modes it covers."""

from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from hw5hpc.data.ring import centres, sample
from hw5hpc.engine.distributed import SOLO, Ranks
from hw5hpc.engine.loop import Evaluation
from hw5hpc.engine.random import generator
from hw5hpc.experiments.adversarial import Adversaries
from hw5hpc.experiments.ring.config import RingConfig
from hw5hpc.metrics.ring import coverage
from hw5hpc.models.mlp import Mlp, ring_widths

PICTURES = 6


class Ring:
    """The GAN experiment's own step on points in the plane; see engine.loop.Training."""

    class_names: tuple[str, ...] = ()
    data_content = ""
    looks = ()

    def __init__(
        self,
        config: RingConfig,
        device: torch.device,
        weights: dict[str, dict[str, Tensor]],
        ranks: Ranks = SOLO,
    ) -> None:
        self._config, self._device, self._ranks = config, device, ranks
        self.seed, self.epochs = config.seed, config.train.epochs
        self.steps_per_epoch = config.ring.steps_per_epoch
        self.data_source = f"ring of {config.ring.modes} Gaussians (made on the fly)"
        self._centres = centres(config.ring.modes, config.ring.radius, device)
        made = ring_widths(config.gan.noise_size, 2)
        nets = self._network(made, "generator"), self._network(ring_widths(2, 1), "discriminator")
        self._gan = Adversaries(
            config.seed, device, nets, config.optim, config.gan, lambda points: points, ranks
        )
        last = self.epochs - 1
        self._pictured = {1 + round(last * i / (PICTURES - 1)) for i in range(PICTURES)}

    def _network(self, widths: tuple[int, ...], name: str) -> Mlp:
        return Mlp(widths, generator("cpu", self.seed, "init", name), orthogonal=True)

    def start(self) -> Evaluation:
        return Evaluation()

    def step(self, epoch: int, index: int) -> tuple[dict[str, Tensor], int]:
        source = generator(self._device, self.seed, "real", epoch, index)
        share = self._ranks.share(self._config.train.batch_size)
        real = sample(share.total, self._centres, self._config.ring.std, source)
        return self._gan.step(real[share.part], share, "noise", epoch, index), share.total

    def evaluate(self, epoch: int) -> Evaluation:
        ring = self._config.ring
        share = self._ranks.share(ring.samples)
        made = self._gan.generate(self._gan.noise(share.total, "score")[share.part])
        samples = self._ranks.gather(made, share)
        measured = asdict(coverage(samples, self._centres, ring.std))
        arrays = {"samples": samples.cpu().numpy()} if epoch in self._pictured else {}
        return Evaluation(measured, arrays)

    def finish(self) -> Evaluation:
        return Evaluation()

    def state(self) -> dict[str, Any]:
        return self._gan.state()

    def load_state(self, state: dict[str, Any]) -> None:
        self._gan.load_state(state)

    def weights(self) -> dict[str, Tensor]:
        return self._gan.weights()
