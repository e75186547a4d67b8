"""The CNN: its sizes, its feature maps, batch norm, and where its first weights come from."""

import math

import pytest
import torch
from torch import Tensor, nn

from hw5hpc.engine.random import generator
from hw5hpc.models.cnn import Cnn

LAYERS = [23_296, 73_856, 147_584, 1_290]


def made(batch_norm: bool = False, seed: int = 0) -> Cnn:
    return Cnn(generator("cpu", seed, "init"), batch_norm)


def weighted(net: Cnn) -> list[nn.Conv2d | nn.Linear]:
    return [layer for layer in net.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameters_layer_by_layer() -> None:
    net = made()
    assert [count(layer) for layer in weighted(net)] == LAYERS
    assert count(net) == sum(LAYERS) == 246_026


def test_feature_maps() -> None:
    net, sides = made().eval(), []
    maps = torch.zeros(2, 3, 32, 32)
    for layer in net.features:
        maps = layer(maps)
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d):
            sides.append(tuple(maps.shape[1:]))
    assert sides == [(64, 22, 22), (64, 11, 11), (128, 9, 9), (128, 7, 7)]
    assert net(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_batch_norm_adds_parameters_and_changes_no_first_weight() -> None:
    plain, normed = made(), made(batch_norm=True)
    norms = [layer for layer in normed.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert [layer.num_features for layer in norms] == [64, 128, 128]
    assert count(normed) - count(plain) == 2 * (64 + 128 + 128)
    for one, other in zip(weighted(plain), weighted(normed), strict=True):
        assert torch.equal(one.weight, other.weight)


@pytest.mark.parametrize("after_relu", [False, True])
def test_batch_norm_stands_before_relu_or_after_it(after_relu: bool) -> None:
    net = Cnn(generator("cpu", 0, "init"), batch_norm=True, after_relu=after_relu)
    kinds = [type(layer).__name__ for layer in net.features]
    hidden = ["Conv2d", *(["ReLU", "BatchNorm2d"] if after_relu else ["BatchNorm2d", "ReLU"])]
    assert [kind for kind in kinds if kind != "MaxPool2d"] == 3 * hidden


def usual(net: Cnn, after_relu: bool) -> nn.Sequential:
    """The same layers in the usual order, with the pooling last."""
    blocks: list[list[nn.Module]] = []
    for layer in net.features:
        if isinstance(layer, nn.Conv2d):
            blocks.append([layer])
        elif isinstance(layer, nn.BatchNorm2d):
            blocks[-1].append(layer)
    for block in blocks:
        block.insert(1 if after_relu else len(block), nn.ReLU())
    return nn.Sequential(*blocks[0], nn.MaxPool2d(2, 2), *blocks[1], *blocks[2])


@pytest.mark.parametrize(
    ("batch_norm", "after_relu"), [(False, False), (True, False), (True, True)]
)
def test_pooling_before_the_relu_changes_no_bit(batch_norm: bool, after_relu: bool) -> None:
    net = Cnn(generator("cpu", 0, "init"), batch_norm, after_relu=after_relu)
    images = torch.rand(8, 3, 32, 32, generator=generator("cpu", 0, "images"))
    ends = []
    for features in (net.features, usual(net, after_relu)):
        net.zero_grad()
        maps = features(images)
        maps.square().sum().backward()
        gradients = [weight.grad for weight in net.features.parameters()]
        ends.append([maps, *(found.clone() for found in gradients if found is not None)])
    assert all(torch.equal(one, other) for one, other in zip(*ends, strict=True))
    assert len(ends[0]) == (13 if batch_norm else 7)


def test_batch_norm_takes_its_momentum_and_epsilon() -> None:
    net = Cnn(generator("cpu", 0, "init"), True, momentum=0.01, eps=1e-3)
    norms = [layer for layer in net.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert {(layer.momentum, layer.eps) for layer in norms} == {(0.01, 1e-3)}


def test_first_weights_come_from_the_source_alone() -> None:
    torch.manual_seed(1)
    one = made().state_dict()
    torch.manual_seed(2)
    other, third = made().state_dict(), made(seed=1).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not torch.equal(one["features.0.weight"], third["features.0.weight"])


@pytest.mark.parametrize("index", range(4))
def test_weights_are_glorot_uniform_and_biases_zero(index: int) -> None:
    layer = weighted(made())[index]
    area = math.prod(layer.weight.shape[2:])
    outputs, inputs = layer.weight.shape[:2]
    bound = math.sqrt(6 / (area * (inputs + outputs)))
    largest = float(layer.weight.detach().abs().max())
    assert 0.97 * bound < largest <= bound * (1 + 1e-6)
    assert layer.bias is not None
    assert not layer.bias.any()


def test_filters_are_the_first_layer() -> None:
    net = made()
    filters: Tensor = net.filters
    assert filters.shape == (64, 3, 11, 11)
    assert filters is net.features[0].weight
