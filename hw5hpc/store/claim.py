"""One run, one worker: a claim that a dead holder cannot keep."""

import contextlib
import fcntl
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hw5hpc.store import files
from hw5hpc.store.run import RunFolder

STALE_SECONDS = 300.0


@dataclass(frozen=True)
class Claim:
    """The right to work on a run; `token` tells this holder from every other."""

    run: RunFolder
    token: str

    def beat(self) -> bool:
        """Show that the holder lives; return False when another worker has taken over."""
        record = files.read_json(self.run.claim_path)
        if not record or record.get("token") != self.token:
            return False
        os.utime(self.run.claim_path)
        return True

    def release(self) -> None:
        with _locked(self.run):
            record = files.read_json(self.run.claim_path)
            if record and record.get("token") == self.token:
                self.run.claim_path.unlink(missing_ok=True)


def claim(run: RunFolder, job: str = "", gone: Callable[[str], bool] | None = None) -> Claim | None:
    """Claim a run, or return None while a living worker holds it.

    A holder is dead when its process is gone (same host), when its Slurm job is this one (it was
    requeued) or is gone by `gone(job)`, or when its heartbeat is older than STALE_SECONDS.
    """
    with _locked(run):
        if _alive(run, job, gone):
            return None
        token = secrets.token_hex(8)
        record = {"token": token, "host": socket.gethostname(), "pid": os.getpid(), "job": job}
        record["started"] = _start_time(os.getpid())
        files.write_json(run.claim_path, record)
        return Claim(run, token)


def holder(run: RunFolder, gone: Callable[[str], bool] | None = None) -> dict[str, Any] | None:
    """Return the record of a living holder, or None; `gone` as for claim."""
    return files.read_json(run.claim_path) if _alive(run, "", gone) else None


def _alive(run: RunFolder, job: str, gone: Callable[[str], bool] | None) -> bool:
    record = files.read_json(run.claim_path)
    if not record:
        return False
    if job and record.get("job") == job:
        return False
    if record.get("host") == socket.gethostname():
        return bool(record.get("started") == _start_time(record["pid"]))
    if gone is not None and record.get("job") and gone(record["job"]):
        return False
    return time.time() - run.claim_path.stat().st_mtime < STALE_SECONDS


def _start_time(pid: int) -> str:
    """Return what tells a process from a later one with the same number ('' when it is gone)."""
    with contextlib.suppress(OSError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        # A zombie has ended; only its parent has not noticed yet.
        return "" if fields[0] == "Z" else fields[19]
    return ""


@contextlib.contextmanager
def _locked(run: RunFolder) -> Iterator[None]:
    """Hold the run's lock file; the kernel (or the NFS server) frees it when the holder dies."""
    run.path.mkdir(parents=True, exist_ok=True)
    with (run.path / "claim.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
