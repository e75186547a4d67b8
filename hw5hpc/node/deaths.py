"""Processes that a signal killed: noted beside the job's log, for the job's next turn to count."""

import signal
import time
from pathlib import Path
from typing import Any

from hw5hpc.store.files import append_json_line, read_json_lines


def _path(logs: Path, job: str) -> Path:
    return logs / f"{job}_deaths.jsonl"


def record(logs: Path, job: str, number: int) -> None:
    """Note that the signal `number` ended the job's process.

    Raises:
        OSError: it cannot be written, so the deaths cannot be counted.
    """
    append_json_line(_path(logs, job), {"signal": number, "time": time.time()})


def unseen(logs: Path, job: str) -> list[dict[str, Any]]:
    """Return the deaths that no later turn of the job has seen."""
    return [row for row in read_json_lines(_path(logs, job)) if isinstance(row, dict)]


def take(logs: Path, job: str) -> str:
    """Return what ended this job's turn before ('' unless a signal did), and forget it."""
    try:
        rows = unseen(logs, job)
        _path(logs, job).unlink(missing_ok=True)
    except OSError:
        rows = []
    return in_words(int(rows[-1].get("signal", 0))) if rows else ""


def in_words(number: int) -> str:
    """Say which signal ended a process."""
    known = number in signal.valid_signals()
    name = signal.Signals(number).name if known else f"signal {number}"
    memory = "; was it out of memory?" if number == signal.SIGKILL else ""
    return f"its process was killed by {name}{memory}"
