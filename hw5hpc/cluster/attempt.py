"""One attempt at one run: from the newest checkpoint to an end, a stop or a crash."""

import dataclasses
import logging
import os
import socket
import time
from collections.abc import Callable
from typing import Any

import torch
from numpy.typing import NDArray

from hw5hpc.cluster.inputs import checked_config, weights_of_prerequisites
from hw5hpc.cluster.provenance import device_name, provenance
from hw5hpc.cluster.retry import Budget, after_crash, after_stop, describe
from hw5hpc.cluster.team import Team
from hw5hpc.engine import checkpoint
from hw5hpc.engine.loop import Outcome, Watch, train
from hw5hpc.engine.precision import pick_device
from hw5hpc.experiments import EXPERIMENTS
from hw5hpc.store import Claim, RunFolder, State, Status
from hw5hpc.tracking import Tracker

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 5.0
Report = Callable[[str, Status], None]


class ClaimLost(Exception):
    """Another worker has taken the run over; nothing of it may be written any more."""


@dataclasses.dataclass(frozen=True)
class Surroundings:
    """Where a task runs: its Slurm job (or ''), sweep, who wants to be told, and its ranks.

    `killed` says what ended this job's turn before this one, if that was a death without a word;
    `gone` whether another Slurm job has ended.
    """

    sweep: str
    job: str = ""
    stop: Callable[[], bool] = lambda: False
    report: Report = lambda run, status: None
    budget: Budget = dataclasses.field(default_factory=Budget)
    killed: str = ""
    team: Team = dataclasses.field(default_factory=Team)
    gone: Callable[[str], bool] = lambda job: False


def count_crash(run: RunFolder, reason: str, around: Surroundings, final: bool = False) -> None:
    """Leave the run failed, or interrupted for the job's next turn; only the first rank writes."""
    if not around.team.ranks.first or run.status().state.done:
        return
    counted = after_crash(run.status(), reason, around.budget, final)
    over = counted.state is State.FAILED
    save_last(run, counted if over else counted.to(State.INTERRUPTED), around)


def save_last(run: RunFolder, status: Status, around: Surroundings) -> None:
    try:
        run.set_last_status(status)
    except OSError as error:
        log.error("run %s: its state could not be written: %s", run.id, describe(error))
    around.report(run.id, status)


class Attempt:
    """One attempt at one run, from the newest checkpoint to an end or a stop."""

    def __init__(self, run: RunFolder, mine: Claim | None, around: Surroundings) -> None:
        self._run, self._claim, self._around = run, mine, around
        self._ranks = around.team.ranks
        self._beat = 0.0
        self.status = run.status()

    def run(self) -> State:
        device, around, ranks = pick_device(self._ranks.local), self._around, self._ranks
        prepared = around.team.prepare(lambda: self._prepare(device), describe)
        experiment, config, training = prepared
        if not ranks.first:
            watch = Watch(stop=around.stop, checkpoint_seconds=_checkpoint_seconds(config))
            return train(training, self._run, device, watch, ranks).state
        record = provenance(device, around.sweep, around.job, ranks.size)
        # Which copy, in words, and the SHA-256 of all its pixels and labels before any limit.
        record |= {"data_source": training.data_source, "data_sha256": training.data_content}
        self._run.set_provenance(record)
        tracker = self._tracker(experiment, config, record)
        around.team.on_abort(lambda verdict: count_crash(self._run, verdict, around))
        try:
            watch = self._watch(tracker, config)
            outcome = train(training, self._run, device, watch, ranks)
            return self._end(outcome, training, device, tracker)
        finally:
            tracker.finish({}, exit_code=1)

    def _prepare(self, device: torch.device) -> tuple[str, Any, Any]:
        """Return (experiment, config, training)."""
        experiment, config = checked_config(self._run)
        running = self.status.to(
            State.RUNNING,
            reason="",
            job=self._around.job,
            host=socket.gethostname(),
            pid=os.getpid(),
            epochs=getattr(getattr(config, "train", None), "epochs", 0),
        )
        self._save(running)
        weights = weights_of_prerequisites(self._run, config)
        made = EXPERIMENTS[experiment].load()
        return experiment, config, made(config, device, weights, self._ranks)

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
        def row(metrics: dict[str, float], arrays: dict[str, NDArray[Any]]) -> None:
            tracker.log(metrics, arrays)
            self._progress(int(metrics["epoch"]), 0, metrics, now=True)

        return Watch(
            stop=self._around.stop,
            before_write=self._check_claim,
            progress=self._progress,
            row=row,
            checkpoint_seconds=_checkpoint_seconds(config),
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
        if self._claim is not None and not self._claim.beat():
            raise ClaimLost

    def _save(self, status: Status) -> None:
        self.status = status
        if not self._ranks.first:
            return
        self._run.set_status(status)
        self._around.report(self._run.id, status)

    def _end(
        self, outcome: Outcome, training: Any, device: torch.device, tracker: Tracker
    ) -> State:
        done = outcome.state.done
        if done:
            self._check_claim()
            self._write_result(outcome, training, device)
        measured = {"metrics": outcome.metrics, "seconds": outcome.seconds}
        if done:
            self._save(self.status.to(outcome.state, reason=outcome.reason, **measured))
            checkpoint.remove(self._run)
        else:
            status = self.status.to(State.RUNNING, **measured)
            self._save(after_stop(status, outcome.reason, self._around.budget))
        # Last, as it may have to wait for W&B: the run's state is on disk by then.
        tracker.finish(outcome.metrics, exit_code=0 if outcome.state is State.FINISHED else 1)
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
                "devices": self._ranks.size if device.type == "cuda" else 0,
                "data_source": training.data_source,
                "class_names": list(training.class_names),
            }
        )


def _checkpoint_seconds(config: Any) -> float:
    minutes: float = getattr(getattr(config, "train", None), "checkpoint_minutes", 5.0)
    return 60 * minutes
