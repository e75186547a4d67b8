"""The sweeps of an output folder: where their points stand, and when each was last at work."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from hw5hpc.cluster.standings import ORDER
from hw5hpc.node.known_jobs import KnownJobs
from hw5hpc.node.standing import GOING, checked
from hw5hpc.store import Outputs, State, StoreError, SweepFolder
from hw5hpc.text import safe

MINUTE, HOUR, DAY = 60, 3600, 86400


@dataclass(frozen=True)
class Row:
    """One sweep; `last` is when anything of it was written last (seconds since 1970, 0: never)."""

    name: str
    experiment: str
    counts: Mapping[State, int]
    last: float
    report: bool
    problem: str = ""

    @property
    def points(self) -> int:
        return sum(self.counts.values())

    @property
    def going(self) -> bool:
        """Whether anything of it waits or runs, as far as that is known."""
        return any(self.counts.get(state) for state in GOING)

    def as_dict(self) -> dict[str, object]:
        return {
            "sweep": self.name,
            "experiment": self.experiment,
            "points": self.points,
            "states": {str(state): count for state, count in self.counts.items()},
            "last": self.last,
            "report": self.report,
            "problem": self.problem,
        }


def rows(outputs: Outputs, jobs: KnownJobs | None) -> list[Row]:
    """Return all sweeps, the one last at work first; Slurm is asked once about all of them."""
    sweeps = outputs.sweeps()
    for sweep in sweeps if jobs else ():
        if jobs and not _problem(sweep):
            jobs.add_sweep(outputs, sweep)
    if jobs:
        jobs.refresh()
    return sorted((_row(outputs, sweep, jobs) for sweep in sweeps), key=lambda row: -row.last)


def _problem(sweep: SweepFolder) -> str:
    try:
        sweep.load()
    except StoreError as error:
        return str(error)
    return ""


def _row(outputs: Outputs, sweep: SweepFolder, jobs: KnownJobs | None) -> Row:
    index = sweep.report / "index.html"
    if problem := _problem(sweep):
        return Row(sweep.name, "", {}, 0.0, index.exists(), problem)
    record = sweep.load()
    alive, words = (jobs.alive, jobs.words) if jobs else (lambda job: None, lambda job: "")
    runs = [outputs.run(str(name)) for name in record["runs"]]
    statuses = [checked(run, sweep, alive, words) for run in runs]
    sent = [float(row.get("time", 0.0)) for row in sweep.submissions()[-1:]]
    last = max([*(run.status().updated for run in runs), *sent, _registered(sweep)])
    counts = Counter(status.state for status in statuses)
    ordered = {state: counts[state] for state in ORDER if counts[state]}
    return Row(sweep.name, str(record.get("experiment", "")), ordered, last, index.exists())


def _registered(sweep: SweepFolder) -> float:
    try:
        return sweep.sweep_path.lstat().st_mtime
    except OSError:
        return 0.0


def table(found: Sequence[Row], now: float | None = None) -> Table:
    """Return the sweeps as a table for the terminal."""
    shown = Table(box=None, pad_edge=False)
    for name in ("sweep", "points", "states", "last", "report"):
        shown.add_column(name, justify="right" if name == "points" else "left",
                         no_wrap=name in ("points", "last"), overflow="fold")  # fmt: skip
    for row in found:
        states = ", ".join(f"{count} {state}" for state, count in row.counts.items())
        cells = [
            row.name,
            str(row.points),
            row.problem or states,
            age(row.last, now),
            "yes" if row.report else "",
        ]
        shown.add_row(*[Text(safe(cell)) for cell in cells])
    return shown


def age(when: float, now: float | None = None) -> str:
    """Return how long ago a time (seconds since 1970) is, in one unit; '' for 0.

    >>> age(1.0, 31.0), age(1.0, 7201.0), age(1.0, 259201.0)
    ('now', '2 h ago', '3 days ago')
    """
    seconds = (time.time() if now is None else now) - when
    if not when or seconds < MINUTE:
        return "now" if when else ""
    if seconds < HOUR:
        return f"{seconds / MINUTE:.0f} min ago"
    if seconds < 2 * DAY:
        return f"{seconds / HOUR:.0f} h ago"
    return f"{seconds / DAY:.0f} days ago"
