"""A run's config.yaml: the resolved values that its id is a hash of."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from hw5hpc.store import files
from hw5hpc.store.files import FORMAT, StoreError
from hw5hpc.store.values import shallow


def text(experiment: str, config: Mapping[str, Any]) -> str:
    record = {"format": FORMAT, "experiment": experiment, "config": dict(config)}
    return yaml.dump(record, Dumper=yaml.CSafeDumper, sort_keys=True)


def keeps(path: Path, wanted: str) -> bool:
    """Whether a file is this text already, or another format's, which is not to be replaced."""
    try:
        content = files.read_bytes(path)
    except OSError:
        return False
    if content == wanted.encode():
        return True
    record = _parse(content)
    return isinstance(record, dict) and record.get("format", FORMAT) != FORMAT


def _parse(content: bytes) -> Any:
    """Return what YAML says, None for what is none: its tags make PyYAML raise anything."""
    with contextlib.suppress(Exception):
        found = yaml.load(content, Loader=yaml.CSafeLoader)
        return found if shallow(found) else None
    return None


def read(path: Path) -> tuple[str, dict[str, Any]]:
    """Return (experiment, {dotted key: value}).

    Raises:
        StoreError: the file is missing or damaged, or has another format version.
    """
    try:
        record = _parse(files.read_bytes(path))
    except StoreError:
        raise
    except OSError as error:
        raise StoreError(f"{path}: missing or damaged ({error.strerror})") from error
    if not (isinstance(record, dict) and record.keys() >= {"format", "experiment", "config"}):
        raise StoreError(f"{path}: missing or damaged (it is no config)")
    if record["format"] != FORMAT:
        raise StoreError(files.other_format(path, record["format"]))
    if not isinstance(record["config"], dict):
        raise StoreError(f"{path}: missing or damaged (its config is no mapping)")
    return str(record["experiment"]), {str(key): v for key, v in record["config"].items()}
