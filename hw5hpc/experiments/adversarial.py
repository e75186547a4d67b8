"""What GAN experiments share: two networks, their state, and the one unrolled step."""

from typing import Any

import torch
from torch import Tensor

from hw5hpc.engine.distributed import Ranks, Share
from hw5hpc.engine.random import generator
from hw5hpc.engine.unroll import Flat, GanHyper, GanState, gan_step
from hw5hpc.experiments.gan.config import GanOptimConfig, UnrollConfig
from hw5hpc.models.mlp import Mlp


class Adversaries:
    """A generator and a discriminator in training; half of engine.loop.Training."""

    def __init__(
        self,
        seed: int,
        device: torch.device,
        nets: tuple[Mlp, Mlp],
        optim: GanOptimConfig,
        unroll: UnrollConfig,
        ranks: Ranks,
    ) -> None:
        self._ranks = ranks
        self._seed, self._device, self._noise_size = seed, device, unroll.noise_size
        self._nets = Flat(nets[0].to(device)), Flat(nets[1].to(device))
        self._state = GanState.start(*self._nets)
        self._hyper = GanHyper(
            lr_generator=optim.lr,
            lr_discriminator=optim.lr_discriminator,
            beta1=optim.beta1,
            beta2=optim.beta2,
            eps=optim.eps,
            unroll_steps=unroll.unroll_steps,
            objective=unroll.objective,
        )

    def noise(self, count: int, *stream: str | int) -> Tensor:
        """Draw [count, noise size] from one named stream."""
        source = generator(self._device, self._seed, *stream)
        return torch.randn(count, self._noise_size, generator=source, device=self._device)

    def step(self, real: Tensor, share: Share, *stream: str | int) -> dict[str, Tensor]:
        """Train both networks on one batch, of which `real` is this rank's share.

        Returns this rank's parts of the mean losses.
        """
        noise = self.noise(share.total, *stream)[share.part]
        self._state, losses = gan_step(
            self._state, self._nets, real, noise, self._hyper, self._ranks.sum, share.total
        )
        return losses

    @torch.no_grad()
    def generate(self, noise: Tensor) -> Tensor:
        return self._nets[0](self._state.generator, noise)

    def state(self) -> dict[str, Any]:
        return self._state.state_dict()

    def load_state(self, state: dict[str, Any]) -> None:
        self._state = GanState.from_state_dict(state)

    def weights(self) -> dict[str, Tensor]:
        made, judge = self._nets
        return {
            **_prefixed("generator.", made.named(self._state.generator)),
            **_prefixed("discriminator.", judge.named(self._state.discriminator)),
        }


def _prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: tensor.clone() for name, tensor in tensors.items()}
