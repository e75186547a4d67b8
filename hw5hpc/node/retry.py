"""How often a run is tried again: one budget for crashes, another for stops by a signal."""

import errno
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hw5hpc.errors import UserError
from hw5hpc.store import State, Status
from hw5hpc.store.files import append_json_line, read_json_lines

# What trying again does not mend; an input or output error of a busy file server may pass.
LASTING = (
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT,
    errno.ENOTDIR, errno.EISDIR, errno.EFBIG,
)  # fmt: skip


@dataclass(frozen=True)
class Budget:
    """How often a run may crash without getting further, and be stopped (None: any number)."""

    crashes: int = 2
    stops: int | None = None


def after_crash(status: Status, reason: str, budget: Budget, final: bool = False) -> Status:
    """Return the status after one more crash: running again, or failed for good.

    A crash in a later epoch than the crash before starts the count anew: what gets further is
    not stuck. `final` says that trying again cannot help.
    """
    stuck = status.crashes > 0 and status.epoch <= status.crash_epoch
    crashes = status.crashes + 1 if stuck else 1
    over = final or crashes > budget.crashes
    if over and not final and budget.crashes:
        reason = f"{reason} ({crashes} times in a row; max_crashes is {budget.crashes})"
    state = State.FAILED if over else State.RUNNING
    return status.to(state, crashes=crashes, crash_epoch=status.epoch, reason=reason)


def after_stop(status: Status, reason: str, budget: Budget) -> Status:
    """Return the status after a stop by a signal: interrupted, or failed over its budget."""
    stops = status.stops + 1
    if budget.stops is not None and stops > budget.stops:
        reason = f"{reason} {stops} times; max_stops is {budget.stops}"
        return status.to(State.FAILED, stops=stops, reason=reason)
    return status.to(State.INTERRUPTED, stops=stops, reason=reason)


def is_final(error: BaseException) -> bool:
    """Whether a run that ended so would only end so again."""
    lasting = isinstance(error, OSError) and error.errno in LASTING
    return lasting or isinstance(error, UserError)


def describe(error: BaseException) -> str:
    """Return one line that says why a run ended."""
    if type(error).__name__ == "OutOfMemoryError":
        return "the GPU's memory is too small: lower train.batch_size or ask for a larger GPU"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk or quota is full ({error.filename or 'output folder'})"
    text = " ".join(str(error).split())[:300]
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}"


def _deaths_path(logs: Path, job: str) -> Path:
    return logs / f"{job}_deaths.jsonl"


def record_death(logs: Path, job: str, number: int) -> None:
    """Note beside a job's log that a signal ended its process.

    Raises:
        OSError: it cannot be written, so the deaths cannot be counted.
    """
    append_json_line(_deaths_path(logs, job), {"signal": number, "time": time.time()})


def deaths(logs: Path, job: str) -> list[dict[str, Any]]:
    """Return the deaths that no later turn of the job has seen."""
    return [row for row in read_json_lines(_deaths_path(logs, job)) if isinstance(row, dict)]


def last_words(logs: Path, job: str) -> str:
    """Return what ended this job's turn before ('' unless a signal did), and forget it."""
    try:
        found = deaths(logs, job)
        _deaths_path(logs, job).unlink(missing_ok=True)
    except OSError:
        found = []
    if not found:
        return ""
    number = int(found[-1].get("signal", 0))
    known = number in signal.valid_signals()
    name = signal.Signals(number).name if known else f"signal {number}"
    memory = "; was it out of memory?" if number == signal.SIGKILL else ""
    return f"its process was killed by {name}{memory}"
