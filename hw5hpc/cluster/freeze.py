"""Freeze the code at submission: jobs run from a copy, so a later edit changes nothing."""

import os
import shutil
from pathlib import Path

from hw5hpc.node.code import ROOT, code_hash, git_state, sources


def freeze(folder: Path, root: Path = ROOT) -> Path:
    """Copy the code to folder/<hash> (once) and return that folder."""
    target = folder / code_hash(root)
    if target.exists():
        return target
    temporary = folder / f".{target.name}.{os.getpid()}.tmp"
    for path in sources(root):
        copy = temporary / path.relative_to(root)
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
