"""Training steps as a user would write them, to measure this suite's own against.

A loop reads its batches from a DataLoader and looks at each loss; a bare step is the same
mathematics in as few lines as there can be, with what makes it fast and nothing that a study needs.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, softplus
from torch.utils.data import DataLoader, TensorDataset

from hw5hpc.models.cnn import Cnn
from hw5hpc.models.mlp import Mlp, discriminator_widths, generator_widths

Step = Callable[[], object]


def _batches(batch: int, *data: Tensor) -> Iterator[list[Tensor]]:
    loader = DataLoader(TensorDataset(*data), batch, shuffle=True)
    while True:
        yield from loader


def _rounded(device: str, bf16: bool) -> Any:
    return torch.autocast(device, torch.bfloat16) if bf16 else contextlib.nullcontext()


def cnn_loop(device: str, norm: bool = False, bf16: bool = False, count: int = 4096) -> Step:
    """One step of the CNN: floats from a DataLoader, Adam as it comes, the loss read each time."""
    net = Cnn(torch.Generator().manual_seed(0), batch_norm=norm).to(device)
    optim = torch.optim.Adam(net.parameters())
    found = _batches(32, torch.rand(count, 3, 32, 32), torch.randint(10, (count,)))

    def step() -> object:
        x, y = (part.to(device) for part in next(found))
        with _rounded(device, bf16):
            loss = cross_entropy(net(x), y)
        optim.zero_grad()
        loss.backward()
        optim.step()
        return loss.item()

    return step


def cnn_bare(norm: bool = False, bf16: bool = False, count: int = 4096) -> Step:
    """One step of the CNN on the CPU: bytes in memory, channels last, fused Adam."""
    net = Cnn(torch.Generator().manual_seed(0), batch_norm=norm)
    net = net.to(memory_format=torch.channels_last)
    optim = torch.optim.Adam(net.parameters(), fused=True)
    images = torch.randint(256, (count, 3, 32, 32), dtype=torch.uint8)
    labels, order = torch.randint(10, (count,)), torch.randperm(count)
    numbers = iter(range(10**9))

    def step() -> object:
        at = 32 * next(numbers) % count
        chosen = order[at : at + 32]
        x = images[chosen].float().div_(255).contiguous(memory_format=torch.channels_last)
        with _rounded("cpu", bf16):
            loss = cross_entropy(net(x), labels[chosen])
        optim.zero_grad()
        loss.backward()
        optim.step()
        return loss.detach()

    return step


def gan_loop(device: str, count: int = 4096) -> Step:
    """One step of the GAN without unrolling: two modules, two optimizers, both losses read."""
    source = torch.Generator().manual_seed(0)
    g = Mlp(generator_widths(100), source, output="tanh").to(device)
    d = Mlp(discriminator_widths(), source).to(device)
    optim_g, optim_d = (torch.optim.Adam(net.parameters(), 1e-4, (0.5, 0.999)) for net in (g, d))
    found = _batches(128, torch.rand(count, 784) * 2 - 1)

    def step() -> object:
        (real,) = next(found)
        fake = g(torch.randn(len(real), 100, device=device))
        loss_d = softplus(-d(real.to(device))).mean() + softplus(d(fake.detach())).mean()
        optim_d.zero_grad()
        loss_d.backward()
        optim_d.step()
        loss_g = softplus(-d(fake)).mean()
        optim_g.zero_grad()
        loss_g.backward()
        optim_g.step()
        return loss_d.item(), loss_g.item()

    return step


def unrolled_loop(depth: int, count: int = 4096) -> Step:
    """One step of the GAN with so many unrolled ones, Adam by hand in the modules' own tensors."""
    source = torch.Generator().manual_seed(0)
    made = Mlp(generator_widths(100), source, output="tanh")
    judge = Mlp(discriminator_widths(), source)
    optim_g = torch.optim.Adam(made.parameters(), 1e-3, (0.5, 0.999))
    optim_d = torch.optim.Adam(judge.parameters(), 1e-4, (0.5, 0.999))
    found = _batches(128, torch.rand(count, 784) * 2 - 1)
    names = [name for name, _ in judge.named_parameters()]

    def loss_of(weights: list[Tensor], real: Tensor, fake: Tensor) -> Tensor:
        named = dict(zip(names, weights, strict=True))
        on_real, on_fake = (torch.func.functional_call(judge, named, (x,)) for x in (real, fake))
        return softplus(-on_real).mean() + softplus(on_fake).mean()

    def look_ahead(real: Tensor, fake: Tensor) -> list[Tensor]:
        weights = list(judge.parameters())
        means = [torch.zeros_like(w) for w in weights]
        squares = [torch.zeros_like(w) for w in weights]
        for count in range(1, depth + 1):
            slopes = torch.autograd.grad(loss_of(weights, real, fake), weights, create_graph=True)
            means = [0.5 * m + 0.5 * s for m, s in zip(means, slopes, strict=True)]
            squares = [0.999 * q + 0.001 * s * s for q, s in zip(squares, slopes, strict=True)]
            rate, scale = 1e-4 / (1 - 0.5**count), 1 - 0.999**count
            weights = [
                w - rate * m / ((q / scale + 1e-16).sqrt() + 1e-8)
                for w, m, q in zip(weights, means, squares, strict=True)
            ]
        return weights

    def step() -> object:
        (real,) = next(found)
        fake = made(torch.randn(len(real), 100))
        ahead = dict(zip(names, look_ahead(real, fake), strict=True))
        loss_g = softplus(-torch.func.functional_call(judge, ahead, (fake,))).mean()
        optim_g.zero_grad()
        loss_g.backward()
        loss_d = loss_of(list(judge.parameters()), real, fake.detach())
        optim_d.zero_grad()
        loss_d.backward()
        optim_d.step()
        optim_g.step()
        return loss_d.item(), loss_g.item()

    return step
