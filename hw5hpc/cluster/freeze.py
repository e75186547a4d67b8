"""Freeze the code at submission: jobs run from a copy, so a later edit changes nothing."""

import hashlib
import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from hw5hpc.cluster.private import close_to_others, for_me_alone, own_folder
from hw5hpc.node.code import OWN, PACKAGES, ROOT, contents, git_state, hash_of
from hw5hpc.node.intact import SUMS
from hw5hpc.store.files import write_atomic

log = logging.getLogger(__name__)


def freeze(folder: Path, root: Path = ROOT, own: Path | None = None) -> Path:
    """Copy the code to folder/<hash>, with a user's own experiment; return that folder.

    A copy that is there is compared with the code: what was taken from it (a purge of a scratch
    disk), changed or added is mended file by file, so that jobs which wait for it can run.

    Raises:
        UserError: the folder or the copy is a link or another user's.
    """
    files = contents(root, own)
    target = folder / hash_of(files)
    own_folder(folder)
    whole = _whole(files, root)
    with for_me_alone():
        if not target.exists():
            _copy(whole, target)
        _mend(whole, target)
    return target


def mend(folder: Path, root: Path = ROOT, own: Path | None = None) -> None:
    """Mend the copy of this code for jobs that wait, if there is one."""
    if (folder / hash_of(contents(root, own))).exists():
        freeze(folder, root, own)


def _whole(files: Mapping[str, bytes], root: Path) -> dict[str, bytes]:
    """Return the files of a copy: the sources, their sums as sha256sum checks them, the commit."""
    commit, dirty = git_state(root)
    lines = (f"{hashlib.sha256(content).hexdigest()}  {name}" for name, content in files.items())
    return {
        **files,
        SUMS: "".join(f"{line}\n" for line in lines).encode(),
        "COMMIT": f"{commit}\n{'modified' if dirty else 'clean'}\n".encode(),
    }


def _copy(files: Mapping[str, bytes], target: Path) -> None:
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    for name, content in files.items():
        copy = temporary / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(content)
    try:
        temporary.rename(target)
    except OSError:
        # Another submitter was first; its copy has the same content by its name.
        shutil.rmtree(temporary)


def _mend(files: Mapping[str, bytes], target: Path) -> None:
    for name in _added(files, target):
        log.warning("%s: no part of the code, removed", target / name)
        (target / name).unlink()
    for name, content in files.items():
        path = target / name
        there = path.read_bytes() if path.is_file() and not path.is_symlink() else None
        # The same code may meanwhile be of another commit; the copy keeps its first one.
        if there is None or (there != content and name != "COMMIT"):
            log.warning("%s: damaged, copied anew", path)
            _write(path, content)
    for path in (target, *target.rglob("*")):
        if path.is_dir() and not path.is_symlink() and path.name != "__pycache__":
            # Made by a job, it would get the permissions of that job's umask.
            (path / "__pycache__").mkdir(exist_ok=True)
        close_to_others(path)


def _write(path: Path, content: bytes) -> None:
    write_atomic(path, lambda file: file.write(content))


def _added(files: Mapping[str, bytes], target: Path) -> list[str]:
    """Return the names of files that stand beside the sources but are none of them."""
    found = [path for part in (*PACKAGES, OWN) for path in (target / part).rglob("*")]
    names = [str(path.relative_to(target)) for path in found if path.is_symlink() or path.is_file()]
    return [name for name in names if name not in files and "__pycache__" not in name]
