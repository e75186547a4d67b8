"""Read a sweep file into its blocks, each checked for shape but not yet for meaning."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hw5hpc.errors import UserError, brief, nearest
from hw5hpc.sweep import names
from hw5hpc.sweep.reader import read_file

Block = dict[str, Any]


class SweepError(UserError):
    """A sweep file that cannot be used; the message names the file and the key."""


@dataclass(frozen=True)
class SweepFile:
    """The blocks of a sweep file, keys dotted (`data.name`)."""

    path: Path
    experiment: str
    config: Block = field(default_factory=dict)
    grid: Block = field(default_factory=dict)
    zip: list[Block] = field(default_factory=list)
    points: list[Block] = field(default_factory=list)
    exclude: list[Block] = field(default_factory=list)
    debug: Block = field(default_factory=dict)
    cluster: Block = field(default_factory=dict)
    report: list[str] = field(default_factory=list)
    wandb: Block = field(default_factory=dict)
    name: str = ""


MAPPINGS = ("config", "grid", "debug", "cluster", "wandb")
LISTS = ("zip", "points", "exclude")
BLOCKS = ("experiment", "name", *MAPPINGS, *LISTS, "report")


def read(path: Path) -> SweepFile:
    """Read one sweep file.

    Raises:
        SweepError: no such file, broken YAML, an unknown block, or a block of the wrong shape.
    """
    raw = read_yaml(path)
    for name in raw:
        if name not in BLOCKS:
            allowed = f"{', '.join(BLOCKS)}.{nearest(name, BLOCKS)}"
            raise SweepError(f"{path}: unknown block {brief(name)}; allowed: {allowed}")
    if not isinstance(raw.get("experiment"), str):
        raise SweepError(
            f"{path}: the block 'experiment' is missing; name one, as in: experiment: gan"
        )
    try:
        blocks = {name: _block(name, raw[name]) for name in raw if raw[name] is not None}
    except ValueError as error:
        raise SweepError(f"{path}: {error}") from error
    return SweepFile(path=path, **blocks)


def read_yaml(path: Path) -> Block:
    """Read a YAML mapping.

    Raises:
        SweepError: no such file, an unprintable path, unreadable, broken YAML, or not a mapping at
            the top.
    """
    if not str(path).isprintable():
        raise SweepError(f"{brief(str(path))}: takes a path of printable characters")
    try:
        raw = read_file(path)
    except FileNotFoundError as error:
        raise SweepError(f"{path}: no such file{_beside(path)}") from error
    except OSError as error:
        raise SweepError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SweepError(f"{path}: {error}") from error
    if not isinstance(raw, dict) or not raw:
        raise SweepError(f"{path}: takes a mapping of blocks at the top, such as 'experiment: gan'")
    return raw


def _beside(path: Path) -> str:
    names = [other.name for other in path.parent.glob("*.yaml")] if path.parent.is_dir() else []
    return "." + nearest(path.name, names)


def _block(name: str, raw: Any) -> Any:
    if name == "experiment":
        return raw
    if name == "name":
        return _name(raw)
    if name == "report":
        if not isinstance(raw, list) or any(not isinstance(item, str) for item in raw):
            raise ValueError(f"the block 'report' takes a list of figure names, got {brief(raw)}")
        return raw
    if name in MAPPINGS:
        return dotted(raw, name, nested=name in ("config", "debug"))
    if not isinstance(raw, list):
        raise ValueError(f"the block {name!r} takes a list of mappings, got {brief(raw)}")
    return [dotted(item, name) for item in raw]


def _name(raw: Any) -> str:
    try:
        return names.check(raw)
    except ValueError as error:
        raise ValueError(f"key 'name' {error}") from error


def dotted(raw: Any, block: str, nested: bool = True, prefix: str = "") -> Block:
    """Return a mapping with nested keys joined by dots.

    Raises:
        ValueError: not a mapping, or one key given twice.
    """
    if not isinstance(raw, Mapping):
        raise ValueError(f"the block {block!r} takes 'key: value' lines, got {brief(raw)}")
    flat: Block = {}
    for key, value in raw.items():
        full = f"{prefix}{key}"
        inner = isinstance(value, Mapping) and nested
        entries = dotted(value, block, nested, f"{full}.") if inner else {full: value}
        for name in entries:
            if name in flat:
                raise ValueError(f"key {brief(name)} stands twice in the block {block!r}")
        flat.update(entries)
    return flat
