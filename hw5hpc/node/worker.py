"""What one task does: claim its runs, train each, and try again after a crash."""

import contextlib
import logging
import os
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from hw5hpc import debugger
from hw5hpc.engine.distributed import Ranks
from hw5hpc.engine.precision import free_gpu
from hw5hpc.errors import describe
from hw5hpc.experiments import own
from hw5hpc.node.attempt import attempt
from hw5hpc.node.ledger import ClaimLost, Ledger
from hw5hpc.node.retry import is_final
from hw5hpc.node.shares import here
from hw5hpc.node.task import Task
from hw5hpc.store import RunFolder, State
from hw5hpc.team.team import ALONE, Refused, Team, TeamBroken

log = logging.getLogger(__name__)


class DeviceBroken(Exception):
    """The GPU answers this process no more; a new one must do what is left of its task."""


def work(folders: Sequence[Path], task: Task, team: Team = ALONE) -> list[State]:
    """Train the runs of one task, one after the other; a failure of one leaves the rest going.

    All ranks train every run together.

    Raises:
        TeamBroken: one of several ranks failed or died.
        DeviceBroken: a crash left the GPU unusable; it is counted for the run at work, except under
            MPS, where it is noted for whoever can tell whose it was.
    """
    threads = _threads(task)
    torch.set_num_threads(threads)
    task = replace(task, threads=threads)
    return [_shielded(RunFolder(folder), task, team) for folder in folders]


def count_crash(
    folders: Sequence[Path], task: Task, ranks: Ranks, reason: str, final: bool
) -> None:
    """Count a crash of each run that its ranks could not even begin; ended ones are left alone."""
    for folder in folders:
        with contextlib.closing(Ledger(RunFolder(folder), task, ranks)) as ledger:
            to_do, _ = ledger.open()
            if to_do:
                ledger.crashed(reason, final, here=False)


def _threads(task: Task) -> int:
    """Without cgroups torch would start a thread for each core of the node, whoever uses it."""
    allotted = os.environ.get("SLURM_CPUS_PER_TASK")
    return task.threads or (int(allotted) if allotted else torch.get_num_threads())


def _go_on_with_threads(run: RunFolder, task: Task) -> None:
    """Give a run that goes on as many threads as it began with: sums depend on their number."""
    began = run.provenance().get("threads") if run.checkpoint.exists() else None
    if not isinstance(began, int) or not 0 < began <= here().cores:
        began = task.threads
    torch.set_num_threads(began)


def _shielded(run: RunFolder, task: Task, team: Team) -> State:
    try:
        return _work_on(run, task, team)
    except OSError as error:
        log.error("run %s can be neither read nor claimed: %s", run.id, describe(error))
        return State.LOST


def _work_on(run: RunFolder, task: Task, team: Team) -> State:
    ranks = team.ranks
    if ranks.agree(task.stop())[0]:
        return run.status().state
    with contextlib.closing(Ledger(run, task, ranks)) as ledger:
        to_do, state = ranks.broadcast(list(ledger.open()))
        if not to_do:
            return State(state)
        train = _with_retries if ranks.alone else _together
        state = train(run, task, team, ledger)
    return State(ranks.broadcast(str(state)))


def _with_retries(run: RunFolder, task: Task, team: Team, ledger: Ledger) -> State:
    """Try again from the last checkpoint after a crash, as often as the budget allows."""
    _go_on_with_threads(run, task)
    while True:
        try:
            return attempt(run, task, team, ledger)
        except ClaimLost:
            log.warning("run %s was taken over by another worker; left to it", run.id)
            return State.RUNNING
        except debugger.Left as left:
            ledger.crashed(_reason(left.error, task), final=True)
            raise
        except Exception as error:
            reason = _reason(error, task)
            log.error("run %s: %s\n%s", run.id, reason, traceback.format_exc())
            final = is_final(error)
            shared = task.mps and isinstance(error, torch.AcceleratorError)
        # Out of the handler, as the error holds the frames that hold what is to be freed.
        works = free_gpu() and not shared
        if works or not task.mps:
            state = ledger.crashed(reason, final, here=works)
        else:
            ledger.noted(reason)
        if not works:
            raise DeviceBroken(f"run {run.id}: {reason}") from None
        if state is not State.RUNNING:
            return state


def _together(run: RunFolder, task: Task, team: Team, ledger: Ledger) -> State:
    """One attempt of several ranks; after a crash the task has to begin anew to try again."""
    team.on_abort(ledger.crashed)
    try:
        return attempt(run, task, team, ledger)
    except Refused as error:
        # All ranks are here. A device that is broken on one of them would refuse every later run.
        broken = team.ranks.agree(not free_gpu())[0]
        state = ledger.crashed(describe(error), final=not broken)
        if broken:
            raise TeamBroken(describe(error)) from error
        return state
    except ClaimLost as error:
        raise TeamBroken(team.verdict(error, "another worker has taken the run over")) from error
    except Exception as error:
        verdict = team.verdict(error, _reason(error, task))
        log.error("run %s: %s", run.id, verdict)
        ledger.crashed(verdict, is_final(error))
        # Where another rank's death broke a connection here, that is not what to look at.
        raise TeamBroken(verdict) from (error if describe(error) in verdict else None)


def _reason(error: Exception, task: Task) -> str:
    """Say why a run ended; an error in the user's own file with its line."""
    line = own.line_of(error, task.own) if task.own else None
    return f"{describe(error)} ({task.own.name}:{line})" if task.own and line else describe(error)
