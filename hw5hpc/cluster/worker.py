"""What one task does: claim its runs, train each, and leave every one with a state and a reason."""

import contextlib
import dataclasses
import gc
import logging
import os
import socket
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from hw5hpc.cluster.provenance import device_name, provenance
from hw5hpc.cluster.retry import Budget, after_crash, after_stop, describe, is_final
from hw5hpc.engine import checkpoint
from hw5hpc.engine.loop import Outcome, Watch, train
from hw5hpc.engine.precision import pick_device
from hw5hpc.errors import UserError
from hw5hpc.experiments import EXPERIMENTS, prerequisites, rebuild
from hw5hpc.store import Claim, Outputs, RunFolder, State, Status, claim
from hw5hpc.sweep import run_id
from hw5hpc.tracking import Tracker

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 5.0
Report = Callable[[str, Status], None]


class ClaimLost(Exception):
    """Another worker has taken the run over; nothing of it may be written any more."""


@dataclasses.dataclass(frozen=True)
class Surroundings:
    """Where a task runs: its Slurm job (or ''), the sweep's name, and who wants to be told.

    `killed` says what ended this job's turn before this one, if that was a death without a word.
    """

    sweep: str
    job: str = ""
    stop: Callable[[], bool] = lambda: False
    report: Report = lambda run, status: None
    budget: Budget = dataclasses.field(default_factory=Budget)
    killed: str = ""


def work(folders: Sequence[Path], around: Surroundings) -> list[State]:
    """Train the runs of one task, one after the other; a failure of one leaves the rest going."""
    _use_allotted_cpus()
    return [_shielded(RunFolder(folder), around) for folder in folders]


def _shielded(run: RunFolder, around: Surroundings) -> State:
    try:
        return _work_on(run, around)
    except OSError as error:
        log.error("run %s can be neither read nor claimed: %s", run.id, describe(error))
        return State.LOST


def _use_allotted_cpus() -> None:
    """Without cgroups torch would start a thread for each core of the node, whoever uses it."""
    allotted = os.environ.get("SLURM_CPUS_PER_TASK")
    if allotted:
        torch.set_num_threads(int(allotted))


def _work_on(run: RunFolder, around: Surroundings) -> State:
    if around.stop() or _ended(run):
        return run.status().state
    mine = claim(run, around.job)
    if mine is None:
        log.warning("run %s is being worked on elsewhere; left alone", run.id)
        return State.RUNNING
    try:
        run.drop_leftovers()
        run.reserve_room()
        # Whoever held the claim until now may just have ended the run.
        if _ended(run) or _was_killed_too_often(run, around):
            return run.status().state
        return _with_retries(run, mine, around)
    finally:
        with contextlib.suppress(OSError):
            run.free_room()
            mine.release()


def _ended(run: RunFolder) -> bool:
    """A failed run comes back only when it is submitted again, which makes it a queued one."""
    state = run.status().state
    return state.done or state is State.FAILED


def _was_killed_too_often(run: RunFolder, around: Surroundings) -> bool:
    """Count the death of this job's last turn, if this is the run that it was at work on."""
    status = run.status()
    if not around.killed or status.state is not State.RUNNING or status.job != around.job:
        return False
    counted = after_crash(status, around.killed, around.budget)
    log.error("run %s: %s", run.id, counted.reason)
    _try_to_save(run, counted, around)
    return counted.state is State.FAILED


def _with_retries(run: RunFolder, mine: Claim, around: Surroundings) -> State:
    """Try again from the last checkpoint after a crash, as often as the budget allows."""
    while True:
        attempt = _Attempt(run, mine, around)
        try:
            return attempt.run()
        except ClaimLost:
            log.warning("run %s was taken over by another worker; left to it", run.id)
            return State.RUNNING
        except Exception as error:
            log.error("run %s: %s\n%s", run.id, describe(error), traceback.format_exc())
            if run.status().state.done:
                # Its result was on disk before the trouble began.
                return run.status().state
            final = is_final(error)
            counted = after_crash(attempt.status, describe(error), around.budget, final)
        _try_to_save(run, counted, around)
        if counted.state is State.FAILED:
            return State.FAILED
        # What the broken attempt held on the GPU would be missing in the next one.
        del attempt
        gc.collect()
        torch.cuda.empty_cache()


def _try_to_save(run: RunFolder, status: Status, around: Surroundings) -> None:
    try:
        run.set_last_status(status)
    except OSError as error:
        log.error("run %s: its state could not be written: %s", run.id, describe(error))
    around.report(run.id, status)


class _Attempt:
    """One attempt at one run, from the newest checkpoint to an end or a stop."""

    def __init__(self, run: RunFolder, mine: Claim, around: Surroundings) -> None:
        self._run, self._claim, self._around = run, mine, around
        self._beat = 0.0
        self.status = run.status()

    def run(self) -> State:
        experiment, config = _checked_config(self._run)
        device = pick_device()
        entry = EXPERIMENTS[experiment]
        running = self.status.to(
            State.RUNNING,
            reason="",
            job=self._around.job,
            host=socket.gethostname(),
            pid=os.getpid(),
            epochs=getattr(getattr(config, "train", None), "epochs", 0),
        )
        self._save(running)
        training = entry.load()(config, device, _weights_of_prerequisites(self._run, config))
        around, source = self._around, training.data_source
        record = provenance(device, around.sweep, around.job, source)
        self._run.set_provenance(record)
        tracker = self._tracker(experiment, config, record)
        try:
            outcome = train(training, self._run, device, self._watch(tracker, config))
            return self._end(outcome, training, device, tracker)
        finally:
            tracker.finish({}, exit_code=1)

    def _tracker(self, experiment: str, config: Any, record: dict[str, Any]) -> Tracker:
        return Tracker(
            self._run.path,
            self._run.id,
            group=self._around.sweep,
            job_type=experiment,
            tags=[self._around.sweep, str(record["device"])],
            config={**dataclasses.asdict(config), "commit": record["commit"]},
        )

    def _watch(self, tracker: Tracker, config: Any) -> Watch:
        minutes = getattr(getattr(config, "train", None), "checkpoint_minutes", 5.0)

        def row(metrics: dict[str, float], arrays: dict[str, NDArray[Any]]) -> None:
            tracker.log(metrics, arrays)
            self._progress(int(metrics["epoch"]), 0, metrics, now=True)

        return Watch(
            stop=self._around.stop,
            before_write=self._check_claim,
            progress=self._progress,
            row=row,
            checkpoint_seconds=60 * minutes,
        )

    def _progress(
        self, epoch: int, step: int, metrics: dict[str, float], now: bool = False
    ) -> None:
        if not now and time.monotonic() - self._beat < HEARTBEAT_SECONDS:
            return
        self._beat = time.monotonic()
        self._check_claim()
        self._save(self.status.to(State.RUNNING, epoch=epoch, metrics=metrics))

    def _check_claim(self) -> None:
        if not self._claim.beat():
            raise ClaimLost

    def _save(self, status: Status) -> None:
        self.status = status
        self._run.set_status(status)
        self._around.report(self._run.id, status)

    def _end(
        self, outcome: Outcome, training: Any, device: torch.device, tracker: Tracker
    ) -> State:
        done = outcome.state.done
        if done:
            self._check_claim()
            self._write_result(outcome, training, device)
        tracker.finish(outcome.metrics, exit_code=0 if outcome.state is State.FINISHED else 1)
        measured = {"metrics": outcome.metrics, "seconds": outcome.seconds}
        if done:
            self._save(self.status.to(outcome.state, reason=outcome.reason, **measured))
            checkpoint.remove(self._run)
        else:
            status = self.status.to(State.RUNNING, **measured)
            self._save(after_stop(status, outcome.reason, self._around.budget))
        return self.status.state

    def _write_result(self, outcome: Outcome, training: Any, device: torch.device) -> None:
        weights = {name: tensor.detach().cpu() for name, tensor in training.weights().items()}
        if weights:
            checkpoint.write_weights(self._run.weights, weights)
        self._run.set_result(
            {
                "state": outcome.state,
                "reason": outcome.reason,
                "metrics": {k: v for k, v in outcome.metrics.items() if k not in ("epoch", "step")},
                "seconds": outcome.seconds,
                "device": device_name(device),
                "devices": 1 if device.type == "cuda" else 0,
                "data_source": training.data_source,
                "class_names": list(training.class_names),
            }
        )


def _checked_config(run: RunFolder) -> tuple[str, Any]:
    """Return (experiment, config), refused unless it hashes to the folder's name."""
    experiment, values = run.config()
    if experiment not in EXPERIMENTS:
        raise UserError(f"{run.path}: unknown experiment {experiment!r}")
    try:
        config = rebuild(experiment, values)
    except ValueError as error:
        raise UserError(f"{run.path}/config.yaml: {error}") from error
    if run_id(experiment, config) != run.id:
        raise UserError(f"{run.path}: config.yaml was changed, it is not run {run.id} any more")
    return experiment, config


def _weights_of_prerequisites(run: RunFolder, config: Any) -> dict[str, dict[str, torch.Tensor]]:
    """Return {role: weights} of the runs that this one needs.

    Raises:
        UserError: one of them has no result.
    """
    outputs = Outputs(run.path.parents[1])
    found = {}
    for role, (experiment, needed) in prerequisites(config).items():
        other = outputs.run(run_id(experiment, needed))
        if other.status().state is not State.FINISHED:
            raise UserError(
                f"its {role}, run {other.id}, is {other.status().state}: {other.status().reason}"
            )
        found[role] = checkpoint.read_weights(other.weights)
    return found
