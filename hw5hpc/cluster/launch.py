"""Who this process is among those of its task: as Slurm says, or as torchrun does."""

import logging
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from hw5hpc.cluster.attempt import Surroundings, count_crash
from hw5hpc.cluster.rendezvous import (
    RendezvousError,
    RendezvousTimeout,
    meet_by_file,
    meet_by_torchrun,
    torchrun_ranks,
)
from hw5hpc.cluster.retry import Budget, describe
from hw5hpc.cluster.team import Team, TeamBroken, assembled
from hw5hpc.engine.distributed import Ranks
from hw5hpc.store import RunFolder, State, claim

log = logging.getLogger(__name__)


@contextmanager
def slurm_team(
    environment: Any, expected: int, runs: Sequence[Path], budget: Budget
) -> Iterator[Team]:
    """Bring together the processes that srun started, from submitit's job environment.

    Raises:
        TeamBroken: they do not find each other in time, which counts as a crash of each run.
        RendezvousError: they are not as many as was asked for, or do not fit together; the runs
            are marked as failed with this reason.
    """
    ranks = Ranks(environment.global_rank, environment.num_tasks, environment.local_rank)
    try:
        with _slurm_team(environment, ranks, expected) as team:
            yield team
    except RendezvousError as error:
        may_pass = isinstance(error, RendezvousTimeout)
        if ranks.first:
            around = Surroundings("", environment.job_id, budget=budget)
            for run in map(RunFolder, runs):
                _count(run, str(error), around, final=not may_pass)
        if may_pass:
            raise TeamBroken(str(error)) from error
        raise


def _count(run: RunFolder, reason: str, around: Surroundings, final: bool) -> None:
    """Count a crash of a run that was not begun, unless it has ended or is another worker's."""
    state = run.status().state
    if state.done or state is State.FAILED:
        return
    try:
        mine = claim(run, around.job, around.gone)
        if mine is not None:
            count_crash(run, reason, around, final)
            mine.release()
    except OSError as error:
        log.error("run %s can be neither read nor claimed: %s", run.id, describe(error))


def _slurm_team(environment: Any, ranks: Ranks, expected: int) -> AbstractContextManager[Team]:
    if ranks.size != expected:
        raise RendezvousError(
            f"wrong world size: the task was sent for {expected} processes, "
            f"Slurm started {ranks.size}"
        )
    # A requeued job has the same number; its first turn's address must not be taken for its own.
    turn = os.environ.get("SLURM_RESTART_COUNT", "0")
    path = environment.paths.folder / f"{environment.job_id}_rendezvous.{turn}.json"
    host = os.environ.get("SLURMD_NODENAME") or socket.gethostname()
    return assembled(ranks, host, lambda me: meet_by_file(me, path))


def torchrun_team() -> AbstractContextManager[Team]:
    """Return the processes that torchrun started, or this one alone.

    Raises:
        RendezvousError: torchrun's variables contradict each other.
    """
    return assembled(torchrun_ranks(), socket.gethostname(), meet_by_torchrun)
