"""One rank of the failure tests: train a ring run in a team, and have one rank end badly.

    python one_rank.py RANK SIZE FOLDER HOW VICTIM

At its sixth step the rank VICTIM raises an error, kills itself, or stops itself (HOW), or nothing;
or it is `unprepared` and cannot begin, `unreachable` by the others, or lets them `linger` when all
is done.
"""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from torch.distributed import distributed_c10d

from hw5hpc.engine.distributed import Ranks
from hw5hpc.errors import UserError
from hw5hpc.experiments import rebuild
from hw5hpc.experiments.ring.train import Ring
from hw5hpc.node import attempt
from hw5hpc.node.task import Task
from hw5hpc.node.worker import work
from hw5hpc.store import Outputs
from hw5hpc.sweep import run_id
from hw5hpc.sweep.point import flatten
from hw5hpc.team import assembly, heartbeat, rendezvous
from hw5hpc.team.rendezvous import Member, meet_by_file

CONFIG = {"train.epochs": 4, "train.batch_size": 9, "ring.steps_per_epoch": 4, "ring.samples": 20}


def prepare(folder: Path) -> Path:
    config = rebuild("ring", {**CONFIG, "train.checkpoint_minutes": 0})
    run = Outputs(folder).run(run_id("ring", config))
    run.create("ring", flatten(config))
    return run.path


SIGNALS = {"kill": signal.SIGKILL, "freeze": signal.SIGSTOP}


def end_badly(how: str) -> None:
    if how == "raise":
        raise ValueError("boom")
    if how in SIGNALS:
        os.kill(os.getpid(), SIGNALS[how])


def unreadable(*_: object) -> None:
    raise UserError("weights.pt cannot be read here")


def unpickled(*_: object) -> None:
    raise AssertionError("ranks must not send each other pickles")


def main() -> None:
    rank, size, folder, how, victim = (
        int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4], int(sys.argv[5]),
    )  # fmt: skip
    # The same waits, shorter: a test should not take a minute to see what takes seconds.
    rendezvous.JOIN_SECONDS, heartbeat.SILENT, heartbeat.GRACE_SECONDS = 60.0, 8.0, 2.0
    real = Ring.step

    def step(self: Ring, epoch: int, index: int) -> Any:
        if (rank, epoch, index) == (victim, 2, 1):
            end_badly(how)
        return real(self, epoch, index)

    Ring.step = step  # type: ignore[method-assign]
    # A pickle from a false rank would execute what it says.
    distributed_c10d._tensor_to_object = unpickled  # type: ignore[assignment]
    if how == "unreachable":
        assembly.CONNECT_SECONDS = 2.0
        if rank == victim:
            os.environ["GLOO_SOCKET_IFNAME"] = "none0"
    if how == "unprepared" and rank == victim:
        attempt.weights_of_prerequisites = unreadable  # type: ignore[assignment]

    def meet(member: Member) -> Any:
        return meet_by_file(member, folder / f"address.{how}.json")

    with assembly.assembled(Ranks(rank, size, rank), "localhost", meet) as team:
        print(work([prepare(folder)], Task("test"), team))
        if how == "linger" and rank == victim:
            time.sleep(8)


if __name__ == "__main__":
    main()
