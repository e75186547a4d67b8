"""Take a training step as one captured CUDA graph, once that has been shown to change no bit.

A small network's step is hundreds of kernels of microseconds each, which Python launches more
slowly than a GPU runs them; a graph launches them all at once.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from hw5hpc.errors import describe

log = logging.getLogger(__name__)

Body = Callable[..., Tensor]
# Steps of one shape before its graph: libraries choose and allocate what they need in the first.
EAGER_CALLS = 3


class Graphs(Protocol):
    """What a device offers to capture with; tests have one of their own."""

    def run(self, body: Body, inputs: Sequence[Tensor]) -> Tensor:
        """Call the body as it would be captured, and return what it returned."""

    def capture(self, body: Body, inputs: Sequence[Tensor]) -> tuple[Callable[[], None], Tensor]:
        """Return (what replays the body on these very tensors, where its output will lie)."""

    def check(self) -> None:
        """Raise where the device answers no more."""


class CudaGraphs:
    """CUDA's graphs, captured on a stream of their own; they are replayed on the current one."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)

    def run(self, body: Body, inputs: Sequence[Tensor]) -> Tensor:
        # On the stream of the capture, to which autograd ties what it accumulates.
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            output = body(*inputs)
        current.wait_stream(self._stream)
        return output

    def capture(self, body: Body, inputs: Sequence[Tensor]) -> tuple[Callable[[], None], Tensor]:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self._stream):
            output = body(*inputs)
        return graph.replay, output

    def check(self) -> None:
        torch.cuda.synchronize(self._device)


class Replay:
    """Calls a step's body, or replays its graph: one for each shape of its inputs.

    The first calls of a shape are plain ones. The next one is taken twice from the same state,
    plainly and by a graph; if any bit differs, or the capture fails, the plain one counts, a
    warning is logged, and all later steps are plain.

    Args:
        body: updates the tensors of `state` in place and returns a vector of losses. Whatever
            changes from step to step is among its inputs or in the state, nothing in Python.
        state: returns the tensors that the body updates, the same ones at every call.
        graphs: what to capture with; None calls the body.
    """

    def __init__(
        self, body: Body, state: Callable[[], Sequence[Tensor]], graphs: Graphs | None
    ) -> None:
        self._body, self._state, self._graphs = body, state, graphs
        self._calls: dict[tuple[torch.Size, ...], int] = {}
        self._captured: dict[
            tuple[torch.Size, ...], tuple[list[Tensor], Callable[[], None], Tensor]
        ] = {}

    @property
    def captures(self) -> bool:
        return self._graphs is not None

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Take one step; the vector returned is overwritten by the next one."""
        if self._graphs is None:
            return self._body(*inputs)
        shapes = tuple(tensor.shape for tensor in inputs)
        if shapes in self._captured:
            places, replay, output = self._captured[shapes]
            for place, tensor in zip(places, inputs, strict=True):
                place.copy_(tensor)
            replay()
            return output
        calls = self._calls[shapes] = self._calls.get(shapes, 0) + 1
        if calls <= EAGER_CALLS:
            return self._graphs.run(self._body, inputs)
        return self._capture(self._graphs, shapes, inputs)

    def _capture(
        self, graphs: Graphs, shapes: tuple[torch.Size, ...], inputs: Sequence[Tensor]
    ) -> Tensor:
        state, places = self._state(), [tensor.clone() for tensor in inputs]
        before = [tensor.clone() for tensor in state]
        plain = graphs.run(self._body, inputs).clone()
        after = [tensor.clone() for tensor in state]
        _put(before, state)
        try:
            replay, output = graphs.capture(self._body, places)
            # Nothing ran while it was recorded.
            replay()
            differ = [_differ(plain, output), *map(_differ, after, state)]
            problem = f"{sum(differ)} of {len(differ)} tensors differ" if any(differ) else ""
        except RuntimeError as error:
            problem = describe(error)
            # Raises where it was no capture that failed but the device.
            graphs.check()
        if problem:
            log.warning("training steps are not captured as a CUDA graph: %s", problem)
            self._graphs = None
            _put(after, state)
            return plain
        self._captured[shapes] = places, replay, output
        return output


def _put(values: Sequence[Tensor], into: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for tensor, value in zip(into, values, strict=True):
            tensor.copy_(value)


def _differ(one: Tensor, other: Tensor) -> bool:
    return not torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)


def graphs_for(device: torch.device, alone: bool) -> Graphs | None:
    """Return what a training on this device captures with: nothing on CPUs, or over ranks."""
    return CudaGraphs(device) if device.type == "cuda" and alone else None
