"""Freeze the code at submission: jobs run from a copy, so a later edit changes nothing."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("hw5hpc", "jobs")
# The report page's template goes along with the code that fills it.
KINDS = (".py", ".html", ".css", ".js")


def _sources(root: Path) -> list[Path]:
    found = (path for package in PACKAGES for path in (root / package).rglob("*.*"))
    return sorted(path for path in found if path.suffix in KINDS)


def code_hash(root: Path = ROOT) -> str:
    """Return the first 12 hexadecimal digits of the SHA-256 over all source files."""
    digest = hashlib.sha256()
    for path in _sources(root):
        digest.update(str(path.relative_to(root)).encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def freeze(folder: Path, root: Path = ROOT) -> Path:
    """Copy the code to folder/<hash> (once) and return that folder."""
    target = folder / code_hash(root)
    if target.exists():
        return target
    temporary = folder / f".{target.name}.{os.getpid()}.tmp"
    for path in _sources(root):
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


def git_state(root: Path = ROOT) -> tuple[str, bool]:
    """Return (commit, whether files differ from it); a frozen copy remembers its own."""
    remembered = root / "COMMIT"
    if remembered.exists():
        commit, state = remembered.read_text().split("\n")[:2]
        return commit, state == "modified"
    return _git(root, "rev-parse", "HEAD") or "unknown", bool(_git(root, "status", "--porcelain"))


def _git(root: Path, *words: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
