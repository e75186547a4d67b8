"""Stop what would only fail as well: the others of an array, or what waits for a canary."""

import logging
import subprocess
from collections.abc import Iterable, Sequence

from hw5hpc.errors import alike
from hw5hpc.node.jobs import base
from hw5hpc.store import Outputs, RunFolder, State, StoreError, SweepFolder

log = logging.getLogger(__name__)

# So many of an array's first runs must have failed alike, and none come to anything.
FIRST = 3


class CanaryFailed(Exception):
    """The run that others wait for came to nothing: its job must fail, too."""


def stop_others(
    sweep: SweepFolder, outputs: Outputs, job: str, states: Sequence[State], canary: bool
) -> None:
    """Cancel the waiting tasks of a job's array when its first runs all failed in the same way.

    After a `canary` that failed, what waits for it is cancelled. A failure to do so costs only the
    time of runs that fail.
    """
    if State.FAILED not in states:
        return
    try:
        runs = [outputs.run(str(name)) for name in sweep.load()["runs"]]
        arrays = _waiting_for(sweep, job) if canary else {base(job)}
        waiting = [run for run in runs if base(run.job()) in arrays and _is_queued(run)]
        reason = _canary_reason(runs, job) if canary else _same_reason(runs, job)
        if waiting and reason:
            _stop(arrays, waiting, reason)
    except (OSError, StoreError, subprocess.SubprocessError):
        log.exception("the runs that wait could not be stopped")


def _is_queued(run: RunFolder) -> bool:
    return run.status().state is State.QUEUED


def _waiting_for(sweep: SweepFolder, job: str) -> set[str]:
    rows = [row for row in sweep.submissions() if job in (row.get("canary") or [])]
    return {base(other) for row in rows for other in row["rest"] if other != job}


def _canary_reason(runs: Iterable[RunFolder], job: str) -> str:
    failed = [run for run in runs if run.job() == job]
    return "".join(f"not begun: the canary {run.id} failed: {run.status().reason}"
                   for run in failed[:1])  # fmt: skip


def _same_reason(runs: Iterable[RunFolder], job: str) -> str:
    """Return why to stop an array, '' while any of its runs may come to something.

    One that has got further than those that failed may: also where they failed late.
    """
    begun = [run.status() for run in runs if base(run.job()) == base(job)]
    begun = [status for status in begun if status.state is not State.QUEUED]
    failed = [status.reason for status in begun if status.state is State.FAILED]
    alone = len({alike(reason) for reason in failed}) == 1
    ends = [status.epoch for status in begun if status.state is State.FAILED]
    going = [status.epoch for status in begun if status.state is not State.FAILED]
    done = any(status.state.done for status in begun)
    if done or not alone or max(going, default=0) > max(ends):
        return ""
    return f"stopped: the first {len(failed)} runs of its array failed alike: {failed[0]}" * (
        len(failed) >= FIRST
    )


def _stop(arrays: set[str], waiting: Sequence[RunFolder], reason: str) -> None:
    for run in waiting:
        run.set_cancelled(reason)
    words = ["scancel", "--quiet", "--state=PENDING", *sorted(arrays)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    log.error("%s; %d that waited are cancelled %s", reason, len(waiting), done.stderr.strip())
