"""The one training loop: epochs and steps, metrics, checkpoints, and a clean stop at a step."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from numpy.typing import NDArray
from torch import Tensor

from hw5hpc.engine import checkpoint
from hw5hpc.engine.distributed import SOLO, Ranks
from hw5hpc.engine.divergence import broken_number, broken_weight
from hw5hpc.engine.random import global_state, seed_everything, set_global_state
from hw5hpc.store import RunFolder, State

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluation:
    """What an experiment measures: numbers for the tables, arrays for the pictures.

    A number that is not finite means divergence, unless `any_number` says that it may be found.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    any_number: bool = False


class Training(Protocol):
    """What the loop asks of an experiment; it knows nothing of files, ranks or Slurm."""

    seed: int
    epochs: int
    steps_per_epoch: int

    def start(self) -> Evaluation:
        """Measure before the first step (only the arrays are kept, as of epoch 0)."""

    def step(self, epoch: int, index: int) -> tuple[dict[str, Tensor], int]:
        """Train on batch `index` of `epoch`; return mean losses (0-dim, detached), batch size.

        Over several ranks the losses are this rank's parts, which add up to the batch's means.
        """

    def evaluate(self, epoch: int) -> Evaluation:
        """Measure after an epoch (1 is the first)."""

    def finish(self) -> Evaluation:
        """Measure once more after the last epoch."""

    def state(self) -> dict[str, Any]:
        """Return all that decides the future, as nested dicts of tensors and numbers."""

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""

    def weights(self) -> dict[str, Tensor]:
        """Return the trained parameters and buffers, for other runs to load."""


@dataclass(frozen=True)
class Watch:
    """What the outside sees and wants: called at step boundaries only.

    `before_write` raises when the run has become another worker's; what it raises ends the loop.
    """

    stop: Callable[[], bool] = lambda: False
    progress: Callable[[int, int, dict[str, float]], None] = lambda epoch, step, metrics: None
    before_write: Callable[[], None] = lambda: None
    row: Callable[[dict[str, float], dict[str, NDArray[Any]]], None] = lambda row, arrays: None
    checkpoint_seconds: float = 300.0


@dataclass(frozen=True)
class Outcome:
    """How the loop ended; INTERRUPTED means a checkpoint was saved and the run can go on."""

    state: State
    reason: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0


class _Clock:
    """Training time over all turns, and when the next checkpoint is due."""

    def __init__(self, seconds: float, interval: float) -> None:
        self._before = seconds
        self._start = self._saved = time.monotonic()
        self._interval = interval

    @property
    def seconds(self) -> float:
        return self._before + time.monotonic() - self._start

    def due(self) -> bool:
        return time.monotonic() - self._saved >= self._interval

    def saved(self) -> None:
        self._saved = time.monotonic()


class _Position:
    """Where the run is: epochs done, steps done in the next one, and that epoch's loss sums."""

    def __init__(self) -> None:
        self.epoch = 0
        self.step = 0
        self.weight = 0
        self.sums: dict[str, Tensor] = {}

    def add(self, losses: dict[str, Tensor], weight: int) -> None:
        for name, loss in losses.items():
            value = loss.double() * weight
            self.sums[name] = self.sums[name] + value if name in self.sums else value
        self.weight += weight
        self.step += 1

    def whole(self, ranks: Ranks) -> dict[str, Any]:
        """Return the position with the sums of all ranks: it does not depend on their number."""
        sums = {name: ranks.sum(value) for name, value in self.sums.items()}
        return {**vars(self), "sums": sums}

    def take(self, whole: dict[str, Any], ranks: Ranks) -> None:
        """Continue from `whole`; one rank goes on with its sums, the others add their own parts."""
        vars(self).update(whole)
        if not ranks.first:
            self.sums = {name: torch.zeros_like(value) for name, value in self.sums.items()}

    def end_epoch(self, ranks: Ranks) -> dict[str, float]:
        sums = self.whole(ranks)["sums"]
        means = {name: float(value) / self.weight for name, value in sums.items()}
        self.epoch, self.step, self.weight, self.sums = self.epoch + 1, 0, 0, {}
        return means


def train(
    training: Training, run: RunFolder, device: torch.device, watch: Watch, ranks: Ranks = SOLO
) -> Outcome:
    """Train from the newest checkpoint (or the start) to the end, a stop, or divergence.

    All ranks train, and stop at the same step when any is asked to; only the first one writes.
    """
    position, clock = _resume(training, run, device, watch.checkpoint_seconds, ranks)
    row: dict[str, float] = next(iter(run.metrics()[-1:]), {})
    while position.epoch < training.epochs:
        began, first_step = time.monotonic(), position.step
        while position.step < training.steps_per_epoch:
            stop, due = ranks.agree(watch.stop(), clock.due())
            if stop or due:
                watch.before_write()
                _save(training, run, position, clock, ranks)
            if stop:
                return Outcome(State.INTERRUPTED, "stopped by a signal", row, clock.seconds)
            position.add(*training.step(position.epoch + 1, position.step))
            watch.progress(position.epoch, position.step, row)
        step_ms = 1e3 * _elapsed(began, device) / max(position.step - first_step, 1)
        row, broken = _close_epoch(training, run, position, watch, ranks)
        if ranks.first:
            run.add_timing({"epoch": position.epoch, "seconds": clock.seconds, "step_ms": step_ms})
        if broken:
            reason = f"{broken} in epoch {position.epoch}"
            return Outcome(State.DIVERGED, reason, row, clock.seconds)
    final = training.finish()
    watch.before_write()
    _keep(run, training.epochs, final, ranks)
    broken = _broken(final)
    state = State.DIVERGED if broken else State.FINISHED
    return Outcome(state, broken, {**row, **final.metrics}, clock.seconds)


def _broken(measured: Evaluation) -> str:
    return "" if measured.any_number else broken_number("measure", measured.metrics)


def _elapsed(began: float, device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.monotonic() - began


def _close_epoch(
    training: Training, run: RunFolder, position: _Position, watch: Watch, ranks: Ranks
) -> tuple[dict[str, float], str]:
    """Write the epoch's row, and return it with what broke ('' while all is finite).

    The weights are looked at too: those that the very last step broke show in no loss.
    """
    losses = position.end_epoch(ranks)
    broken = broken_number("loss", losses) or broken_weight(training.weights())
    measured = Evaluation() if broken else training.evaluate(position.epoch)
    steps = position.epoch * training.steps_per_epoch
    row = {"epoch": position.epoch, "step": steps, **losses, **measured.metrics}
    watch.before_write()
    _keep(run, position.epoch, measured, ranks)
    if ranks.first:
        run.add_metrics(row)
        watch.row(row, measured.arrays)
    return row, broken or _broken(measured)


def _keep(run: RunFolder, epoch: int, measured: Evaluation, ranks: Ranks) -> None:
    if ranks.first:
        for name, array in measured.arrays.items():
            run.add_array(name, epoch, array)


def _save(
    training: Training, run: RunFolder, position: _Position, clock: _Clock, ranks: Ranks
) -> None:
    whole = position.whole(ranks)
    if ranks.first:
        state = {
            "training": training.state(),
            "position": whole,
            "seconds": clock.seconds,
            "metrics_size": run.metrics_size(),
            "random": global_state(),
        }
        checkpoint.save(run, state)
    clock.saved()


def _resume(
    training: Training, run: RunFolder, device: torch.device, interval: float, ranks: Ranks
) -> tuple[_Position, _Clock]:
    position = _Position()
    state = checkpoint.load(run, device, ranks)
    lacking = ranks.first and state is not None and run.metrics_size() < state["metrics_size"]
    if ranks.agree(lacking)[0]:
        log.warning("%s: rows are missing, so the run starts anew", run.metrics_path)
        state = None
    if ranks.first:
        run.cut_metrics(0 if state is None else state["metrics_size"])
    if state is None:
        seed_everything(training.seed)
        _keep(run, 0, training.start(), ranks)
        return position, _Clock(0.0, interval)
    training.load_state(state["training"])
    position.take(state["position"], ranks)
    set_global_state({**state["random"], **_on_cpu(state["random"])})
    return position, _Clock(state["seconds"], interval)


def _on_cpu(random_state: dict[str, Any]) -> dict[str, Any]:
    """Generator states are CPU tensors by contract, wherever map_location put them."""
    name, keys, *rest = random_state["numpy"]
    return {
        "torch": random_state["torch"].cpu(),
        "numpy": (name, keys.cpu(), *rest),
        "cuda": [state.cpu() for state in random_state["cuda"]],
    }
