"""The unrolled step: its gradient, what it leaves alone, and the plain GAN it becomes at K = 0."""

import dataclasses
import io
import itertools
import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

import hw5hpc.engine.unroll as unroll
from hw5hpc.engine.unroll import (
    OBJECTIVES,
    Adam,
    Flat,
    GanHyper,
    GanState,
    adam_update,
    corrections,
    gan_step,
)
from hw5hpc.models.mlp import Mlp, discriminator_widths, generator_widths, ring_widths

D64 = torch.float64
HYPER = GanHyper(lr_generator=1e-2, lr_discriminator=1e-2)


def small(widths: tuple[int, ...], seed: int, act: type[nn.Module] = nn.Tanh) -> nn.Sequential:
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs, dtype=D64), act()]
    return nn.Sequential(*layers[:-1])


def setting(
    act: type[nn.Module] = nn.Tanh,
) -> tuple[GanState, tuple[Flat, Flat], Tensor, Tensor]:
    """Smooth small networks in float64, a few steps into training, and one batch."""
    nets = Flat(small((3, 5, 2), 1, act)), Flat(small((2, 6, 1), 2, act))
    state = GanState.start(*nets)
    source = torch.Generator().manual_seed(3)
    for _ in range(3):
        real = torch.randn(7, 2, dtype=D64, generator=source)
        noise = torch.randn(7, 3, dtype=D64, generator=source)
        state, _ = gan_step(state, nets, real, noise, HYPER)
    return state, nets, real, noise


def generator_loss(
    state: GanState,
    nets: tuple[Flat, Flat],
    real: Tensor,
    noise: Tensor,
    steps: int,
    objective: str,
) -> Tensor:
    """The unrolled objective written plainly, with torch.optim's Adam formula by hand."""
    generator, discriminator = nets
    theta, d = state.generator, state.discriminator.detach().requires_grad_()
    fake = generator(theta, noise)
    m, v, t = state.discriminator_adam.mean, state.discriminator_adam.square, 3
    for _ in range(steps):
        loss = softplus(-discriminator(d, real)).mean() + softplus(discriminator(d, fake)).mean()
        (g,) = torch.autograd.grad(loss, d, create_graph=True)
        t += 1
        m, v = 0.5 * m + 0.5 * g, 0.999 * v + 0.001 * g * g
        d = d - 1e-2 * (m / (1 - 0.5**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
    if objective == "saddle":
        return -softplus(-discriminator(d, real)).mean() - softplus(discriminator(d, fake)).mean()
    return softplus(-discriminator(d, fake)).mean()


def generator_gradient(
    steps: int, objective: str = "non_saturating", detach: bool = False
) -> tuple[Tensor, Tensor]:
    """Return (gradient read off a gan_step, theta_G); Adam's first moment gives it back."""
    state, nets, real, noise = setting()
    hyper = dataclasses.replace(HYPER, unroll_steps=steps, objective=objective)
    reduce = (lambda g: g.detach()) if detach else (lambda g: g)
    new, _ = gan_step(state, nets, real, noise, hyper, reduce)
    return (new.generator_adam.mean - 0.5 * state.generator_adam.mean) / 0.5, state.generator


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_the_generators_gradient_equals_finite_differences(steps: int, objective: str) -> None:
    gradient, theta = generator_gradient(steps, objective)
    state, nets, real, noise = setting()
    step, numeric = 1e-6, torch.zeros_like(theta)
    for index in range(len(theta)):
        sides = []
        for sign in (1, -1):
            moved = theta.clone()
            moved[index] += sign * step
            shifted = dataclasses.replace(state, generator=moved)
            sides.append(generator_loss(shifted, nets, real, noise, steps, objective).detach())
        numeric[index] = (sides[0] - sides[1]) / (2 * step)
    assert torch.allclose(gradient, numeric, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_a_detached_lookahead_gives_another_gradient(steps: int, objective: str) -> None:
    through, _ = generator_gradient(steps, objective)
    around, _ = generator_gradient(steps, objective, detach=True)
    assert (through - around).norm() > 1e-3 * through.norm()


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_the_term_of_the_real_samples_acts_through_the_lookahead(
    steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = generator_gradient(steps, "saddle")

    def of_the_fakes(judged: unroll.Judgement) -> Tensor:
        return -softplus(judged.on_fake).mean()

    monkeypatch.setitem(OBJECTIVES, "saddle", of_the_fakes)
    assert (whole - generator_gradient(steps, "saddle")[0]).norm() > 1e-3 * whole.norm()
    # Without a lookahead the real samples do not reach the generator.
    without, _ = generator_gradient(0, "saddle")
    monkeypatch.undo()
    assert torch.allclose(without, generator_gradient(0, "saddle")[0], rtol=1e-12, atol=0)


def test_the_discriminators_state_depends_neither_on_the_depth_nor_on_the_objective() -> None:
    states = []
    for steps, objective in itertools.product((0, 1, 2, 5), OBJECTIVES):
        state, nets, real, noise = setting()
        hyper = dataclasses.replace(HYPER, unroll_steps=steps, objective=objective)
        states.append(gan_step(state, nets, real, noise, hyper)[0])
    for other in states[1:]:
        assert torch.equal(states[0].discriminator, other.discriminator)
        assert torch.equal(states[0].discriminator_adam.square, other.discriminator_adam.square)
        assert not torch.equal(states[0].generator, other.generator)


PAIRS = {
    "images": (generator_widths(100), discriminator_widths(), 784),
    "ring": (ring_widths(256, 2), ring_widths(2, 1), 2),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_nor_does_it_at_full_size_in_single_precision(pair: str) -> None:
    made, judged, features = PAIRS[pair]
    source = torch.Generator().manual_seed(0)
    nets = Flat(Mlp(made, source)), Flat(Mlp(judged, source))
    start = GanState.start(*nets)
    real = torch.randn(128, features, generator=source)
    noise = torch.randn(128, made[0], generator=source)
    states = []
    for steps in (0, 1, 3):
        hyper = dataclasses.replace(HYPER, unroll_steps=steps)
        states.append(gan_step(start, nets, real, noise, hyper)[0])
    for other in states[1:]:
        assert torch.equal(states[0].discriminator, other.discriminator)
        for moment in ("mean", "square"):
            one, two = (getattr(s.discriminator_adam, moment) for s in (states[0], other))
            assert torch.equal(one, two)


@pytest.mark.parametrize("steps", [0, 1, 4])
def test_every_gradient_is_reduced_once(steps: int) -> None:
    """One for each lookahead step (the first is the real update's too), one for the generator."""
    state, nets, real, noise = setting()
    sizes: list[int] = []

    def reduce(gradient: Tensor) -> Tensor:
        sizes.append(len(gradient))
        return gradient

    hyper = dataclasses.replace(HYPER, unroll_steps=steps)
    gan_step(state, nets, real, noise, hyper, reduce)
    assert sizes == [len(state.discriminator)] * max(steps, 1) + [len(state.generator)]


def test_a_step_leaves_the_state_it_was_given_alone() -> None:
    state, nets, real, noise = setting()
    before = {name: tensor.clone() for name, tensor in flattened(state).items()}
    hyper = dataclasses.replace(HYPER, unroll_steps=2)
    new, losses = gan_step(state, nets, real, noise, hyper)
    assert all(torch.equal(before[name], tensor) for name, tensor in flattened(state).items())
    left = [*flattened(new).values(), *losses.values()]
    assert not any(tensor.requires_grad for tensor in left)


def flattened(state: GanState) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for name, part in state.state_dict().items():
        parts = part if isinstance(part, dict) else {"": part}
        found |= {name + key: tensor for key, tensor in parts.items() if isinstance(tensor, Tensor)}
    return found


def test_depth_zero_is_the_plain_gan_with_torchs_adam() -> None:
    g, d = small((3, 5, 2), 1, nn.ReLU), small((2, 6, 1), 2, nn.ReLU)
    nets = Flat(g), Flat(d)
    state = GanState.start(*nets)
    optim_g = torch.optim.Adam(g.parameters(), lr=1e-2, betas=(0.5, 0.999))
    optim_d = torch.optim.Adam(d.parameters(), lr=1e-2, betas=(0.5, 0.999))
    source = torch.Generator().manual_seed(0)
    for _ in range(10):
        real = torch.randn(7, 2, dtype=D64, generator=source)
        noise = torch.randn(7, 3, dtype=D64, generator=source)
        state, losses = gan_step(state, nets, real, noise, HYPER)
        loss_d = softplus(-d(real)).mean() + softplus(d(g(noise).detach())).mean()
        loss_g = softplus(-d(g(noise))).mean()
        gradients = torch.autograd.grad(loss_g, list(g.parameters()))
        optim_d.zero_grad()
        loss_d.backward()
        optim_d.step()
        for parameter, gradient in zip(g.parameters(), gradients, strict=True):
            parameter.grad = gradient
        optim_g.step()
        assert float(losses["discriminator_loss"]) == pytest.approx(
            float(loss_d.detach()), rel=1e-12
        )
        assert float(losses["generator_loss"]) == pytest.approx(float(loss_g.detach()), rel=1e-12)
    assert torch.allclose(state.generator, nets[0].vector(), rtol=1e-12, atol=1e-12)
    assert torch.allclose(state.discriminator, nets[1].vector(), rtol=1e-12, atol=1e-12)


def test_adam_is_torchs_adam() -> None:
    vector = torch.randn(50, dtype=D64, generator=torch.Generator().manual_seed(0))
    parameter = nn.Parameter(vector.clone())
    optim = torch.optim.Adam([parameter], lr=1e-2, betas=(0.5, 0.999))
    adam, source = Adam.zeros(vector), torch.Generator().manual_seed(1)
    for _ in range(20):
        gradient = torch.randn(50, dtype=D64, generator=source)
        parameter.grad = gradient.clone()
        optim.step()
        correction = corrections(adam, 1, 1e-2, HYPER)[0]
        vector, adam = adam_update(vector, gradient, adam, correction, HYPER)
    assert torch.allclose(vector, parameter.detach(), rtol=1e-13, atol=1e-13)


def with_a_dead_unit() -> tuple[GanState, tuple[Flat, Flat], Tensor, Tensor]:
    """A ReLU discriminator of which one hidden unit is silent on every input."""
    nets = Flat(small((3, 5, 2), 1, nn.ReLU)), Flat(small((2, 6, 1), 2, nn.ReLU))
    state = GanState.start(*nets)
    dead = nets[1].named(state.discriminator.clone())
    dead["0.weight"][4], dead["0.bias"][4] = 0.0, -1.0
    vector = torch.cat([part.flatten() for part in dead.values()])
    source = torch.Generator().manual_seed(5)
    real = torch.randn(7, 2, dtype=D64, generator=source)
    noise = torch.randn(7, 3, dtype=D64, generator=source)
    return dataclasses.replace(state, discriminator=vector), nets, real, noise


def test_dead_units_give_no_nan(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gradient that is exactly 0 from the start has sqrt(0) in Adam, of infinite slope."""
    state, nets, real, noise = with_a_dead_unit()
    hyper = dataclasses.replace(HYPER, unroll_steps=3)
    new, _ = gan_step(state, nets, real, noise, hyper)
    assert bool(new.generator.isfinite().all())
    assert bool(new.discriminator.isfinite().all())
    assert not torch.equal(new.generator, state.generator)
    # The plain square root fails on this very batch, so the test sees what it is for.
    monkeypatch.setattr(unroll, "_sqrt", torch.sqrt)
    plain, losses = gan_step(state, nets, real, noise, hyper)
    assert bool(plain.generator.isnan().any())
    assert bool(losses["generator_loss"].isfinite())


def test_the_guarded_root_has_torchs_values() -> None:
    values = torch.tensor([0.0, 1e-320, 1e-12, 2.0, math.inf], dtype=D64)
    guarded = unroll._sqrt(values.clone().requires_grad_())
    assert torch.equal(guarded.detach(), values.sqrt())


def test_a_state_comes_back_from_a_checkpoint_file() -> None:
    state, nets, real, noise = setting()
    file = io.BytesIO()
    torch.save(state.state_dict(), file)
    file.seek(0)
    again = GanState.from_state_dict(torch.load(file, weights_only=True))
    one, _ = gan_step(state, nets, real, noise, HYPER)
    other, _ = gan_step(again, nets, real, noise, HYPER)
    assert torch.equal(one.generator, other.generator)
    assert torch.equal(one.discriminator, other.discriminator)
    assert one.generator_adam.count == other.generator_adam.count == 4


def test_a_module_with_buffers_is_refused() -> None:
    with pytest.raises(ValueError, match="buffers"):
        Flat(nn.BatchNorm1d(3))
