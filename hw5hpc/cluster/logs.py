"""The log of one point: its job's output, or without a job what its own files tell."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hw5hpc.experiments import headline_of
from hw5hpc.node.known_jobs import KnownJobs
from hw5hpc.node.progress import from_files
from hw5hpc.node.standing import GOING, checked
from hw5hpc.store import Outputs, RunFolder, State, Status, SweepFolder
from hw5hpc.store.files import read_bytes

LOOK_SECONDS = 1.0
LARGEST_BYTES = 1 << 30


@dataclass(frozen=True)
class Source:
    """A run of a sweep, and what Slurm is asked with (None: it cannot be)."""

    outputs: Outputs
    sweep: SweepFolder
    run: RunFolder
    jobs: KnownJobs | None

    @property
    def log(self) -> Path | None:
        """The log of the job that had the run last; another sweep may have sent it."""
        job = self.run.job_of(self.run.status())
        places = [self.sweep, *self.outputs.sweeps()] if job else []
        return next((path for place in places if (path := place.log_of(job)).exists()), None)

    def status(self) -> Status:
        if self.jobs is None:
            return checked(self.run, self.sweep, lambda job: None, lambda job: "")
        self.jobs.add([self.run.sent()])
        self.jobs.refresh()
        return checked(self.run, self.sweep, self.jobs.alive, self.jobs.words)

    def lines(self, log: Path | None) -> list[str]:
        """Return all whole lines; a line that is just being written waits for its end."""
        if log is None:
            return from_files(self.run, headline_of(self.sweep.load()))
        text = read_bytes(log, LARGEST_BYTES).decode(errors="replace")
        return [line for line in text.split("\n") if line]


def show(source: Source, follow: bool = False, last: int | None = None) -> Iterator[str]:
    """Give the log's lines, or its `last` ones; with `follow` also those that are still to come.

    The first line says where the run stands and which file it is. Following ends when the run has.
    """
    log, status = source.log, source.status()
    yield heading(source.run, status, log)
    lines = source.lines(log)
    yield from lines if last is None else lines[max(len(lines) - last, 0) :]
    seen = len(lines)
    while follow and status.state in (*GOING, State.NEW):
        time.sleep(LOOK_SECONDS)
        before, status = status, source.status()
        if source.log != log:
            log, seen = source.log, 0
        lines = source.lines(log)
        if (before.state, before.reason) != (status.state, status.reason):
            yield heading(source.run, status, log)
        yield from lines[seen:]
        seen = max(seen, len(lines))


def heading(run: RunFolder, status: Status, log: Path | None) -> str:
    """Return a line on where a run stands, and which file is shown."""
    reason = f": {status.reason}" if status.reason else ""
    where = log or (f"no log of a job; its rows in {run.metrics_path}")
    return f"--- run {run.id} is {status.state}{reason} ({where})"
