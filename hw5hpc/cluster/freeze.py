"""Freeze the code at submission: jobs run from a copy, so a later edit changes nothing."""

import os
import shutil
from pathlib import Path

from hw5hpc.node.code import ROOT, code_hash, git_state, sources


def freeze(folder: Path, root: Path = ROOT, own: Path | None = None) -> Path:
    """Copy the code to folder/<hash> (once), with a user's own experiment; return that folder."""
    target = folder / code_hash(root, own)
    if target.exists():
        return target
    temporary = folder / f".{target.name}.{os.getpid()}.tmp"
    for name, path in sources(root, own).items():
        copy = temporary / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    commit, dirty = git_state(root)
    (temporary / "COMMIT").write_text(f"{commit}\n{'modified' if dirty else 'clean'}\n")
    try:
        temporary.rename(target)
    except OSError:
        # Another submitter was first; its copy has the same content by its name.
        shutil.rmtree(temporary)
    return target
