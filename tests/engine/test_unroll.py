"""The unrolled step: its gradient, what it leaves alone, and the plain GAN it becomes at K = 0."""

import dataclasses
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from hw5hpc.engine.unroll import Adam, Flat, GanHyper, GanState, adam_update, gan_step

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
    state: GanState, nets: tuple[Flat, Flat], real: Tensor, noise: Tensor, steps: int
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
    return softplus(-discriminator(d, fake)).mean()


def generator_gradient(steps: int, detach: bool = False) -> tuple[Tensor, Tensor]:
    """Return (gradient read off a gan_step, theta_G); Adam's first moment gives it back."""
    state, nets, real, noise = setting()
    hyper = dataclasses.replace(HYPER, unroll_steps=steps, beta1=0.5)
    reduce = (lambda g: g.detach()) if detach else (lambda g: g)
    new, _ = gan_step(state, nets, real, noise, hyper, reduce)
    return (new.generator_adam.mean - 0.5 * state.generator_adam.mean) / 0.5, state.generator


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_the_generators_gradient_equals_finite_differences(steps: int) -> None:
    gradient, theta = generator_gradient(steps)
    state, nets, real, noise = setting()
    step, numeric = 1e-6, torch.zeros_like(theta)
    for index in range(len(theta)):
        sides = []
        for sign in (1, -1):
            moved = theta.clone()
            moved[index] += sign * step
            shifted = dataclasses.replace(state, generator=moved)
            sides.append(generator_loss(shifted, nets, real, noise, steps).detach())
        numeric[index] = (sides[0] - sides[1]) / (2 * step)
    assert torch.allclose(gradient, numeric, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_a_detached_lookahead_gives_another_gradient(steps: int) -> None:
    through, _ = generator_gradient(steps)
    around, _ = generator_gradient(steps, detach=True)
    assert (through - around).norm() > 1e-3 * through.norm()


def test_the_discriminators_state_does_not_depend_on_the_depth() -> None:
    states = []
    for steps in (0, 1, 2, 5):
        state, nets, real, noise = setting()
        hyper = dataclasses.replace(HYPER, unroll_steps=steps)
        states.append(gan_step(state, nets, real, noise, hyper)[0])
    for other in states[1:]:
        assert torch.equal(states[0].discriminator, other.discriminator)
        assert torch.equal(states[0].discriminator_adam.square, other.discriminator_adam.square)
        assert not torch.equal(states[0].generator, other.generator)


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
        assert float(losses["loss_discriminator"]) == pytest.approx(
            float(loss_d.detach()), rel=1e-12
        )
        assert float(losses["loss_generator"]) == pytest.approx(float(loss_g.detach()), rel=1e-12)
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
        vector, adam = adam_update(vector, gradient, adam, 1e-2, HYPER)
    assert torch.allclose(vector, parameter.detach(), rtol=1e-13, atol=1e-13)


def test_dead_units_give_no_nan() -> None:
    """A gradient that is exactly 0 from the start has sqrt(0) in Adam, of infinite slope."""
    nets = Flat(small((3, 5, 2), 1, nn.ReLU)), Flat(small((2, 6, 1), 2, nn.ReLU))
    state = GanState.start(*nets)
    dead = state.discriminator.clone()
    dead[: 2 * 6] = 0.0
    dead[2 * 6 : 3 * 6] = -1.0
    state = dataclasses.replace(state, discriminator=dead)
    hyper = dataclasses.replace(HYPER, unroll_steps=3)
    real, noise = torch.randn(7, 2, dtype=D64), torch.randn(7, 3, dtype=D64)
    new, _ = gan_step(state, nets, real, noise, hyper)
    assert bool(new.generator.isfinite().all())
    assert bool(new.discriminator.isfinite().all())


def test_a_state_comes_back_from_its_dict() -> None:
    state, *_ = setting()
    again = GanState.from_state_dict(state.state_dict())
    assert torch.equal(again.generator, state.generator)
    assert again.discriminator_adam.count == state.discriminator_adam.count == 3


def test_a_module_with_buffers_is_refused() -> None:
    with pytest.raises(ValueError, match="buffers"):
        Flat(nn.BatchNorm1d(3))
