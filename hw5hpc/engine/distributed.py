"""The processes that train one run together: shares of a batch, and exact sums over all of them.

A rank's losses and gradients are its samples' part of the global mean, so sums over ranks, never
averages of averages, give what one process would have computed. Alone, nothing is communicated.
"""

import json
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Share:
    """This rank's samples `part` of a batch of `total`; it may be empty."""

    part: slice
    total: int

    @property
    def count(self) -> int:
        return int(self.part.stop - self.part.start)


@dataclass(frozen=True)
class Ranks:
    """One process among `size`; `local` numbers the processes of one node.

    With a size of 1 no process group is needed. Every method that communicates must be called by
    all ranks in the same order.
    """

    rank: int = 0
    size: int = 1
    local: int = 0

    @property
    def first(self) -> bool:
        """Whether this is the one rank that writes files, logs, and talks to W&B."""
        return self.rank == 0

    @property
    def alone(self) -> bool:
        return self.size == 1

    def share(self, total: int) -> Share:
        """Return this rank's part of `total` samples: contiguous, sizes differ by one at most."""
        start, stop = (total * rank // self.size for rank in (self.rank, self.rank + 1))
        return Share(slice(start, stop), total)

    def sum(self, tensor: Tensor) -> Tensor:
        """Add up over ranks; differentiable any number of times, and the same bits on all ranks."""
        return tensor if self.alone else _sum_over_ranks(tensor)

    def gather(self, tensor: Tensor, share: Share) -> Tensor:
        """Return [total, ...] from every rank's [count, ...], which was cut by `share`."""
        if self.alone:
            return tensor
        whole = tensor.new_zeros(share.total, *tensor.shape[1:])
        whole[share.part] = tensor
        return self.sum(whole)

    def agree(self, *flags: bool) -> tuple[bool, ...]:
        """Return for each flag whether any rank has it set."""
        if self.alone:
            return flags
        # On the CPU also beside GPUs: gloo carries it, and no GPU has to be waited for.
        counts = self.sum(torch.tensor(flags, dtype=torch.int32))
        return tuple(bool(count) for count in counts)

    def broadcast(self, value: Any) -> Any:
        """Return rank 0's value (JSON: numbers, texts, lists, None) on every rank.

        torch's own collectives of objects pickle them: whoever got between the ranks could then
        have code executed on each of them.
        """
        if self.alone:
            return value
        content = self.broadcast_bytes(json.dumps(value).encode() if self.first else b"")
        return json.loads(content)

    def broadcast_bytes(self, content: bytes, source: int = 0) -> bytes:
        """Return what the rank `source` gave, on every rank."""
        if self.alone:
            return content
        length = torch.tensor(len(content))
        dist.broadcast(length, src=source)
        if not length:
            return b""
        own = bytearray(content) if self.rank == source else bytearray(int(length))
        dist.broadcast(torch.frombuffer(own, dtype=torch.uint8), src=source)
        return bytes(own)

    def gather_texts(self, text: str) -> list[str]:
        """Return every rank's text, in the order of the ranks."""
        own = text.encode(errors="replace")
        return [self.broadcast_bytes(own, rank).decode() for rank in range(self.size)]


SOLO = Ranks()


class _SumOverRanks(torch.autograd.Function):
    """All-reduce whose derivative is an all-reduce: each rank's input reaches every rank's output.

    torch.distributed.nn.functional has the same but is deprecated, and its successor is private.
    """

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _sum_over_ranks(gradients[0])


def _sum_over_ranks(tensor: Tensor) -> Tensor:
    total: Tensor = _SumOverRanks.apply(tensor)
    return total
