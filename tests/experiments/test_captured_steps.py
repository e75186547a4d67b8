"""Whether training steps could be captured as a graph: seen here by tracing two steps in a row.

A captured step does the same operations with the same numbers on the same memory each time, and
never asks the device for a value.
"""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from hw5hpc.engine.replay import Body
from hw5hpc.experiments import EXPERIMENTS, adversarial, rebuild, supervised

CPU = torch.device("cpu")
TINY = {"data.name": "synthetic", "data.limit": 48, "train.batch_size": 8}
RING = {"train.batch_size": 8, "ring.samples": 50, "gan.noise_size": 8}
GAN = {**TINY, "score.samples": 31}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "ring, K = 0": ("ring", RING),
    "ring, K = 5": ("ring", {**RING, "gan.unroll_steps": 5}),
    "ring, saddle": ("ring", {**RING, "gan.unroll_steps": 1, "gan.objective": "saddle"}),
    "gan, K = 0": ("gan", GAN),
    "gan, K = 5": ("gan", {**GAN, "gan.unroll_steps": 5}),
    "classifier": ("classifier", TINY),
    "cnn": ("cnn", TINY),
    "cnn, batch norm": ("cnn", {**TINY, "model.batch_norm": True}),
    "cnn, bf16": ("cnn", {**TINY, "train.precision": "bf16"}),
    "cnn, sgd": ("cnn", {**TINY, "optim.name": "sgd"}),
}
# Values read by the host, and tensors made of numbers that Python holds.
HOST = ("_local_scalar_dense", "lift_fresh", "nonzero", "masked_select", "is_nonzero")


class Trace(TorchDispatchMode):
    """Records each operation, with its shapes and its numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace != "profiler":
            shown = tree_map(_shown, (args, kwargs or {}))
            self.calls.append(f"{func} {shown}")
        return func(*args, **(kwargs or {}))


def _shown(value: Any) -> Any:
    return (tuple(value.shape), value.dtype) if isinstance(value, Tensor) else value


class TracedGraphs:
    """Captures nothing, and traces each plain step."""

    def __init__(self) -> None:
        self.traces: list[list[str]] = []

    def run(self, body: Body, inputs: Sequence[Tensor]) -> Tensor:
        with Trace() as trace:
            output = body(*inputs)
        self.traces.append(trace.calls)
        return output

    def capture(self, body: Body, inputs: Sequence[Tensor]) -> tuple[Callable[[], None], Tensor]:
        raise AssertionError("three steps are too few")

    def check(self) -> None:
        pass


@pytest.mark.parametrize("case", CASES)
def test_a_step_is_the_same_each_time(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    graphs = TracedGraphs()
    for module in (adversarial, supervised):
        monkeypatch.setattr(module, "graphs_for", lambda device, alone: graphs)
    name, keys = CASES[case]
    weights = {}
    if name == "gan":
        judge = EXPERIMENTS["classifier"].load()(rebuild("classifier", TINY), CPU, {})
        weights = {"classifier": judge.weights()}
    training = EXPERIMENTS[name].load()(rebuild(name, keys), CPU, weights)
    training.step(1, 0)
    where = places(training)
    for index in (1, 2):
        training.step(1, index)
    second, third = graphs.traces[1:]
    assert second == third
    assert places(training) == where
    assert not [call for call in second if any(word in call.split()[0] for word in HOST)]


def places(training: Any) -> list[int]:
    """Return where the tensors lie that the training's replay is told of."""
    replay = getattr(training, "_gan", training)._replay
    return [tensor.data_ptr() for tensor in replay._state()]
