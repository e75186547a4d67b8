"""Checksums of what belongs to a result: written with it, and compared before it is used."""

import contextlib
import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hw5hpc.store import files

# The files that a result stands on; times and logs may differ and prove nothing.
BELONGS = re.compile(r"metrics\.jsonl|artifacts/[^/]+\.(npy|npz|pt)")


def checksums(folder: Path) -> dict[str, dict[str, Any]]:
    """Return {name below the run's folder: {"bytes": length, "sha256": hexadecimal digest}}.

    What is no file (a link that somebody put there) was not written by the run and is left out.
    """
    found = {}
    for path in _present(folder):
        with contextlib.suppress(files.StoreError):
            found[str(path.relative_to(folder))] = _facts(path)
    return found


def _present(folder: Path) -> Iterator[Path]:
    candidates = [folder / "metrics.jsonl", *sorted((folder / "artifacts").glob("[!.]*"))]
    for path in candidates:
        if BELONGS.fullmatch(str(path.relative_to(folder))) and os.path.lexists(path):
            yield path


def _facts(path: Path) -> dict[str, Any]:
    with os.fdopen(files.open_regular(path, os.O_RDONLY), "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"bytes": file.tell(), "sha256": digest}


def damage(folder: Path, recorded: Any, content: bool) -> dict[str, str]:
    """Return {name: what is wrong} for the files that are not as they were recorded.

    Lengths are compared first, which costs a look at each file; digests only with `content`.
    """
    if not isinstance(recorded, Mapping):
        return {"result.json": "damaged (its list of files)"}
    found = {str(name): _wrong(folder, str(name), facts, content)
             for name, facts in recorded.items()}  # fmt: skip
    return {name: what for name, what in found.items() if what}


def _wrong(folder: Path, name: str, facts: Any, content: bool) -> str:
    if not (BELONGS.fullmatch(name) and isinstance(facts, Mapping)):
        return "damaged (in result.json's list of files)"
    length = facts.get("bytes")
    # A plan looks at the files of ten thousand runs; to make a Path of each takes longer than that.
    with contextlib.suppress(OSError, ValueError):
        found = os.lstat(f"{folder}/{name}")
        if not content and stat.S_ISREG(found.st_mode) and found.st_size == length:
            return ""
    path = folder / name
    if not os.path.lexists(path):
        return "missing"
    try:
        there = files.size(path)
        if there != length:
            return f"damaged ({there} bytes instead of {length})"
        if content and _facts(path)["sha256"] != facts.get("sha256"):
            return "damaged (its content is not what was written)"
    except OSError as error:
        return files.describe(path, error).removeprefix(f"{path}: ")
    return ""
