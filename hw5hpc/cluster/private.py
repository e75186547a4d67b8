"""Where jobs take what they execute: the submitter's own folders, which nobody else may write."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hw5hpc.errors import UserError

OTHERS_WRITE = 0o022


@contextmanager
def for_me_alone() -> Iterator[None]:
    """Let what is made meanwhile be written by nobody else."""
    before = os.umask(0o077)
    os.umask(before | OTHERS_WRITE)
    try:
        yield
    finally:
        os.umask(before)


def umask_line() -> list[str]:
    """Return the batch script's line that gives a job's results the user's own umask.

    Slurm hands on the one at the moment of sbatch, when nobody else may write.
    """
    before = os.umask(0o077)
    os.umask(before)
    return [] if before & OTHERS_WRITE == OTHERS_WRITE else [f"umask {before:04o}"]


def own_folder(folder: Path) -> None:
    """Make a folder, or take the write permission for others from one's own.

    Raises:
        UserError: a link or another user's folder stands there.
    """
    with for_me_alone():
        folder.mkdir(parents=True, exist_ok=True)
    close_to_others(folder)


def close_to_others(path: Path) -> None:
    """Take the write permission for group and others from a file or folder of one's own.

    Raises:
        UserError: it is a link or another user's.
    """
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise UserError(f"{path}: a link; jobs execute nothing that lies behind one")
    if found.st_uid != os.geteuid():
        raise UserError(
            f"{path}: another user's (uid {found.st_uid}), and jobs execute only what is the "
            "submitter's own; submit under another --name or --out"
        )
    if found.st_mode & OTHERS_WRITE:
        path.chmod(stat.S_IMODE(found.st_mode) & ~OTHERS_WRITE)
