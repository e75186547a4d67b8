"""Whether a process of this host still lives, told apart from a later one with its number."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LARGEST_PID = 2**22


def start_time(pid: int) -> str:
    """Return when a process began, in the kernel's clock ticks; '' when it has ended.

    Raises:
        OSError: /proc does not show it: it has ended, or it is hidden from this user.
    """
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    # A zombie has ended; only its parent has not noticed yet.
    return "" if fields[0] == "Z" else fields[19]


def own_start_time() -> str:
    try:
        return start_time(os.getpid())
    except OSError:
        return ""


def lives(record: Mapping[str, Any]) -> bool | None:
    """Whether the process `pid` that began at `started` lives; None when nobody can say."""
    pid, started = record.get("pid"), record.get("started")
    if not isinstance(pid, int) or not 0 < pid <= LARGEST_PID:
        return None
    try:
        now = start_time(pid)
    except OSError:
        return None if _hidden(pid) else False
    return now == started if now and started else bool(now) and None


def _hidden(pid: int) -> bool:
    """Whether a process is there that /proc does not show (hidepid)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
