"""One run, one worker: a claim that a dead holder cannot keep."""

import contextlib
import fcntl
import os
import re
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

from hw5hpc.store import files, process
from hw5hpc.store.run import RunFolder

STALE_SECONDS = 300.0
LOCK_SECONDS = 30.0
TOKEN = re.compile(r"[\w-]{1,64}")
# Says whether a Slurm job still exists; None when Slurm cannot be asked.
JobAlive = Callable[[str], bool | None]


class Life(StrEnum):
    """Whether anybody works on a run that has not ended."""

    HELD = "a living worker holds it"
    WAITING = "its job is in the queue"
    UNKNOWN = "nobody holds it, and Slurm cannot be asked about its job"
    GONE = "nobody holds it, and its job is gone"


@dataclass(frozen=True)
class Claim:
    """The right to work on a run; `token` tells this holder from every other."""

    run: RunFolder
    token: str

    def beat(self) -> bool:
        """Show that the holder lives; return False when another worker has taken over.

        Raises:
            StoreError: one of the run's folders has become a link.
        """
        self.run.check_folders()
        if not self._mine():
            return False
        os.utime(self.run.claim_path, follow_symlinks=False)
        return True

    def release(self) -> None:
        with _locked(self.run):
            if self._mine():
                self.run.claim_path.unlink(missing_ok=True)
        tidy(self.run)

    def _mine(self) -> bool:
        record = files.read_json(self.run.claim_path)
        return isinstance(record, dict) and record.get("token") == self.token


def claim(run: RunFolder, job: str = "", gone: Callable[[str], bool] | None = None) -> Claim | None:
    """Claim a run, or return None while a living worker holds it.

    A holder is dead when its process is gone (same host), when its Slurm job is this one (it was
    requeued) or is gone by `gone(job)`, or when its heartbeat is older than STALE_SECONDS.

    The lock only makes claimers wait for each other. What decides is a hard link, which one of
    them can make, on NFS too: so a file system without working locks costs no safety.

    Raises:
        StoreError: a folder of the run is a link, or the lock is no file.
    """
    with _locked(run):
        judged = _token(run.claim_path)
        if _alive(run.claim_path, job, gone):
            return None
        token = secrets.token_hex(8)
        record = {"token": token, "host": socket.gethostname(), "pid": os.getpid(), "job": job}
        record["started"] = process.own_start_time()
        fresh = run.path / f".claim.{token}.tmp"
        try:
            files.write_json(fresh, record)
            return Claim(run, token) if _enter(run, fresh, judged, gone) else None
        finally:
            fresh.unlink(missing_ok=True)


def _enter(run: RunFolder, fresh: Path, dead: str, gone: Callable[[str], bool] | None) -> bool:
    """Make `fresh` the claim: the first one ('' for `dead`), or the heir of a dead holder.

    A claimer that was killed as an heir has an heir itself, and so on: the last one enters.
    """
    if not dead:
        return files.link(fresh, run.claim_path)
    heirs = [_heir(run, dead)]
    while not files.link(fresh, heirs[-1]):
        if _alive(heirs[-1], "", gone, damaged=_fresh(heirs[-1])):
            return False
        if not _killed(heirs[-1]):
            files.discard(heirs[-1])
            return False
        heirs.append(_heir(run, _token(heirs[-1])))
    try:
        # A claimer that was slow to get here may have judged a claim that is no more.
        if _token(run.claim_path) != dead:
            return False
        files.put_in_place(fresh, run.claim_path)
        return True
    finally:
        for heir in reversed(heirs):
            files.discard(heir)


def _heir(run: RunFolder, dead: str) -> Path:
    return run.path / f".claim.{dead}.heir"


def _killed(heir: Path) -> bool:
    """Whether the process that made it is known to be dead; a heartbeat alone is no proof."""
    record = _read(heir)
    here = record is not None and record.get("host") == socket.gethostname()
    return bool(here and record and process.lives(record) is False)


def _token(path: Path) -> str:
    """Return the token of a claim, '' when there is none."""
    if not os.path.lexists(path):
        return ""
    token = (_read(path) or {}).get("token")
    return token if isinstance(token, str) and TOKEN.fullmatch(token) else "damaged"


def _read(path: Path) -> dict[str, Any] | None:
    """Return a claim's record; None when there is none or it is damaged, {} when unreadable."""
    try:
        record = files.read_json(path)
    except files.StoreError:
        return None
    except PermissionError:
        return {}
    sane = isinstance(record, dict) and all(
        isinstance(record.get(key), str) for key in ("token", "host")
    )
    return record if sane else None


def holder(run: RunFolder, gone: Callable[[str], bool] | None = None) -> dict[str, Any] | None:
    """Return the record of a living holder, or None; `gone` as for claim."""
    return _read(run.claim_path) if _alive(run.claim_path, "", gone) else None


def life(run: RunFolder, job_alive: JobAlive) -> Life:
    """Return whether anybody works on a run: the one answer, for plans, status and workers."""
    if holder(run, gone=lambda job: job_alive(job) is False) is not None:
        return Life.HELD
    job = run.job()
    waits = job_alive(job) if job else False
    return {True: Life.WAITING, False: Life.GONE, None: Life.UNKNOWN}[waits]


def tidy(run: RunFolder) -> None:
    """Leave nothing of its work behind in a run that has a result and no living holder."""
    with contextlib.suppress(OSError):
        if run.result() is not None and holder(run) is None:
            run.tidy()


def _alive(path: Path, job: str, gone: Callable[[str], bool] | None, damaged: bool = False) -> bool:
    """Whether the holder that a claim names lives; `damaged` is the answer for one without sense.

    A process of this host is looked at. Any other is alive while its heartbeat is young, and a
    time in the future is as old as it is far.
    """
    record = _read(path)
    if record is None:
        return damaged
    if job and record.get("job") == job:
        return False
    if record.get("host") == socket.gethostname():
        verdict = process.lives(record)
        if verdict is not None:
            return verdict
    other = record.get("job")
    if gone is not None and other and isinstance(other, str) and gone(other):
        return False
    return _fresh(path)


def _fresh(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return abs(time.time() - path.lstat().st_mtime) < STALE_SECONDS
    return False


@contextlib.contextmanager
def _locked(run: RunFolder) -> Iterator[None]:
    """Take turns; the kernel (or the NFS server) frees the lock when its holder dies."""
    run.check_folders()
    run.path.mkdir(parents=True, exist_ok=True)
    with files.open_lock(run.path / "claim.lock") as file:
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
