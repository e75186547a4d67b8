"""What a forked process does: train one run as if it were alone."""

import contextlib
import importlib
import os
from pathlib import Path

import torch

from hw5hpc.data import read
from hw5hpc.data.sets import DataError
from hw5hpc.engine.distributed import Ranks
from hw5hpc.experiments import EXPERIMENTS
from hw5hpc.node import requeue
from hw5hpc.node.code import running_code
from hw5hpc.node.fork_server import GPU_BROKEN, Order
from hw5hpc.node.progress import to_stdout
from hw5hpc.node.retry import Budget
from hw5hpc.node.stop import StopFlag
from hw5hpc.node.task import Task
from hw5hpc.node.worker import DeviceBroken, work
from hw5hpc.store import RunFolder
from hw5hpc.team.team import Team
from hw5hpc.tracking.follow import off


def preload() -> None:
    """Import what every run imports, and find out once which version of the code this is."""
    for entry in EXPERIMENTS.values():
        entry.load()
    running_code()


def share(order: Order) -> None:
    """Load once, for all processes that are forked from here on, what this order's run needs.

    That is its data set, and W&B where that may follow it.
    """
    if not off(RunFolder(Path(order.folder)), order.sweep, here=not order.job):
        importlib.import_module("hw5hpc.tracking.live")
    if order.data is None:
        return
    name, root = order.data
    # What cannot be read, the run itself will say.
    with contextlib.suppress(DataError, OSError):
        read.keep(name, root)


def keep(name: str, root: str | None) -> dict[str, str]:
    """Read a data set for all processes forked from here on; say what is in it, or why not."""
    try:
        read.keep(name, root)
        return {"content": read.read(name, root).content, "problem": ""}
    except DataError as error:
        return {"content": "", "problem": str(error)}
    except OSError as error:
        return {"content": "", "problem": f"{error.filename or name}: {error.strerror}"}


def main(order: Order, server: int) -> int:
    """Train a run until it ends or is stopped; return the process's exit status.

    It is stopped by a signal, and when the process `server` that it was forked from is no more.
    """
    if order.job:
        to_stdout()
    stop = StopFlag()
    stop.listen(*requeue.STOPS)
    task = Task(
        order.sweep,
        order.job,
        stop=lambda: stop() or os.getppid() != server,
        budget=Budget(order.crashes, order.stops),
        killed=order.killed,
        gone=requeue.gone if order.job else lambda job: False,
        own=Path(order.own) if order.own else None,
        threads=order.threads,
        gpu_share=order.gpu_share,
        mps=order.mps,
    )
    try:
        work([Path(order.folder)], task, Team(Ranks(local=order.slot)))
    except DeviceBroken:
        # Another process can go on. Under MPS the crash may be another run's.
        return GPU_BROKEN if order.mps else requeue.TRY_AGAIN
    return 0


def free_gpu_memory_gb() -> list[float]:
    """Return the free memory of each GPU that torch can use."""
    if not torch.cuda.is_available():
        return []
    count = torch.cuda.device_count()
    return [torch.cuda.mem_get_info(index)[0] / 2**30 for index in range(count)]
