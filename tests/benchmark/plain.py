"""Training steps as a user would write them, to measure this suite's own against.

A loop reads torchvision's data set through a DataLoader and looks at each loss; a bare step is the
same mathematics in as few lines as there can be, with what makes it fast and nothing that a study
needs.
`python plain.py KIND STEPS SEED` is the script that somebody without this suite would run.
`python plain.py serve WAY SETTINGS` takes a step, of the way with that function's name, for
each line that it is sent, and answers with one.
"""

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, softplus
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torchvision.datasets import CIFAR10, FashionMNIST
from torchvision.transforms import Compose, Normalize, ToTensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hw5hpc.data.ring import centres, sample
from hw5hpc.models.cnn import Cnn
from hw5hpc.models.mlp import Mlp, discriminator_widths, generator_widths, ring_widths

Step = Callable[[], object]


class MadeUpCifar(CIFAR10):
    """torchvision's data set with pixels that are made up: each item takes its usual way."""

    def __init__(self, count: int) -> None:
        source = np.random.default_rng(0)
        self.data = source.integers(256, size=(count, 32, 32, 3), dtype=np.uint8)
        self.targets = source.integers(10, size=count).tolist()
        self.transform, self.target_transform = ToTensor(), None


class MadeUpFashion(FashionMNIST):
    """The same in grey, from -1 to 1."""

    def __init__(self, count: int) -> None:
        source = torch.Generator().manual_seed(0)
        self.data = torch.randint(256, (count, 28, 28), dtype=torch.uint8, generator=source)
        self.targets = torch.randint(10, (count,), generator=source)
        self.transform, self.target_transform = Compose([ToTensor(), Normalize(0.5, 0.5)]), None


def usual_cnn(norm: bool) -> nn.Module:
    """Return the study's network in the usual order: convolution, batch norm, ReLU, pooling."""

    def hidden(inputs: int, outputs: int, size: int) -> list[nn.Module]:
        norms = [nn.BatchNorm2d(outputs)] if norm else []
        return [nn.Conv2d(inputs, outputs, size), *norms, nn.ReLU()]

    pool = nn.MaxPool2d(2, 2)
    layers = [*hidden(3, 64, 11), pool, *hidden(64, 128, 3), *hidden(128, 128, 3)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10))


def _batches(batch: int, data: Dataset[Any]) -> Iterator[list[Tensor]]:
    loader = DataLoader(data, batch, shuffle=True)
    while True:
        yield from loader


def _rounded(device: str, bf16: bool) -> Any:
    return torch.autocast(device, torch.bfloat16) if bf16 else contextlib.nullcontext()


def cnn_loop(
    device: str = "cpu", norm: bool = False, bf16: bool = False, count: int = 4096
) -> Step:
    """One step of the CNN: torchvision's data, Adam as it comes, the loss read each time."""
    net = usual_cnn(norm).to(device)
    optim = torch.optim.Adam(net.parameters())
    found = _batches(32, MadeUpCifar(count))

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


def gan_loop(device: str = "cpu", count: int = 4096) -> Step:
    """One step of the GAN without unrolling: two modules, two optimizers, both losses read."""
    source = torch.Generator().manual_seed(0)
    g = Mlp(generator_widths(100), source, output="tanh").to(device)
    d = Mlp(discriminator_widths(), source).to(device)
    optim_g, optim_d = (torch.optim.Adam(net.parameters(), 1e-4, (0.5, 0.999)) for net in (g, d))
    found = _batches(128, MadeUpFashion(count))

    def step() -> object:
        real = next(found)[0].flatten(1)
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


def images_and_nets(source: torch.Generator) -> tuple[Iterator[list[Tensor]], Mlp, Mlp]:
    """Return batches of made-up grey images, a generator and a discriminator for them."""
    made = Mlp(generator_widths(100), source, output="tanh")
    return _batches(128, MadeUpFashion(4096)), made, Mlp(discriminator_widths(), source)


def ring_and_nets(source: torch.Generator) -> tuple[Iterator[list[Tensor]], Mlp, Mlp]:
    """Return batches of points on the ring of Gaussians, and networks for them."""
    made = Mlp(ring_widths(256, 2), source, orthogonal=True)
    where = centres(8, 1.0, torch.device("cpu"))
    points = sample(50_000, where, 0.02, source)
    return (
        _batches(512, TensorDataset(points)),
        made,
        Mlp(ring_widths(2, 1), source, orthogonal=True),
    )


def unrolled_loop(
    depth: int, found: tuple[Iterator[list[Tensor]], Mlp, Mlp], noise_size: int
) -> Step:
    """One GAN step with so many unrolled ones: Adam by hand, a tensor for each parameter."""
    batches, made, judge = found
    optim_g = torch.optim.Adam(made.parameters(), 1e-3, (0.5, 0.999))
    optim_d = torch.optim.Adam(judge.parameters(), 1e-4, (0.5, 0.999))
    names = [name for name, _ in judge.named_parameters()]

    def loss_of(weights: list[Tensor], real: Tensor, fake: Tensor) -> Tensor:
        named = dict(zip(names, weights, strict=True))
        on_real, on_fake = (torch.func.functional_call(judge, named, (x,)) for x in (real, fake))
        return softplus(-on_real).mean() + softplus(on_fake).mean()

    def look_ahead(real: Tensor, fake: Tensor) -> list[Tensor]:
        weights: list[Tensor] = list(judge.parameters())
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
        real = next(batches)[0].flatten(1)
        fake = made(torch.randn(len(real), noise_size))
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


def unrolled_gan(depth: int, seed: int = 0) -> Step:
    """One step of the GAN with so many unrolled ones."""
    return unrolled_loop(depth, images_and_nets(torch.Generator().manual_seed(seed)), 100)


def unrolled_ring(depth: int, seed: int = 0) -> Step:
    """One step of the ring's GAN with so many unrolled ones."""
    return unrolled_loop(depth, ring_and_nets(torch.Generator().manual_seed(seed)), 256)


# {kind: the step of a seed's script}
KINDS: dict[str, Callable[[int], Step]] = {
    "cnn": lambda seed: cnn_loop(),
    "gan": lambda seed: unrolled_gan(5, seed),
    "ring": lambda seed: unrolled_ring(5, seed),
}
WAYS = (cnn_loop, cnn_bare, gan_loop, unrolled_gan)


def train(kind: str, steps: int, seed: int) -> None:
    torch.manual_seed(seed)
    take = KINDS[kind](seed)
    for _ in range(steps):
        take()


def serve(way: str, settings: str) -> None:
    take = {made.__name__: made for made in WAYS}[way](**json.loads(settings))
    for _ in sys.stdin:
        take()
        print("done", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(*sys.argv[2:])
    else:
        train(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
