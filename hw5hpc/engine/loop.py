"""The one training loop: epochs and steps, metrics, checkpoints, and a clean stop at a step."""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from numpy.typing import NDArray
from torch import Tensor

from hw5hpc.engine import checkpoint
from hw5hpc.engine.distributed import SOLO, Ranks
from hw5hpc.engine.divergence import broken_number, broken_weight
from hw5hpc.engine.progress import Clock, Position
from hw5hpc.engine.random import global_state, seed_everything, set_global_state
from hw5hpc.errors import describe
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
    # The steps after which to measure, beside the end of every epoch.
    looks: Collection[int]

    def start(self) -> Evaluation:
        """Measure before the first step (only the arrays are kept, as of epoch 0)."""

    def step(self, epoch: int, index: int) -> tuple[dict[str, Tensor], int]:
        """Train on batch `index` of `epoch`; return mean losses (0-dim, detached), batch size.

        Over several ranks the losses are this rank's parts, which add up to the batch's means.
        """

    def evaluate(self, epoch: int) -> Evaluation:
        """Measure after an epoch (1 is the first), or within the next one.

        Of what is measured within an epoch only the numbers are kept.
        """

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
    `origin` names what a result must be made of from its first step to its last ({what: its
    hash}): a checkpoint of another origin is not gone on from.
    """

    stop: Callable[[], bool] = lambda: False
    progress: Callable[[int, int, dict[str, float]], None] = lambda epoch, step, metrics: None
    before_write: Callable[[], None] = lambda: None
    row: Callable[[dict[str, float], dict[str, NDArray[Any]]], None] = lambda row, arrays: None
    checkpoint_seconds: float = 300.0
    origin: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How the loop ended; INTERRUPTED means a checkpoint was saved and the run can go on."""

    state: State
    reason: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0


def train(
    training: Training, run: RunFolder, device: torch.device, watch: Watch, ranks: Ranks = SOLO
) -> Outcome:
    """Train from the newest checkpoint (or the start) to the end, a stop, or divergence.

    All ranks train, and stop at the same step when any is asked to; only the first one writes.
    """
    position, clock = _resume(training, run, device, watch, ranks)
    row: dict[str, float] = next(iter(run.metrics()[-1:]), {})
    clock.go_on()
    while position.epoch < training.epochs:
        stop, due = ranks.agree(watch.stop(), clock.due())
        if stop or due:
            watch.before_write()
            _save(training, run, position, clock, watch, ranks)
        if stop:
            return Outcome(State.INTERRUPTED, "stopped by a signal", row, clock.seconds)
        position.add(*training.step(position.epoch + 1, position.step))
        clock.stepped()
        watch.progress(position.epoch, position.step, row)
        steps = position.epoch * training.steps_per_epoch + position.step
        whole = position.step == training.steps_per_epoch
        if whole or steps in training.looks:
            clock.pause()
            row, broken = _look(training, run, position, steps, watch, ranks)
            if ranks.first:
                run.add_timing({"epoch": position.epoch, "step": steps, **clock.lap()})
            if broken:
                return Outcome(State.DIVERGED, broken, row, clock.seconds)
            clock.go_on()
    final = training.finish()
    watch.before_write()
    _keep(run, training.epochs, final.arrays, ranks)
    broken = _broken(final)
    state = State.DIVERGED if broken else State.FINISHED
    return Outcome(state, broken, {**row, **final.metrics}, clock.seconds)


def _broken(measured: Evaluation) -> str:
    return "" if measured.any_number else broken_number("measure", measured.metrics)


def _look(
    training: Training,
    run: RunFolder,
    position: Position,
    steps: int,
    watch: Watch,
    ranks: Ranks,
) -> tuple[dict[str, float], str]:
    """Write the row after `steps`, and return it with what broke ('' while all is finite).

    The weights are looked at too: those that the very last step broke show in no loss.
    """
    whole = position.step == training.steps_per_epoch
    if whole:
        position.end_epoch()
    losses = position.end_row(ranks)
    broken = broken_number("loss", losses) or broken_weight(training.weights())
    measured = Evaluation() if broken else training.evaluate(position.epoch)
    row = {"epoch": position.epoch, "step": steps, **losses, **measured.metrics}
    arrays = measured.arrays if whole else {}
    watch.before_write()
    _keep(run, position.epoch, arrays, ranks)
    if ranks.first:
        run.add_metrics(row)
        watch.row(row, arrays)
    broken = broken or _broken(measured)
    where = f"epoch {position.epoch if whole else position.epoch + 1}"
    return row, f"{broken} in {where}" if broken else ""


def _keep(run: RunFolder, epoch: int, arrays: Mapping[str, NDArray[Any]], ranks: Ranks) -> None:
    if ranks.first:
        for name, array in arrays.items():
            run.add_array(name, epoch, array)


def _save(
    training: Training,
    run: RunFolder,
    position: Position,
    clock: Clock,
    watch: Watch,
    ranks: Ranks,
) -> None:
    clock.pause()
    whole = position.whole(ranks)
    if ranks.first:
        state = {
            "origin": dict(watch.origin),
            "training": training.state(),
            "position": whole,
            "seconds": clock.seconds,
            "train_seconds": clock.stepping,
            "metrics_size": run.metrics_size(),
            "random": global_state(),
        }
        checkpoint.save(run, state)
    clock.saved()


def _resume(
    training: Training, run: RunFolder, device: torch.device, watch: Watch, ranks: Ranks
) -> tuple[Position, Clock]:
    position, clock = Position(), Clock(device, watch.checkpoint_seconds)
    state = checkpoint.load(run, device, ranks, lambda found: _unfit(found, watch.origin))
    lacking = ranks.first and state is not None and run.metrics_size() < state["metrics_size"]
    if ranks.agree(lacking)[0]:
        log.warning("%s: rows are missing, so the run starts anew", run.metrics_path)
        state = None
    if ranks.first:
        run.cut_metrics(0 if state is None else state["metrics_size"])
    if state is None:
        if ranks.first:
            run.drop_arrays()
        seed_everything(training.seed)
        _keep(run, 0, training.start().arrays, ranks)
        return position, clock
    try:
        training.load_state(state["training"])
        position.take(state["position"], ranks)
        set_global_state({**state["random"], **_on_cpu(state["random"])})
        clock.take(state)
    except Exception as error:
        if isinstance(error, torch.OutOfMemoryError | torch.AcceleratorError):
            raise
        # Half of it may be loaded by now, so that only the next attempt can start clean.
        unfit = checkpoint.UnfitCheckpoint(f"does not fit this training: {describe(error)}")
        if ranks.first:
            checkpoint.set_aside(run, unfit)
        raise unfit from error
    return position, clock


def _unfit(state: Mapping[str, Any], origin: Mapping[str, str]) -> str:
    """Say why a checkpoint is not to be gone on from: '' when it may be."""
    parts = ("training", "position", "seconds", "metrics_size", "random")
    lacking = [part for part in parts if part not in state]
    where = state.get("position")
    lacking += [key for key in vars(Position()) if isinstance(where, Mapping) and key not in where]
    if lacking:
        return f"it has another layout, without {', '.join(lacking)}"
    before = state.get("origin")
    if not isinstance(before, Mapping):
        before = {}
    others = [
        f"other {what} ({str(before.get(what) or 'not known')[:12]}; here {now[:12] or 'none'})"
        for what, now in origin.items()
        if before.get(what) != now
    ]
    return f"made with {' and '.join(others)}" if others else ""


def _on_cpu(random_state: dict[str, Any]) -> dict[str, Any]:
    """Generator states are CPU tensors by contract, wherever map_location put them."""
    name, keys, *rest = random_state["numpy"]
    return {
        "torch": random_state["torch"].cpu(),
        "numpy": (name, keys.cpu(), *rest),
        "cuda": [state.cpu() for state in random_state["cuda"]],
    }
