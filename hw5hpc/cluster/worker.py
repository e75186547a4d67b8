"""What one task does: claim its runs, train each, and leave every one with a state and a reason."""

import contextlib
import gc
import logging
import os
import traceback
from collections.abc import Sequence
from pathlib import Path

import torch

from hw5hpc.cluster.attempt import Attempt, ClaimLost, Surroundings, count_crash, save_last
from hw5hpc.cluster.retry import after_crash, describe, is_final
from hw5hpc.cluster.team import Refused, TeamBroken
from hw5hpc.store import Claim, RunFolder, State, claim, tidy

log = logging.getLogger(__name__)


def work(folders: Sequence[Path], around: Surroundings) -> list[State]:
    """Train the runs of one task, one after the other; a failure of one leaves the rest going.

    All ranks train every run together.

    Raises:
        TeamBroken: one of several ranks failed or died.
    """
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
    ranks = around.team.ranks
    if ranks.agree(around.stop())[0]:
        return run.status().state
    mine, state = _claimed(run, around) if ranks.first else (None, State.RUNNING)
    taken, state = ranks.broadcast((mine is not None, state))
    if not taken:
        return state
    try:
        state = _with_retries(run, mine, around) if ranks.alone else _together(run, mine, around)
    finally:
        _let_go(run, mine)
    return ranks.broadcast(state)


def _claimed(run: RunFolder, around: Surroundings) -> tuple[Claim | None, State]:
    """Return the claim, or None with the state in which the run is left alone."""
    try:
        return _claim(run, around)
    except OSError as error:
        log.error("run %s can be neither read nor claimed: %s", run.id, describe(error))
        return None, State.LOST


def _claim(run: RunFolder, around: Surroundings) -> tuple[Claim | None, State]:
    if _ended(run):
        tidy(run)
        return None, run.status().state
    mine = claim(run, around.job, around.gone)
    if mine is None:
        log.warning("run %s is being worked on elsewhere; left alone", run.id)
        return None, State.RUNNING
    to_do = False
    try:
        run.drop_leftovers()
        run.reserve_room()
        # Whoever held the claim until now may just have ended the run.
        to_do = not _ended(run) and not _was_killed_too_often(run, around)
        return (mine if to_do else None), run.status().state
    finally:
        if not to_do:
            _let_go(run, mine)


def _let_go(run: RunFolder, mine: Claim | None) -> None:
    with contextlib.suppress(OSError):
        if mine is not None:
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
    save_last(run, counted, around)
    return counted.state is State.FAILED


def _together(run: RunFolder, mine: Claim | None, around: Surroundings) -> State:
    """One attempt of several ranks; after a crash the task has to begin anew to try again."""
    team = around.team
    try:
        return Attempt(run, mine, around).run()
    except Refused as error:
        count_crash(run, describe(error), around, final=True)
        return State.FAILED
    except ClaimLost as error:
        raise TeamBroken(team.verdict(error, "another worker has taken the run over")) from error
    except Exception as error:
        verdict = team.verdict(error, describe(error))
        log.error("run %s: %s", run.id, verdict)
        count_crash(run, verdict, around, is_final(error))
        # Where another rank's death broke a connection here, that is not what to look at.
        raise TeamBroken(verdict) from (error if describe(error) in verdict else None)


def _with_retries(run: RunFolder, mine: Claim | None, around: Surroundings) -> State:
    """Try again from the last checkpoint after a crash, as often as the budget allows."""
    while True:
        attempt = Attempt(run, mine, around)
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
        save_last(run, counted, around)
        if counted.state is State.FAILED:
            return State.FAILED
        # What the broken attempt held on the GPU would be missing in the next one.
        del attempt
        gc.collect()
        torch.cuda.empty_cache()
