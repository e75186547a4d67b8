"""The convolutional network of the CIFAR-10 study, with or without batch norm."""

import torch
from torch import Tensor, nn


class Cnn(nn.Module):
    """Images [N, 3, 32, 32] -> logits [N, classes], over maps of 22, 11, 9 and 7 pixels a side.

    Weights are Glorot-uniform (Glorot and Bengio 2010), drawn from `source` alone; biases are
    zero. With `batch_norm`, every convolution is normalised, before its ReLU or after it.
    """

    def __init__(
        self,
        source: torch.Generator,
        batch_norm: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
        after_relu: bool = False,
        classes: int = 10,
    ) -> None:
        super().__init__()

        def hidden(inputs: int, outputs: int, size: int, *pool: nn.Module) -> list[nn.Module]:
            convolution = nn.Conv2d(inputs, outputs, size)
            # No backward pass needs what the ReLU is given, and it does not mind the pooling: after
            # it, it has a quarter of the values, and every bit is the same.
            relu = nn.ReLU(inplace=True)
            if not batch_norm:
                return [convolution, *pool, relu]
            norm = nn.BatchNorm2d(outputs, eps, momentum)
            return [convolution, *((relu, norm, *pool) if after_relu else (norm, *pool, relu))]

        self.features = nn.Sequential(
            *hidden(3, 64, 11, nn.MaxPool2d(2, 2)), *hidden(64, 128, 3), *hidden(128, 128, 3)
        )
        self.scores = nn.Linear(128, classes)
        self._initialise(source)

    def _initialise(self, source: torch.Generator) -> None:
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(layer.weight, generator=source)
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)

    @property
    def filters(self) -> Tensor:
        """The first layer's weights [64, 3, 11, 11]."""
        weight = self.features[0].weight
        assert isinstance(weight, Tensor)
        return weight

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.scores(self.features(images).mean((2, 3)))
        return out
