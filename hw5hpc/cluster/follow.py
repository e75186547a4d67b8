"""Where the runs of a sweep stand: a row for each point, followed live until all have ended."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from hw5hpc.errors import UserError
from hw5hpc.store import JobAlive, Life, Outputs, State, Status, SweepFolder, life
from hw5hpc.text import safe

ORDER = (
    State.FINISHED,
    State.RUNNING,
    State.QUEUED,
    State.INTERRUPTED,
    State.NEW,
    State.LOST,
    State.DIVERGED,
    State.FAILED,
)


BAD = (State.FAILED, State.LOST, State.DIVERGED)
WAITING = (State.NEW, State.QUEUED, State.RUNNING, State.INTERRUPTED)


@dataclass(frozen=True)
class Standing:
    """Where one point stands; `left` is the expected time to its end in seconds, or None."""

    run: str
    swept: dict[str, str]
    status: Status
    log: str
    left: float | None
    headline: str
    last: str

    def as_dict(self) -> dict[str, object]:
        return {
            "run": self.run,
            **self.swept,
            "state": str(self.status.state),
            "epoch": self.status.epoch,
            "epochs": self.status.epochs,
            "seconds_left": self.left,
            "metrics": self.status.metrics,
            "reason": self.status.reason,
            "log": self.log,
        }


def standings(
    outputs: Outputs, sweep: SweepFolder, job_alive: JobAlive = lambda job: None
) -> list[Standing]:
    """Return one row a point: run folders and heartbeats first, Slurm only for what they lack."""
    headline = str(sweep.load().get("headline", ""))
    rows = []
    for row in sweep.points():
        run = outputs.run(row.pop("run"))
        status = run.status()
        job = run.job()
        if status.state in (State.QUEUED, State.RUNNING, State.INTERRUPTED):
            status = _checked(status, life(run, job_alive))
        value = status.metrics.get(headline)
        shown = f"{value:.4g}" if value is not None else ""
        path = str(sweep.log_of(job)) if job and sweep.log_of(job).exists() else ""
        left = _left(run.timing(), status)
        rows.append(Standing(run.id, row, status, path, left, headline, shown))
    return rows


def look(
    outputs: Outputs, sweep: SweepFolder, cluster: str | None, only_bad: bool, watch: bool
) -> list[Standing]:
    """Return the rows as they are now, or `watch` them until every point has ended.

    The Slurm of the profile `cluster` (None: the default) is asked, where it can be. `only_bad`
    leaves failed, lost and diverged points.
    """

    def every() -> list[Standing]:
        return standings(outputs, sweep, _asked(cluster, sweep.path))

    def read() -> list[Standing]:
        return [row for row in every() if not only_bad or row.status.state in BAD]

    def over() -> bool:
        return not any(row.status.state in WAITING for row in every())

    return follow(read, over) if watch else read()


def _asked(cluster: str | None, sweep: Path) -> JobAlive:
    """Ask Slurm once a refresh; where it cannot be asked, nothing is known."""
    from hw5hpc.cluster import profile, slurm

    try:
        slurm.require(profile.load(cluster or profile.default_name(), {}, sweep))
        return slurm.Queue().alive
    except UserError:
        return lambda job: None


def _checked(status: Status, found: Life) -> Status:
    """A run whose job is gone and whose worker is dead is lost; what is unknown stays as it is."""
    if found is Life.HELD:
        return status
    if found is Life.GONE:
        return status.to(State.LOST, reason="its job is gone; submit again to go on")
    if status.state is not State.RUNNING:
        return status
    minutes = (time.time() - status.updated) / 60
    unknown = f"no sign of life for {minutes:.0f} min, and Slurm cannot be asked"
    return replace(
        status, reason="its job waits for the next turn" if found is Life.WAITING else unknown
    )


def _left(timing: list[dict[str, float]], status: Status) -> float | None:
    """Expected seconds to the end, from the mean duration of the epochs so far."""
    last = timing[-1] if timing else {}
    epoch, seconds = last.get("epoch"), last.get("seconds")
    if status.state is not State.RUNNING or not status.epochs or not epoch or seconds is None:
        return None
    return max(status.epochs - status.epoch, 0) * seconds / epoch


def table(rows: Sequence[Standing], title: str) -> Table:
    """Return the rows as a table for the terminal."""
    shown = Table(title=Text(title), title_justify="left", box=None, pad_edge=False)
    swept = list(rows[0].swept) if rows else []
    headline = rows[0].headline if rows else "metric"
    for name in ("run", *swept, "state", "epoch", "left", headline, "reason"):
        shown.add_column(name, no_wrap=name in ("run", "state"))
    for row in rows:
        status = row.status
        epochs = f"{status.epoch}/{status.epochs}" if status.epochs else ""
        left = "" if row.left is None else f"{row.left / 60:.1f} min"
        reason = status.reason
        if status.state in (State.FAILED, State.LOST) and row.log:
            reason += f" (log: {row.log})"
        cells = [
            row.run,
            *row.swept.values(),
            str(status.state),
            epochs,
            left,
            row.last,
            reason,
        ]
        shown.add_row(*[Text(safe(cell)) for cell in cells])
    return shown


def summary(rows: Sequence[Standing]) -> str:
    """Return the counts, as in '3 finished, 1 failed'."""
    counts = Counter(row.status.state for row in rows)
    return ", ".join(f"{counts[state]} {state}" for state in ORDER if counts[state])


def follow(
    read: Callable[[], list[Standing]], finished: Callable[[], bool], seconds: float = 2.0
) -> list[Standing]:
    """Show the rows until `finished`; without a terminal, print a line whenever counts change."""
    console = Console()
    last = ""
    with Live(console=console, transient=True) as live:
        while True:
            over = finished()
            rows = read()
            text = summary(rows)
            if console.is_terminal:
                live.update(table(rows, text))
            elif text != last:
                print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)
            last = text
            if over:
                return rows
            time.sleep(seconds)
