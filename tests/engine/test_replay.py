"""Captured steps: taken when they change no bit, given up with one warning when they do."""

import logging
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from hw5hpc.engine.replay import EAGER_CALLS, Body, Replay


class Descent:
    """A toy step, x <- x - rate * input, which records how it was called."""

    def __init__(self) -> None:
        self.x = torch.ones(3)
        self.count = torch.zeros((), dtype=torch.int64)

    def body(self, direction: Tensor) -> Tensor:
        self.x.sub_(0.1 * direction)
        self.count.add_(1)
        return torch.stack([self.x.sum(), self.count.float()])

    def state(self) -> list[Tensor]:
        return [self.x, self.count]


class PretendGraphs:
    """Stands in for CUDA's graphs: recording runs nothing, a replay reads and writes in place."""

    def __init__(self, step: Descent) -> None:
        self._step = step
        self.plain = self.captured = self.replayed = 0
        self.refuses, self.is_off_by, self.device_works = "", 0.0, True

    def run(self, body: Body, inputs: Sequence[Tensor]) -> Tensor:
        self.plain += 1
        return body(*inputs)

    def capture(self, body: Body, inputs: Sequence[Tensor]) -> tuple[Callable[[], None], Tensor]:
        if self.refuses:
            raise RuntimeError(self.refuses)
        self.captured += 1
        before = [tensor.clone() for tensor in self._step.state()]
        output = body(*inputs)
        for tensor, value in zip(self._step.state(), before, strict=True):
            tensor.copy_(value)

        def replay() -> None:
            self.replayed += 1
            output.copy_(body(*inputs))
            self._step.x.add_(self.is_off_by)

        return replay, output

    def check(self) -> None:
        if not self.device_works:
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")


def inputs(count: int, size: int = 3) -> list[Tensor]:
    return list(torch.randn(count, size, generator=torch.Generator().manual_seed(0)))


def plainly(directions: list[Tensor]) -> tuple[Descent, list[list[float]]]:
    step = Descent()
    return step, [step.body(direction).tolist() for direction in directions]


def replayed(
    directions: list[Tensor], **faults: object
) -> tuple[Descent, PretendGraphs, Replay, list[list[float]]]:
    step = Descent()
    graphs = PretendGraphs(step)
    vars(graphs).update(faults)
    replay = Replay(step.body, step.state, graphs)
    return step, graphs, replay, [replay(direction).tolist() for direction in directions]


def test_replayed_steps_are_the_plain_ones() -> None:
    directions = inputs(10)
    step, graphs, replay, losses = replayed(directions)
    plain, expected = plainly(directions)
    assert losses == expected
    assert torch.equal(step.x, plain.x)
    assert (graphs.plain, graphs.captured) == (EAGER_CALLS + 1, 1)
    # The step that was captured is counted once, although it was taken twice.
    assert graphs.replayed == len(directions) - EAGER_CALLS
    assert replay.captures


def test_each_shape_of_the_inputs_has_its_own_graph() -> None:
    directions = [part for pair in zip(inputs(8), inputs(8, 1), strict=True) for part in pair]
    step, graphs, _, losses = replayed(directions)
    plain, expected = plainly(directions)
    assert losses == expected
    assert torch.equal(step.x, plain.x)
    assert graphs.captured == 2


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"is_off_by": 1e-6}, "1 of 3 tensors differ"),
        ({"refuses": "operation not permitted"}, "operation not permitted"),
    ],
)
def test_where_a_graph_cannot_be_trusted_all_steps_are_plain_with_one_warning(
    fault: dict[str, object], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    directions = inputs(12)
    with caplog.at_level(logging.WARNING):
        step, _, replay, losses = replayed(directions, **fault)
    plain, expected = plainly(directions)
    assert losses == expected
    assert torch.equal(step.x, plain.x)
    assert not replay.captures
    (warning,) = caplog.records
    assert words in warning.message


def test_a_device_that_broke_while_capturing_is_no_matter_of_capturing() -> None:
    with pytest.raises(torch.AcceleratorError, match="illegal memory access"):
        replayed(inputs(5), refuses="CUDA error", device_works=False)


def test_a_loss_that_is_no_number_is_no_difference() -> None:
    directions = [torch.full((3,), torch.nan), *inputs(6)]
    _, graphs, replay, _ = replayed(directions)
    assert replay.captures
    assert graphs.captured == 1


def test_without_graphs_the_body_is_called() -> None:
    step = Descent()
    replay = Replay(step.body, step.state, None)
    assert not replay.captures
    assert replay(torch.ones(3)).tolist() == pytest.approx([2.7, 1.0])
