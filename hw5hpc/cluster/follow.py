"""Where the runs of a sweep stand: a row for each point, followed live until all have ended."""

import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from hw5hpc.cluster.asking import jobs_if_any
from hw5hpc.experiments import headline_of
from hw5hpc.node.known_jobs import KnownJobs
from hw5hpc.node.standing import JobWords, checked, keep
from hw5hpc.store import JobAlive, Outputs, State, Status, SweepFolder
from hw5hpc.text import safe

ORDER = (
    State.FINISHED,
    State.RUNNING,
    State.QUEUED,
    State.INTERRUPTED,
    State.NEW,
    State.LOST,
    State.CANCELLED,
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
    outputs: Outputs,
    sweep: SweepFolder,
    job_alive: JobAlive = lambda job: None,
    job_words: JobWords = lambda job: "",
) -> list[Standing]:
    """Return one row a point: run folders and heartbeats first, Slurm only for what they lack."""
    headline = headline_of(sweep.load())
    rows = []
    for row in sweep.points():
        run = outputs.run(row.pop("run"))
        status, job = checked(run, sweep, job_alive, job_words), run.job()
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
    jobs = jobs_if_any(cluster, sweep)

    def turn() -> Turn:
        rows = asked(outputs, sweep, jobs) if jobs else standings(outputs, sweep)
        over = not any(row.status.state in WAITING for row in rows)
        bad = [row for row in rows if not only_bad or row.status.state in BAD]
        return Turn(bad, over, jobs.trouble if jobs else "")

    return follow(turn) if watch else turn().rows


def asked(outputs: Outputs, sweep: SweepFolder, jobs: KnownJobs) -> list[Standing]:
    """Return the rows with Slurm's word on the jobs, and keep that for the report."""
    jobs.add_sweep(outputs, sweep)
    jobs.refresh()
    rows = standings(outputs, sweep, jobs.alive, jobs.words)
    keep(sweep, {outputs.run(row.run): row.status for row in rows})
    return rows


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


def causes(rows: Sequence[Standing]) -> list[str]:
    """Return a line for each kind of trouble of runs that wait or came to nothing."""
    kinds = (State.QUEUED, State.INTERRUPTED, State.LOST, State.FAILED)
    bad = [row.status for row in rows if row.status.state in kinds and row.status.reason]
    counts = Counter((one.state, _without_start(one.reason)) for one in bad)
    return [f"  {count} {state}: {reason}" for (state, reason), count in counts.most_common(5)]


def unfinished(rows: Sequence[Standing], most: int = 5) -> list[str]:
    """Return a line for each run that is not done, with its log, and how many more there are."""
    bad = [row for row in rows if not row.status.state.done]
    lines = [
        f"  {row.run} {row.status.state}: {row.status.reason}"
        + (f" (log: {row.log})" if row.log else "")
        for row in bad[:most]
    ]
    return lines + ([f"  and {len(bad) - most} more"] if len(bad) > most else [])


def _without_start(reason: str) -> str:
    """The expected start moves all the time, which would be a new line each time."""
    return re.sub(r", expected start [-\d]+ [:\d]+", "", reason)


@dataclass(frozen=True)
class Turn:
    """What one look gave: the rows, whether it was the last, and what is wrong with Slurm."""

    rows: list[Standing]
    over: bool
    trouble: str = ""


def follow(look: Callable[[], Turn], seconds: float = 2.0) -> list[Standing]:
    """Show the rows until it is over; without a terminal, print lines whenever they change."""
    console = Console()
    last: list[str] = []
    with Live(console=console, transient=True) as live:
        while True:
            turn = look()
            lines = [summary(turn.rows), *causes(turn.rows)]
            if turn.trouble:
                lines.append(f"  Slurm does not answer; asked again ({safe(turn.trouble)})")
            if console.is_terminal:
                live.update(table(turn.rows, "\n".join(lines)))
            elif lines != last:
                text = "\n".join(map(safe, lines))
                print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)
            last = lines
            if turn.over:
                return turn.rows
            time.sleep(seconds)
