"""What is recorded of sweeps that were submitted: their runs, what these need, and their jobs."""

from collections.abc import Mapping
from typing import Any

from hw5hpc.errors import UserError
from hw5hpc.experiments import rebuild
from hw5hpc.store import RunFolder, Sent, StoreError, SweepFolder
from hw5hpc.sweep import run_id


def run_ids(sweep: SweepFolder) -> list[str]:
    """Return the runs of a sweep's points; none where its record is damaged."""
    try:
        return [str(name) for name in sweep.load()["runs"]]
    except StoreError:
        return []


def needs(run: RunFolder) -> set[str]:
    """Return the runs that a run needs finished first."""
    try:
        wanted = rebuild(*run.config()).prerequisites().values()
    except (UserError, ValueError):
        # Damaged, or of the user's own making: such an experiment needs no other run.
        return set()
    return {run_id(*other) for other in wanted}


def jobs_of(submission: Mapping[str, Any]) -> list[Sent]:
    """Return the jobs of one row of submissions.jsonl, the report's last."""
    who = [str(submission.get(key, "")) for key in ("user", "cluster")]
    names = [*submission["first"], *submission["rest"], submission["report"]]
    return [Sent(str(name), *who) for name in names if name]
