"""Which files of a run's folder only a run at work needs, and which were kept beside others."""

import contextlib
import re
from pathlib import Path

# What only a run at work needs.
PASSING = re.compile(
    r"reserve|checkpoint(\.previous)?\.pt|claim\.json|claim\.lock|\..*\.tmp|\.claim\..*\.heir"
)


def passing(*folders: Path) -> list[Path]:
    """Return the files in a run's folders that only a run at work needs."""
    found: list[Path] = []
    for folder in folders:
        with contextlib.suppress(OSError):
            found += [path for path in folder.iterdir() if PASSING.fullmatch(path.name)]
    return found


def set_aside(folder: Path) -> list[Path]:
    """Return the files that were found damaged or unfit, and kept beside what replaced them."""
    patterns = ("*.damaged-*", "*.unfit-*")
    return sorted(path for pattern in patterns for path in folder.glob(pattern))
