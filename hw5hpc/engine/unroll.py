"""The unrolled GAN step (Metz et al. 2016, section 2) as one pure function of state and batch.

Before each generator step, K discriminator updates are simulated on the same batch and the
generator's gradient flows back through them; then the real discriminator keeps one update.
What the generator descends on at the end of the lookahead is one of OBJECTIVES.
Parameters travel as one flat vector a network, which makes Adam a handful of kernels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

Reduce = Callable[[Tensor], Tensor]


def identity(gradient: Tensor) -> Tensor:
    return gradient


class Flat:
    """A module called with all its parameters in one vector; it must have no buffers."""

    def __init__(self, module: nn.Module) -> None:
        if any(True for _ in module.buffers()):
            raise ValueError("a module with buffers has a state that a vector cannot carry")
        self._module = module
        named = dict(module.named_parameters())
        self._shapes = {name: parameter.shape for name, parameter in named.items()}
        self._sizes = [parameter.numel() for parameter in named.values()]

    def vector(self) -> Tensor:
        """Return the module's present parameters: [number of parameters]."""
        parameters = [parameter.detach().flatten() for parameter in self._module.parameters()]
        return torch.cat(parameters)

    def named(self, vector: Tensor) -> dict[str, Tensor]:
        """Return the vector as {parameter name: view of its shape}."""
        # One split has one concatenation as its gradient; slices would pad a full vector each.
        parts = vector.split(self._sizes)
        shapes = self._shapes.items()
        return {name: part.view(shape) for (name, shape), part in zip(shapes, parts, strict=True)}

    def __call__(self, vector: Tensor, inputs: Tensor) -> Tensor:
        out: Tensor = torch.func.functional_call(self._module, self.named(vector), (inputs,))
        return out


@dataclass(frozen=True)
class Adam:
    """Adam's state for one vector: first and second moment, and the number of updates so far.

    The number is a 0-dim int64 tensor beside the moments: a captured step would keep a Python
    number as it was.
    """

    mean: Tensor
    square: Tensor
    count: Tensor

    @classmethod
    def zeros(cls, like: Tensor) -> "Adam":
        count = torch.zeros((), dtype=torch.int64, device=like.device)
        return cls(torch.zeros_like(like), torch.zeros_like(like), count)

    @classmethod
    def from_state_dict(cls, state: dict[str, Any]) -> "Adam":
        # Checkpoints of earlier versions hold the count as a number.
        count = torch.as_tensor(state["count"], device=state["mean"].device)
        return cls(state["mean"], state["square"], count)


@dataclass(frozen=True)
class GanHyper:
    """What a GAN step is told: Adam's settings, K (the lookahead's length), one of OBJECTIVES."""

    lr_generator: float
    lr_discriminator: float
    beta1: float = 0.5
    beta2: float = 0.999
    eps: float = 1e-8
    unroll_steps: int = 0
    objective: str = "non_saturating"


@dataclass(frozen=True)
class GanState:
    """Both networks' parameters and Adam states; nothing else decides the next step."""

    generator: Tensor
    discriminator: Tensor
    generator_adam: Adam
    discriminator_adam: Adam

    @classmethod
    def start(cls, generator: Flat, discriminator: Flat) -> "GanState":
        g, d = generator.vector(), discriminator.vector()
        return cls(g, d, Adam.zeros(g), Adam.zeros(d))

    def state_dict(self) -> dict[str, Any]:
        """Return nested dicts of tensors and numbers, as a checkpoint holds them."""
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "generator_adam": dict(vars(self.generator_adam)),
            "discriminator_adam": dict(vars(self.discriminator_adam)),
        }

    @classmethod
    def from_state_dict(cls, state: dict[str, Any]) -> "GanState":
        return cls(
            state["generator"],
            state["discriminator"],
            Adam.from_state_dict(state["generator_adam"]),
            Adam.from_state_dict(state["discriminator_adam"]),
        )

    def tensors(self) -> list[Tensor]:
        """Return every tensor of the state, in one order."""
        g, d = self.generator_adam, self.discriminator_adam
        moments = [g.mean, g.square, d.mean, d.square]
        return [self.generator, self.discriminator, *moments, g.count, d.count]

    def overwrite(self, new: "GanState") -> None:
        """Take over the values of a state of the same shapes; the tensors stay where they are."""
        for old, value in zip(self.tensors(), new.tensors(), strict=True):
            old.copy_(value)


@dataclass(frozen=True)
class Correction:
    """What one update takes for Adam's bias corrections, 0-dim: minus its rate, and its scale."""

    negative_rate: Tensor
    scale: Tensor


def corrections(adam: Adam, updates: int, lr: float, hyper: GanHyper) -> list[Correction]:
    """Return the next updates' bias corrections, taken in double precision."""
    counts = torch.arange(1, updates + 1, dtype=torch.float64, device=adam.count.device)
    counts = counts + adam.count
    rates = -lr / (1 - torch.pow(hyper.beta1, counts))
    scales = (1 - torch.pow(hyper.beta2, counts)).sqrt()
    kind = adam.mean.dtype
    pairs = zip(rates.to(kind).unbind(), scales.to(kind).unbind(), strict=True)
    return [Correction(rate, scale) for rate, scale in pairs]


def adam_update(
    vector: Tensor, gradient: Tensor, adam: Adam, correction: Correction, hyper: GanHyper
) -> tuple[Tensor, Adam]:
    """One Adam step (Kingma and Ba 2015, algorithm 1), differentiable in every tensor.

    The order of operations is torch.optim.Adam's, so the numbers are its numbers.
    """
    mean = torch.lerp(adam.mean, gradient, 1 - hyper.beta1)
    square = torch.addcmul(hyper.beta2 * adam.square, gradient, gradient, value=1 - hyper.beta2)
    denominator = _sqrt(square) / correction.scale + hyper.eps
    updated = torch.addcdiv(vector, mean * correction.negative_rate, denominator)
    return updated, Adam(mean, square, adam.count + 1)


def _sqrt(square: Tensor) -> Tensor:
    """Square root with gradient 0 at 0, where a dead ReLU's infinite slope would give NaN."""
    if not square.requires_grad:
        return square.sqrt()
    positive = square > 0
    return torch.where(positive, torch.where(positive, square, 1.0).sqrt(), 0.0)


def _mean(values: Tensor, count: int) -> Tensor:
    """The mean, or this rank's part of it when only some of `count` values are here."""
    return values.mean() if len(values) == count else values.sum() / count


@dataclass(frozen=True)
class Judgement:
    """A discriminator's loss f on a batch, and its logits of the fakes (of `count` samples)."""

    loss: Tensor
    on_fake: Tensor
    count: int


def _judge(
    discriminator: Flat, vector: Tensor, real: Tensor, fake: Tensor, count: int
) -> Judgement:
    on_real, on_fake = discriminator(vector, torch.cat([real, fake])).split([len(real), len(fake)])
    loss = _mean(softplus(-on_real), count) + _mean(softplus(on_fake), count)
    return Judgement(loss, on_fake, count)


def _saddle(judged: Judgement) -> Tensor:
    """Minus the discriminator's loss at theta_K: the surrogate f_K of Metz et al. 2016, section 2.

    The term of the real samples belongs to it: theta_K depends on the generator, too.
    """
    return -judged.loss


def _non_saturating(judged: Judgement) -> Tensor:
    """E[softplus(-D(G(z)))] at theta_K, on the fakes alone (Goodfellow et al. 2014, section 3)."""
    return _mean(softplus(-judged.on_fake), judged.count)


OBJECTIVES: dict[str, Callable[[Judgement], Tensor]] = {
    "saddle": _saddle,
    "non_saturating": _non_saturating,
}


def gan_step(
    state: GanState,
    nets: tuple[Flat, Flat],
    real: Tensor,
    noise: Tensor,
    hyper: GanHyper,
    reduce: Reduce = identity,
    batch: int | None = None,
) -> tuple[GanState, dict[str, Tensor]]:
    """One step of generator and discriminator on one batch, or on this rank's share of it.

    The discriminator minimises f = E[softplus(-D(x))] + E[softplus(D(G(z)))]. The generator
    minimises its objective at theta_K, the discriminator after K simulated Adam steps on f,
    differentiated through them (Metz et al. 2016, section 2). K = 0 is the vanilla GAN. The
    discriminator's new state depends neither on K nor on the objective.

    Args:
        state: parameters and Adam states before the step.
        nets: (generator, discriminator).
        real: [samples, features]; a share may be empty.
        noise: [samples, noise size].
        hyper: learning rates, Adam's settings, K, the generator's objective.
        reduce: adds up a gradient over ranks, differentiably: the lookahead's steps depend on it.
        batch: the number of samples over all ranks; None when they are all here.

    Returns:
        The new state, and the detached 0-dim losses `discriminator_loss`, `generator_loss`: this
        rank's parts, which add up to the means over the batch.
    """
    generator, discriminator = nets
    count = len(real) if batch is None else batch
    theta_g = state.generator.detach().requires_grad_()
    theta_d = state.discriminator.detach().requires_grad_()
    batched = (real, generator(theta_g, noise), count)
    judged = _judge(discriminator, theta_d, *batched)
    adam_g, adam_d = state.generator_adam, state.discriminator_adam
    now_g = corrections(adam_g, 1, hyper.lr_generator, hyper)[0]
    coming = corrections(adam_d, max(hyper.unroll_steps, 1), hyper.lr_discriminator, hyper)
    ahead, first = _look_ahead(
        discriminator, theta_d, batched, judged, adam_d, coming, hyper, reduce
    )
    loss_g = OBJECTIVES[hyper.objective](ahead)
    (gradient_g,) = torch.autograd.grad(loss_g, theta_g)
    with torch.no_grad():
        new_g, adam_g = adam_update(state.generator, reduce(gradient_g), adam_g, now_g, hyper)
        new_d, adam_d = adam_update(state.discriminator, first, adam_d, coming[0], hyper)
    losses = {"discriminator_loss": judged.loss.detach(), "generator_loss": loss_g.detach()}
    return GanState(new_g, new_d, adam_g, adam_d), losses


def _look_ahead(
    discriminator: Flat,
    theta_d: Tensor,
    batch: tuple[Tensor, Tensor, int],
    judged: Judgement,
    adam: Adam,
    coming: list[Correction],
    hyper: GanHyper,
    reduce: Reduce,
) -> tuple[Judgement, Tensor]:
    """Simulate K discriminator steps; return the judgement at theta_K, and f's first gradient."""
    steps, ahead = hyper.unroll_steps, theta_d
    (gradient,) = torch.autograd.grad(judged.loss, ahead, create_graph=steps > 0, retain_graph=True)
    first = reduced = reduce(gradient)
    for step in range(steps):
        ahead, adam = adam_update(ahead, reduced, adam, coming[step], hyper)
        judged = _judge(discriminator, ahead, *batch)
        if step + 1 < steps:
            (gradient,) = torch.autograd.grad(judged.loss, ahead, create_graph=True)
            reduced = reduce(gradient)
    return judged, first.detach()
