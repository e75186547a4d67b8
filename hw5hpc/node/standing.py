"""Where a run stands that no living worker holds: what its job and its log say of it."""

import contextlib
import os
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hw5hpc.node.known_jobs import KnownJobs
from hw5hpc.store import JobAlive, Life, Outputs, RunFolder, State, Status, SweepFolder, life
from hw5hpc.text import safe

# Says in words why a Slurm job does not run, or how it ended.
JobWords = Callable[[str], str]

GOING = (State.QUEUED, State.RUNNING, State.INTERRUPTED)
TAIL_BYTES, TAIL_LINES, TAIL_LENGTH = 4096, 3, 300


def checked(run: RunFolder, sweep: SweepFolder, alive: JobAlive, words: JobWords) -> Status:
    """Return a run's status; it is lost when its job is gone and no living worker holds it.

    Where somebody ended the job, it is cancelled. Heartbeats go before Slurm, and what is unknown
    stays as it is.
    """
    status = run.status()
    job = run.job_of(status)
    found = life(run, alive) if status.state in GOING else Life.HELD
    if found is Life.HELD:
        return status
    if found is Life.UNKNOWN and not job:
        # Only an old job of it is not known, and no process works on it.
        found = Life.GONE
    if found is Life.GONE and not job and status.state is State.INTERRUPTED:
        return replace(status, reason=f"{status.reason}; submit again to go on")
    said = words(job) if job else ""
    # Nobody works on it, and Slurm was told to end its job, whatever else is known of that.
    if found in (Life.GONE, Life.UNKNOWN) and (why := run.cancelled()):
        return status.to(State.CANCELLED, reason=why)
    if found is Life.GONE:
        return _lost(status, said, sweep.log_of(job))
    if status.state is not State.RUNNING:
        return replace(status, reason="; ".join(filter(None, (status.reason, said))))
    minutes = (time.time() - status.updated) / 60
    silent = f"no sign of life for {minutes:.0f} min, and " + (said or "Slurm cannot be asked")
    waits = "its job waits for the next turn" + (f" ({said})" if said else "")
    return replace(status, reason=waits if found is Life.WAITING else silent)


def _lost(status: Status, said: str, log: Path) -> Status:
    # Once a run has begun, its log's last lines are about training, not about the job's end.
    last = tail(log) if status.state is State.QUEUED else ""
    gone = (
        "its job is gone" if status.job or status.state is State.QUEUED else "its process is gone"
    )
    parts = (said or gone, f"its log ends: {last}" if last else "")
    reason = "; ".join([*filter(None, parts), "submit again to go on"])
    return status.to(State.LOST, reason=reason)


def tail(log: Path) -> str:
    """Return the last lines of a log in one line, '' when there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - TAIL_BYTES, 0))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    last = " | ".join([safe(line.strip()) for line in lines if line.strip()][-TAIL_LINES:])
    # The path of Slurm's copy of the script differs from job to job and is gone by now.
    last = re.sub(r"\S*/slurm_script\b", "slurm_script", last)
    return last if len(last) <= TAIL_LENGTH else f"...{last[-TAIL_LENGTH:]}"


def note(outputs: Outputs, sweep: SweepFolder, jobs: KnownJobs) -> None:
    """Ask Slurm about a sweep's jobs, and keep for the report what it says."""
    jobs.add_sweep(outputs, sweep)
    jobs.refresh()
    runs = [outputs.run(str(run)) for run in sweep.load().get("runs", [])]
    keep(sweep, {run: checked(run, sweep, jobs.alive, jobs.words) for run in runs})


def keep(sweep: SweepFolder, statuses: dict[RunFolder, Status]) -> None:
    """Keep for the report what the runs' own files do not say; a reader of another's may not."""
    said = {
        run.id: {"job": run.job(), "state": str(status.state), "reason": status.reason}
        for run, status in statuses.items()
        if status.state in (*GOING, State.LOST, State.CANCELLED) and status.reason
    }
    with contextlib.suppress(OSError):
        sweep.set_standing(said)
