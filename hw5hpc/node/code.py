"""Which version of the code this is: the hash of its files, and its commit."""

import hashlib
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("hw5hpc", "jobs")
# The report page's template goes along with the code that fills it.
KINDS = (".py", ".html", ".css", ".js")
# Where a frozen copy keeps the file of a user's own experiment.
OWN = "own"
HASH_DIGITS = 12


def sources(root: Path = ROOT, own: Path | None = None) -> dict[str, Path]:
    """Return {path within a frozen copy: file}, `own` being a user's own experiment."""
    found = (path for package in PACKAGES for path in (root / package).rglob("*"))
    files = sorted(path for path in found if path.suffix in KINDS and path.is_file())
    named = {str(path.relative_to(root)): path for path in files}
    return named | ({f"{OWN}/{own.name}": own} if own else {})


def contents(root: Path = ROOT, own: Path | None = None) -> dict[str, bytes]:
    """Return {path within a frozen copy: content}, each file read once."""
    return {name: path.read_bytes() for name, path in sources(root, own).items()}


def own_file(root: Path = ROOT) -> Path | None:
    """Return the user's own experiment that a frozen copy holds, if it holds one."""
    return next(iter((root / OWN).glob("*.py")), None)


def hash_of(files: Mapping[str, bytes]) -> str:
    """Return the first 12 hexadecimal digits of the SHA-256 over all names and contents."""
    digest = hashlib.sha256()
    for name, content in files.items():
        digest.update(name.encode() + b"\0")
        digest.update(content + b"\0")
    return digest.hexdigest()[:HASH_DIGITS]


def code_hash(root: Path = ROOT, own: Path | None = None) -> str:
    """Return the hash of all source files as they are on disk now."""
    return hash_of(contents(root, own))


@cache
def running_code(own: Path | None = None) -> str:
    """Return the hash of the code that this process runs: an edit meanwhile is none of it."""
    return code_hash(ROOT, own)


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
