"""The perceptrons: their widths, what stands between layers, and where weights come from."""

import itertools
import math

import pytest
import torch
from torch import nn

from hw5hpc.models.mlp import (
    Mlp,
    classifier_widths,
    discriminator_widths,
    generator_widths,
    ring_widths,
)

WIDTHS = {
    "generator": (generator_widths(100), (100, 128, 256, 512, 784)),
    "discriminator": (discriminator_widths(), (784, 512, 256, 128, 1)),
    "classifier": (classifier_widths(), (784, 512, 256, 128, 10)),
    "ring generator": (ring_widths(256, 2), (256, 128, 128, 2)),
    "ring discriminator": (ring_widths(2, 1), (2, 128, 128, 1)),
}


def source(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def linear(net: Mlp) -> list[nn.Linear]:
    return [layer for layer in net.layers if isinstance(layer, nn.Linear)]


@pytest.mark.parametrize("name", WIDTHS)
def test_widths(name: str) -> None:
    widths, expected = WIDTHS[name]
    assert widths == expected
    net = Mlp(widths, source())
    assert [(layer.in_features, layer.out_features) for layer in linear(net)] == list(
        itertools.pairwise(expected)
    )
    assert net(torch.zeros(3, expected[0])).shape == (3, expected[-1])


@pytest.mark.parametrize(("output", "last"), [(None, []), ("tanh", ["Tanh"])])
def test_relu_stands_between_layers_only(output: str | None, last: list[str]) -> None:
    kinds = [type(layer).__name__ for layer in Mlp((4, 3, 2), source(), output).layers]
    assert kinds == ["Linear", "ReLU", "Linear", *last]


def test_images_stay_between_minus_one_and_one() -> None:
    net = Mlp(generator_widths(100), source(), "tanh")
    images = net(1000 * torch.randn(5, 100, generator=source(1))).detach()
    assert 0.99 < float(images.abs().max()) <= 1


@pytest.mark.parametrize("orthogonal", [False, True])
def test_first_weights_come_from_the_source_alone(orthogonal: bool) -> None:
    def weights(seed: int) -> torch.Tensor:
        net = Mlp((6, 5, 4), source(seed), orthogonal=orthogonal)
        assert not any(layer.bias.any() for layer in linear(net))
        return torch.cat([layer.weight.detach().flatten() for layer in linear(net)])

    torch.manual_seed(1)
    one = weights(0)
    torch.manual_seed(2)
    assert torch.equal(one, weights(0))
    assert not torch.equal(one, weights(1))


def test_weights_are_glorot_uniform() -> None:
    for layer in linear(Mlp(discriminator_widths(), source())):
        bound = math.sqrt(6 / (layer.in_features + layer.out_features))
        assert 0.9 * bound < float(layer.weight.detach().abs().max()) <= bound * (1 + 1e-6)


def test_orthogonal_weights() -> None:
    for layer in linear(Mlp(ring_widths(256, 2), source(), orthogonal=True)):
        rows = layer.weight.detach()
        assert torch.allclose(rows @ rows.T, torch.eye(len(rows)), atol=1e-5)


@pytest.mark.parametrize("output", [None, "tanh"])
def test_features_are_what_the_last_linear_layer_is_given(output: str | None) -> None:
    net = Mlp((6, 5, 4, 3), source(), output=output)
    inputs = torch.randn(7, 6, generator=source(1))
    features = net.features(inputs)
    assert features.shape == (7, 4)
    assert torch.equal(features, net.layers[:4](inputs))
    assert torch.equal(net.scores(features), net(inputs))
