"""Run a plan on this machine, one run after the other, with live progress and no Slurm."""

import signal
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

from hw5hpc.cluster.plan import Plan, register
from hw5hpc.errors import UserError
from hw5hpc.node.retry import Budget
from hw5hpc.node.stop import StopFlag
from hw5hpc.node.task import Task
from hw5hpc.store import Outputs, State, Status


def run(plan: Plan, outputs: Outputs, crashes: int = 2) -> list[State]:
    """Train what the plan holds and return the state that each run ended in.

    A run may crash `crashes` times without getting further before it counts as failed.

    Ctrl-C or SIGTERM stops at the next step with a checkpoint; the same command goes on from it.
    Under torchrun this is its first process; the others `join`.
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
        return _train([outputs.run(item.id).path for item in items], task)


def join() -> None:
    """Train, as one of torchrun's other processes, what the first one's plan holds."""
    _train([], Task(""))


def _train(folders: list[Path], task: Task) -> list[State]:
    """Ctrl-C is the user's own; it is in no budget."""
    from hw5hpc.node.worker import DeviceBroken, work
    from hw5hpc.team.assembly import torchrun_team

    stop = StopFlag()
    handlers = stop.listen(signal.SIGINT, signal.SIGTERM)
    try:
        with torchrun_team() as team:
            own = task.own and str(task.own)
            paths = [str(folder) for folder in folders]
            sweep, own, paths = team.ranks.broadcast([task.sweep, own, paths])
            task = replace(task, sweep=sweep, own=Path(own) if own else None, stop=stop)
            states = work([Path(path) for path in paths], task, team)
    except DeviceBroken as error:
        raise UserError(f"{error}; the same command goes on with the rest") from error
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if stop():
        raise KeyboardInterrupt
    return states


class _Board:
    """A bar for the sweep and one for the run at work; plain lines where there is no terminal."""

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
