"""A run's result.json: read whole or not at all, under the names that metrics have today."""

from pathlib import Path
from typing import Any

from hw5hpc.store import files, metric_names
from hw5hpc.store.files import StoreError

STATES = ("finished", "diverged")


def read(path: Path) -> dict[str, Any] | None:
    """Return what it holds, or None while there is none (or a damaged one).

    Raises:
        StoreError: it is of another format version, or may not be read, so it is neither used
            nor replaced.
    """
    try:
        raw = files.read_json(path)
    except StoreError:
        return None
    except OSError as error:
        raise StoreError(files.describe(path, error)) from error
    if not isinstance(raw, dict):
        return None
    if raw.get("format", files.FORMAT) != files.FORMAT:
        raise StoreError(files.other_format(path, raw["format"]))
    if not (isinstance(raw.get("metrics"), dict) and raw.get("state") in STATES):
        return None
    return {**raw, "metrics": metric_names.now(files.numbers(raw["metrics"]))}
