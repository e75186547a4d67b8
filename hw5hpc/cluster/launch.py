"""Who this process is among those of its task: as Slurm says, or as torchrun does."""

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from hw5hpc.cluster.rendezvous import (
    RendezvousError,
    meet_by_file,
    meet_by_torchrun,
    torchrun_ranks,
)
from hw5hpc.cluster.team import Team, assembled
from hw5hpc.engine.distributed import Ranks
from hw5hpc.store import RunFolder, State


@contextmanager
def slurm_team(environment: Any, expected: int, runs: Sequence[Path]) -> Iterator[Team]:
    """Bring together the processes that srun started, from submitit's job environment.

    Raises:
        RendezvousError: they are not as many as was asked for, or do not find each other; the
            runs are marked as failed with this reason.
    """
    ranks = Ranks(environment.global_rank, environment.num_tasks, environment.local_rank)
    try:
        with _slurm_team(environment, ranks, expected) as team:
            yield team
    except RendezvousError as error:
        if ranks.first:
            for run in map(RunFolder, runs):
                status = run.status()
                if not status.state.done:
                    run.set_status(status.to(State.FAILED, reason=str(error)))
        raise


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
