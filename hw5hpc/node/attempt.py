"""One attempt at one run: from its newest checkpoint to an end or a stop."""

import dataclasses
from typing import Any

import torch
from numpy.typing import NDArray

from hw5hpc import debugger
from hw5hpc.engine import checkpoint
from hw5hpc.engine.distributed import Ranks
from hw5hpc.engine.loop import Outcome, Watch, train
from hw5hpc.engine.precision import pick_device, settle
from hw5hpc.experiments import find
from hw5hpc.experiments.config import ExperimentConfig
from hw5hpc.experiments.contract import Experiment
from hw5hpc.node.code import running_code
from hw5hpc.node.inputs import checked_config, digest, weights_of_prerequisites
from hw5hpc.node.ledger import Ledger
from hw5hpc.node.progress import Progress
from hw5hpc.node.provenance import device_name, memory, provenance, with_turns
from hw5hpc.node.task import Task
from hw5hpc.store import RunFolder, State
from hw5hpc.team.team import Team
from hw5hpc.tracking.follow import Follower, follower


def attempt(run: RunFolder, task: Task, team: Team, ledger: Ledger) -> State:
    """Train a run until it ends or is stopped, and return its state.

    Raises:
        ClaimLost: another worker has taken the run over.
        Refused: one of several ranks could not prepare it.
        debugger.Left: it was left in the debugger.
        Exception: whatever else ended the training.
    """
    try:
        return _attempt(run, task, team, ledger)
    except Exception as error:
        debugger.stop_at(error)
        raise


def _attempt(run: RunFolder, task: Task, team: Team, ledger: Ledger) -> State:
    ranks = team.ranks
    device = pick_device(ranks.local)
    config, training, origin = team.prepare(lambda: _prepare(run, task, device, ranks, ledger))
    watch = _watch(task, config, ledger, origin)
    if not ranks.first:
        return train(training, run, device, watch, ranks).state
    record = provenance(device, task.sweep, task.job, ranks.size, task.own)
    # Which copy, in words, and the SHA-256 of all its pixels and labels before any limit.
    record |= {"data_source": training.data_source, "data_sha256": training.data_content}
    run.set_provenance(with_turns(record, run.provenance()))
    followed = follower(run, task.sweep, here=not task.job)
    try:
        told = Progress(run.id, config.epochs, find(run.config()[0], task.own).headline)
        outcome = train(training, run, device, _told(watch, followed, ledger, told), ranks)
        state = _end(run, outcome, training, ledger, _where(device, ranks, task))
        # Last, as it may have to wait for W&B: the run's state is on disk by then.
        followed.finish()
        return state
    finally:
        followed.finish()


def _prepare(
    run: RunFolder, task: Task, device: torch.device, ranks: Ranks, ledger: Ledger
) -> tuple[ExperimentConfig, Experiment, dict[str, str]]:
    """Return (config, training, the hashes of what it is made of)."""
    experiment, config = checked_config(run, task.own)
    ledger.began(config.epochs)
    settle(device, config.precision)
    weights = weights_of_prerequisites(run, config)
    training_class = find(experiment, task.own).load()
    training = training_class(config, device, weights, ranks)
    made_of = {"code": running_code(task.own), "data": training.data_content}
    return config, training, made_of | {role: digest(part) for role, part in weights.items()}


def _watch(task: Task, config: ExperimentConfig, ledger: Ledger, origin: dict[str, str]) -> Watch:
    return Watch(
        stop=task.stop,
        before_write=ledger.check,
        progress=lambda epoch, step, metrics: ledger.progressed(epoch, metrics),
        checkpoint_seconds=60 * config.checkpoint_minutes,
        origin=origin,
    )


def _told(watch: Watch, followed: Follower, ledger: Ledger, told: Progress) -> Watch:
    """Let each row go into the run's status and the log, and from its files to W&B."""

    def row(metrics: dict[str, float], arrays: dict[str, NDArray[Any]]) -> None:
        ledger.progressed(int(metrics["epoch"]), metrics, now=True)
        told.row(metrics)

    def progress(epoch: int, step: int, metrics: dict[str, float]) -> None:
        watch.progress(epoch, step, metrics)
        told.stepped()
        followed.update()

    return dataclasses.replace(watch, row=row, progress=progress)


def _end(
    run: RunFolder, outcome: Outcome, training: Experiment, ledger: Ledger, where: dict[str, Any]
) -> State:
    if not outcome.state.done:
        return ledger.stopped(outcome)
    ledger.check()
    weights = {name: tensor.detach().cpu() for name, tensor in training.weights().items()}
    if weights:
        checkpoint.write_weights(run.weights, weights)
    state = ledger.ended(outcome, _result(outcome, training) | where)
    checkpoint.remove(run)
    return state


def _result(outcome: Outcome, training: Experiment) -> dict[str, Any]:
    return {
        "state": outcome.state,
        "reason": outcome.reason,
        "metrics": {k: v for k, v in outcome.metrics.items() if k not in ("epoch", "step")},
        "seconds": outcome.seconds,
        "data_source": training.data_source,
        "class_names": list(training.class_names),
    }


def _where(device: torch.device, ranks: Ranks, task: Task) -> dict[str, Any]:
    gpus = ranks.size * task.gpu_share if device.type == "cuda" else 0
    return {"device": device_name(device), "devices": gpus, **memory(device)}
