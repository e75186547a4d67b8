"""Multi-layer perceptrons: the GAN's two networks, the classifier, and the ring's pair."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

PIXELS = 28 * 28
HIDDEN = (128, 256, 512)


class Mlp(nn.Module):
    """Linear layers with ReLU between them; [N, widths[0]] -> [N, widths[-1]].

    Weights are Glorot-uniform (Glorot and Bengio 2010) or orthogonal, drawn from `source` alone;
    biases are zero. `output` is None (logits) or 'tanh'.
    """

    def __init__(
        self,
        widths: Sequence[int],
        source: torch.Generator,
        output: str | None = None,
        orthogonal: bool = False,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [_linear(inputs, outputs, source, orthogonal), nn.ReLU()]
        layers[-1:] = [nn.Tanh()] if output == "tanh" else []
        self.layers = nn.Sequential(*layers)
        self._last = 2 * (len(widths) - 2)

    def forward(self, inputs: Tensor) -> Tensor:
        out: Tensor = self.layers(inputs)
        return out

    def features(self, inputs: Tensor) -> Tensor:
        """Return what the last linear layer is given, [N, widths[-2]]."""
        out: Tensor = self.layers[: self._last](inputs)
        return out

    def scores(self, features: Tensor) -> Tensor:
        """Return the outputs [N, widths[-1]] from `features`."""
        out: Tensor = self.layers[self._last :](features)
        return out


def _linear(inputs: int, outputs: int, source: torch.Generator, orthogonal: bool) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    initialise = nn.init.orthogonal_ if orthogonal else nn.init.xavier_uniform_
    initialise(layer.weight, generator=source)
    nn.init.zeros_(layer.bias)
    return layer


def generator_widths(noise_size: int) -> tuple[int, ...]:
    return (noise_size, *HIDDEN, PIXELS)


def discriminator_widths() -> tuple[int, ...]:
    return (PIXELS, *reversed(HIDDEN), 1)


def classifier_widths(classes: int = 10) -> tuple[int, ...]:
    """The discriminator's body with one output a class."""
    return (*discriminator_widths()[:-1], classes)


def ring_widths(inputs: int, outputs: int, hidden: int = 128) -> tuple[int, ...]:
    return (inputs, hidden, hidden, outputs)
