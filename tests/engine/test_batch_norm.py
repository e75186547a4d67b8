"""What batch norm over ranks does that can be seen without a GPU."""

import torch
from torch import nn

from hw5hpc.engine.batch_norm import synchronise
from hw5hpc.engine.distributed import Ranks


def test_torchs_layer_is_given_whole_precision() -> None:
    """An empty share would send bf16 zeros where the other ranks send single precision."""
    net = synchronise(nn.Sequential(nn.BatchNorm2d(3)), Ranks(0, 2), torch.device("cuda")).eval()
    assert isinstance(net[0], nn.SyncBatchNorm)  # type: ignore[index]
    for given, taken in ((torch.bfloat16, torch.float32), (torch.float32, torch.float32)):
        assert net(torch.ones(2, 3, 4, 4, dtype=given)).dtype is taken
