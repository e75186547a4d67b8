"""What GAN experiments share: two networks, their state, and the one unrolled step."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from hw5hpc.engine.distributed import Ranks, Share
from hw5hpc.engine.random import generator
from hw5hpc.engine.replay import Replay, graphs_for
from hw5hpc.engine.unroll import Flat, GanHyper, GanState, gan_step
from hw5hpc.experiments.gan.config import GanOptimConfig, UnrollConfig
from hw5hpc.models.mlp import Mlp

LOSSES = ("discriminator_loss", "generator_loss")


class Adversaries:
    """A generator and a discriminator in training; half of engine.loop.Training.

    Args:
        seed: of the noise.
        nets: (generator, discriminator), freshly initialised.
        optim: learning rates, and Adam's settings.
        unroll: the lookahead's length, the size of the noise, the generator's objective.
        real: makes of what `step` is given this rank's share of the real batch, [n, features].
        ranks: the processes that train together.
    """

    def __init__(
        self,
        seed: int,
        device: torch.device,
        nets: tuple[Mlp, Mlp],
        optim: GanOptimConfig,
        unroll: UnrollConfig,
        real: Callable[[Tensor], Tensor],
        ranks: Ranks,
    ) -> None:
        self._ranks, self._real = ranks, real
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
        self._replay = self._fresh_replay()

    def _fresh_replay(self) -> Replay:
        graphs = graphs_for(self._device, self._ranks.alone)
        return Replay(self._take, self._state.tensors, graphs)

    def noise(self, count: int, *stream: str | int) -> Tensor:
        """Draw [count, noise size] from one named stream."""
        source = generator(self._device, self._seed, *stream)
        return torch.randn(count, self._noise_size, generator=source, device=self._device)

    def step(self, chosen: Tensor, share: Share, *stream: str | int) -> dict[str, Tensor]:
        """Train both networks on one batch, of which `chosen` is this rank's share.

        Returns this rank's parts of the mean losses.
        """
        self._total = share.total
        noise = self.noise(share.total, *stream)[share.part]
        return dict(zip(LOSSES, self._replay(chosen, noise).unbind(), strict=True))

    def _take(self, chosen: Tensor, noise: Tensor) -> Tensor:
        new, losses = gan_step(
            self._state,
            self._nets,
            self._real(chosen),
            noise,
            self._hyper,
            self._ranks.sum,
            self._total,
        )
        if self._replay.captures:
            self._state.overwrite(new)
        else:
            self._state = new
        return torch.stack([losses[name] for name in LOSSES])

    @torch.no_grad()
    def generate(self, noise: Tensor) -> Tensor:
        return self._nets[0](self._state.generator, noise)

    def state(self) -> dict[str, Any]:
        return self._state.state_dict()

    def load_state(self, state: dict[str, Any]) -> None:
        self._state = GanState.from_state_dict(state)
        self._replay = self._fresh_replay()

    def weights(self) -> dict[str, Tensor]:
        made, judge = self._nets
        return {
            **_prefixed("generator.", made.named(self._state.generator)),
            **_prefixed("discriminator.", judge.named(self._state.discriminator)),
        }


def _prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: tensor.clone() for name, tensor in tensors.items()}
