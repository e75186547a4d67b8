"""Batch norm over the whole batch when each rank holds a share of it."""

import torch
from torch import Tensor, nn

from hw5hpc.engine.distributed import Ranks


def synchronise(net: nn.Module, ranks: Ranks, device: torch.device) -> nn.Module:
    """Return the network with every batch norm taken over all ranks; alone, as it was.

    On GPUs by torch's SyncBatchNorm, on the CPU, where that has no kernel, by BatchNormOverRanks.
    The names of parameters and buffers stay the same.
    """
    if ranks.alone:
        return net
    if device.type == "cuda":
        synchronised: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(net)
        for module in synchronised.modules():
            if isinstance(module, nn.SyncBatchNorm):
                # In half precision an empty share would gather zeros of another type than the rest.
                module.register_forward_pre_hook(lambda _, inputs: _exact(inputs[0]))
        return synchronised
    for module in list(net.modules()):
        for name, layer in module.named_children():
            if isinstance(layer, nn.BatchNorm2d):
                module.add_module(name, BatchNormOverRanks(layer, ranks))
    return net


class BatchNormOverRanks(nn.BatchNorm2d):
    """Batch norm of [N, C, H, W] with the mean and variance of all ranks' samples; N may be 0.

    The variance is taken in a second pass, around the mean, so that it loses no digits; the
    running variance is the unbiased one, as in nn.BatchNorm2d.
    """

    def __init__(self, like: nn.BatchNorm2d, ranks: Ranks) -> None:
        super().__init__(like.num_features, like.eps, like.momentum)
        self._ranks = ranks
        self.weight, self.bias = like.weight, like.bias
        for name, buffer in like.named_buffers():
            setattr(self, name, buffer)

    def forward(self, inputs: Tensor) -> Tensor:
        if not self.training:
            return super().forward(inputs)
        # Statistics in half precision would lose what the second pass saves.
        exact = _exact(inputs)
        mean, variance, count = self._statistics(exact)
        self._remember(mean.detach(), variance.detach(), count)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        normalised = (exact - _channels(mean)) * _channels(scale) + _channels(self.bias)
        return normalised.to(inputs.dtype)

    def _statistics(self, inputs: Tensor) -> tuple[Tensor, Tensor, float]:
        """Return mean [C] and biased variance [C] over ranks, and the values in a channel."""
        here = inputs.new_tensor([inputs.numel() / self.num_features])
        summed = self._ranks.sum(torch.cat([inputs.sum((0, 2, 3)), here]))
        count = float(summed[-1].detach())
        mean = summed[:-1] / count
        squares = (inputs - _channels(mean)).square().sum((0, 2, 3))
        return mean, self._ranks.sum(squares) / count, count

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: float) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)


def _exact(inputs: Tensor) -> Tensor:
    return inputs if inputs.dtype == torch.float64 else inputs.float()


def _channels(values: Tensor) -> Tensor:
    """Return [C] as [1, C, 1, 1]."""
    return values[None, :, None, None]
