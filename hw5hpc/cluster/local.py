"""Run a plan on this machine, several runs side by side, with live progress and no Slurm."""

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from hw5hpc.cluster.plan import Item, Plan, register
from hw5hpc.errors import UserError
from hw5hpc.node.abreast import Abreast
from hw5hpc.node.entry import Entry
from hw5hpc.node.processes import Processes
from hw5hpc.node.retry import Budget
from hw5hpc.node.shares import Place, measured
from hw5hpc.node.stop import StopFlag
from hw5hpc.node.task import Task
from hw5hpc.store import Outputs, State, Status


def run(
    plan: Plan,
    outputs: Outputs,
    crashes: int = 2,
    processes: Processes | None = None,
    at_a_time: int | None = None,
) -> list[State]:
    """Train what the plan holds and return the state that each run ended in.

    Each run gets a process of its own, and `at_a_time` of them train side by side (None: as many as
    this machine carries). Without `processes`, this process trains one run after the other; under
    torchrun it is the first process, and trains each run with those that `join`. A run may crash
    `crashes` times without getting further before it counts as failed.

    Ctrl-C or SIGTERM stops all at their next step with a checkpoint; the same command goes on.
    """
    register(plan, outputs)
    items = [*plan.first, *plan.rest]
    with _Board(_names(plan), len(items)) as board:
        task = Task(
            plan.sweep.name,
            tell=board.update,
            budget=Budget(crashes=crashes),
            own=plan.sweep.own and plan.sweep.own.absolute(),
        )
        if processes is None:
            return _train_here([outputs.run(item.id).path for item in items], task)
        return _train_abreast(plan, outputs, task, processes, at_a_time)


def join() -> None:
    """Train, as one of torchrun's other processes, what the first one's plan holds."""
    _train_here([], Task(""))


def under_torchrun() -> bool:
    return "LOCAL_RANK" in os.environ


@contextlib.contextmanager
def _stopped_by_signals(task: Task) -> Iterator[Task]:
    """Let Ctrl-C and SIGTERM stop a task: Ctrl-C is the user's own, it is in no budget."""
    stop = StopFlag()
    handlers = stop.listen(signal.SIGINT, signal.SIGTERM)
    try:
        yield replace(task, stop=stop)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if stop():
        raise KeyboardInterrupt


def _train_abreast(
    plan: Plan, outputs: Outputs, task: Task, processes: Processes, at_a_time: int | None
) -> list[State]:
    with _stopped_by_signals(task) as task:
        place = processes.place(measured(outputs.run(item.id) for item in plan.points))
        going = len(plan.first) + len(plan.rest)
        abreast = min(going, at_a_time or place.abreast(going)) or 1
        if processes.sharing:
            print(f"{abreast} runs at a time, {processes.sharing}")
        task = replace(task, gpu_share=place.gpu_share(abreast))
        entries = _entries(plan, outputs, place, at_a_time)
        return Abreast(entries, task, abreast, processes.leave_mps).train(processes.server)


def _entries(plan: Plan, outputs: Outputs, place: Place, at_a_time: int | None) -> list[Entry]:
    """Return the runs as they are to be trained.

    Their threads are counted from the sweep, not from what is left of it: a sweep that is begun
    anew in the middle trains its last runs as it would have anyway.
    """
    needed = frozenset().union(*(item.needs for item in plan.points))

    def entry(item: Item, beside: int) -> Entry:
        threads = place.threads_each(beside, at_a_time)
        return Entry.of(outputs.run(item.id).path, item.config, threads)

    return [
        *(entry(item, len(needed)) for item in plan.first),
        *(entry(item, len(plan.points)) for item in plan.rest),
    ]


def _train_here(folders: list[Path], task: Task) -> list[State]:
    """Train one run after the other, with torchrun's other processes where there are some."""
    from hw5hpc.node.worker import DeviceBroken, work
    from hw5hpc.team.assembly import torchrun_team

    with _stopped_by_signals(task) as task:
        try:
            with torchrun_team() as team:
                own = task.own and str(task.own)
                paths = [str(folder) for folder in folders]
                sweep, own, paths = team.ranks.broadcast([task.sweep, own, paths])
                task = replace(task, sweep=sweep, own=Path(own) if own else None)
                return work([Path(path) for path in paths], task, team)
        except DeviceBroken as error:
            raise UserError(f"{error}; the same command goes on with the rest") from error


class _Board:
    """A bar for the sweep and one for each run at work; plain lines where there is no terminal."""

    def __init__(self, names: dict[str, str], total: int) -> None:
        self._console = Console()
        self._names = names
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._sweep = self._progress.add_task("runs", total=total)
        self._runs: dict[str, TaskID] = {}
        self._last: dict[str, State] = {}

    def __enter__(self) -> "_Board":
        self._progress.start()
        return self

    def __exit__(self, *details: object) -> None:
        self._progress.stop()

    def update(self, run: str, status: Status) -> None:
        if run not in self._runs:
            self._runs[run] = self._progress.add_task(self._names[run], total=None)
        self._progress.update(self._runs[run], completed=status.epoch, total=status.epochs or None)
        if status.state is self._last.get(run):
            return
        self._last[run] = status.state
        if status.state not in (State.RUNNING, State.QUEUED):
            self._progress.advance(self._sweep)
            self._progress.remove_task(self._runs[run])
            self._line(run, status)

    def _line(self, run: str, status: Status) -> None:
        done = self._progress.tasks[0].completed
        total = self._progress.tasks[0].total
        reason = f": {status.reason}" if status.reason else ""
        text = f"[{done:.0f}/{total:.0f}] {self._names[run]} {status.state}{reason}"
        line = f"{text} ({status.seconds:.0f} s)"
        self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)


def _names(plan: Plan) -> dict[str, str]:
    """Return each run's experiment and id, and for a point what the sweep varies."""
    names = {item.id: f"{item.experiment} {item.id}" for item in (*plan.first, *plan.points)}
    for item, point in zip(plan.points, plan.sweep.points, strict=True):
        swept = " ".join(f"{key}={value}" for key, value in point.swept.items())
        names[item.id] += f" ({swept})" if swept else ""
    return names
