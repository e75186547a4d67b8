"""Where the runs of a sweep stand: a row for each point, from files first and Slurm second."""

from collections.abc import Sequence
from dataclasses import dataclass

from hw5hpc.experiments import headline_of
from hw5hpc.node.known_jobs import KnownJobs
from hw5hpc.node.standing import JobWords, checked, keep
from hw5hpc.store import JobAlive, Outputs, RunFolder, State, Status, SweepFolder

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


class Ended:
    """The rows of runs that have ended: they are not read again while their files stay the same.

    A sweep of a thousand points is watched for hours, and most of them have ended by then.
    """

    def __init__(self) -> None:
        self._rows: dict[str, tuple[object, Standing]] = {}

    def get(self, run: RunFolder) -> Standing | None:
        stamp, row = self._rows.get(run.id, (None, None))
        return row if row is not None and stamp == run.stamp() else None

    def put(self, run: RunFolder, row: Standing) -> None:
        if row.status.state.done or row.status.state is State.FAILED:
            self._rows[run.id] = (run.stamp(), row)


def standings(
    outputs: Outputs,
    sweep: SweepFolder,
    job_alive: JobAlive = lambda job: None,
    job_words: JobWords = lambda job: "",
    ended: Ended | None = None,
) -> list[Standing]:
    """Return one row a point: run folders and heartbeats first, Slurm only for what they lack."""
    headline, ended = headline_of(sweep.load()), ended or Ended()
    rows = []
    for row in sweep.points():
        run = outputs.run(row.pop("run"))
        made = ended.get(run) or _standing(run, row, sweep, headline, job_alive, job_words)
        ended.put(run, made)
        rows.append(made)
    return rows


def _standing(
    run: RunFolder,
    swept: dict[str, str],
    sweep: SweepFolder,
    headline: str,
    job_alive: JobAlive,
    job_words: JobWords,
) -> Standing:
    status = checked(run, sweep, job_alive, job_words)
    job = run.job_of(status)
    value = status.metrics.get(headline)
    shown = f"{value:.4g}" if value is not None else ""
    path = str(sweep.log_of(job)) if job and sweep.log_of(job).exists() else ""
    left = _left(run.timing(), status) if status.state is State.RUNNING else None
    return Standing(run.id, swept, status, path, left, headline, shown)


def _left(timing: Sequence[dict[str, float]], status: Status) -> float | None:
    """Expected seconds to the end, from the mean duration of the epochs so far."""
    last = timing[-1] if timing else {}
    epoch, seconds = last.get("epoch"), last.get("seconds")
    if not status.epochs or not epoch or seconds is None:
        return None
    return max(status.epochs - status.epoch, 0) * seconds / epoch


def asked(
    outputs: Outputs, sweep: SweepFolder, jobs: KnownJobs, ended: Ended | None = None
) -> list[Standing]:
    """Return the rows with Slurm's word on the jobs, and keep that for the report."""
    jobs.add_sweep(outputs, sweep)
    jobs.refresh()
    rows = standings(outputs, sweep, jobs.alive, jobs.words, ended)
    keep(sweep, {outputs.run(row.run): row.status for row in rows})
    return rows
