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
from typing import Any, BinaryIO

from hw5hpc.store import files
from hw5hpc.store.run import RunFolder

STALE_SECONDS = 300.0
LOCK_SECONDS = 30.0


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

    The lock only makes claimers wait for each other. What decides is a hard link, which one of
    them can make, on NFS too: so a file system without working locks costs no safety.
    """
    with _locked(run):
        judged = _token(run)
        if _alive(run, job, gone):
            return None
        token = secrets.token_hex(8)
        record = {"token": token, "host": socket.gethostname(), "pid": os.getpid(), "job": job}
        record["started"] = _start_time(os.getpid())
        fresh = run.path / f".claim.{token}.tmp"
        try:
            files.write_json(fresh, record)
            return Claim(run, token) if _enter(run, fresh, judged) else None
        finally:
            fresh.unlink(missing_ok=True)


def _enter(run: RunFolder, fresh: Path, dead: str) -> bool:
    """Make `fresh` the claim: the first one ('' for `dead`), or the heir of a dead holder."""
    if not dead:
        return _link(fresh, run.claim_path)
    heir = run.path / f".claim.{dead}.heir"
    if not _link(fresh, heir):
        _drop_stale(heir)
        return False
    try:
        # A claimer that was slow to get here may have judged a claim that is no more.
        if _token(run) != dead:
            return False
        fresh.replace(run.claim_path)
        return True
    finally:
        heir.unlink(missing_ok=True)


def _link(source: Path, target: Path) -> bool:
    """Give a file a second name, unless that name is taken."""
    try:
        target.hardlink_to(source)
    except FileExistsError:
        return False
    except PermissionError:
        # A file system without hard links; exclusive creation is the next best.
        return _copy_exclusively(source, target)
    return True


def _copy_exclusively(source: Path, target: Path) -> bool:
    try:
        with target.open("xb") as file:
            file.write(source.read_bytes())
    except FileExistsError:
        return False
    return True


def _token(run: RunFolder) -> str:
    """Return the claim's token, '' when there is no claim."""
    record = files.read_json(run.claim_path)
    if isinstance(record, dict):
        return str(record.get("token"))
    return "damaged" if run.claim_path.exists() else ""


def _drop_stale(heir: Path) -> None:
    """An heir lives for milliseconds, unless its process was killed just then."""
    with contextlib.suppress(OSError):
        if time.time() - heir.stat().st_mtime > STALE_SECONDS:
            heir.unlink()


def holder(run: RunFolder, gone: Callable[[str], bool] | None = None) -> dict[str, Any] | None:
    """Return the record of a living holder, or None; `gone` as for claim."""
    return files.read_json(run.claim_path) if _alive(run, "", gone) else None


def _alive(run: RunFolder, job: str, gone: Callable[[str], bool] | None) -> bool:
    record = files.read_json(run.claim_path)
    if not isinstance(record, dict):
        return False
    if job and record.get("job") == job:
        return False
    if record.get("host") == socket.gethostname():
        return bool(record.get("started") == _start_time(record.get("pid", 0)))
    if gone is not None and record.get("job") and gone(record["job"]):
        return False
    with contextlib.suppress(FileNotFoundError):
        return time.time() - run.claim_path.stat().st_mtime < STALE_SECONDS
    return False


def _start_time(pid: int) -> str:
    """Return what tells a process from a later one with the same number ('' when it is gone)."""
    with contextlib.suppress(OSError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        # A zombie has ended; only its parent has not noticed yet.
        return "" if fields[0] == "Z" else fields[19]
    return ""


@contextlib.contextmanager
def _locked(run: RunFolder) -> Iterator[None]:
    """Take turns; the kernel (or the NFS server) frees the lock when its holder dies."""
    run.path.mkdir(parents=True, exist_ok=True)
    with (run.path / "claim.lock").open("wb") as file:
        _wait_for_lock(file)
        yield


def _wait_for_lock(file: BinaryIO) -> None:
    """Give up after LOCK_SECONDS, or where locks do not work: the link alone is safe."""
    end = time.monotonic() + LOCK_SECONDS
    while time.monotonic() < end:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            time.sleep(0.02)
        except OSError:
            return
