"""A point: one fully resolved configuration, and the id that names its run everywhere."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hw5hpc.errors import FieldError

ID_LENGTH = 12


@dataclass(frozen=True)
class RunConfig:
    """What every experiment's config has: a seed, and the runs that it needs finished first."""

    seed: int = 0

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise FieldError("seed", f"takes values of at least 0, got {self.seed}")

    def prerequisites(self) -> "dict[str, tuple[str, RunConfig]]":
        """Return {role: (experiment, config)}."""
        return {}


def added(before: Any, now: Any = ...) -> Any:
    """Return a field that came after runs existed, all of which behaved as its value `before`.

    While it has that value it is no part of an id, so the ids from before stay valid; `before` must
    never change. `now` is the default of new runs, where that is another.
    """
    default = before if now is ... else now
    return dataclasses.field(default=default, metadata={"added": before})


@dataclass(frozen=True)
class Point:
    """One resolved configuration of a sweep; `swept` holds the keys that the sweep varies."""

    experiment: str
    config: RunConfig
    swept: dict[str, Any]

    @cached_property
    def id(self) -> str:
        return run_id(self.experiment, self.config)


def identity(config: Any) -> dict[str, Any]:
    """Return the part of a config that decides the result.

    Fields with metadata `identity=False` (where data lie, how often to checkpoint) are left out,
    and fields that were `added` while they have the value that all runs had before.
    """
    kept: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            # A group that came later holds nothing but added fields.
            kept |= {field.name: inner} if (inner := identity(value)) else {}
        elif _counts(field, value):
            kept[field.name] = value
    return kept


def _counts(field: "dataclasses.Field[Any]", value: Any) -> bool:
    known = "added" not in field.metadata
    return bool(field.metadata.get("identity", True)) and (
        known or value != field.metadata["added"]
    )


def run_id(experiment: str, config: RunConfig) -> str:
    """Return the first 12 hexadecimal digits of the SHA-256 of the resolved configuration.

    The ids of prerequisites are part of it: a GAN that another classifier scored is another run.
    """
    resolved: dict[str, Any] = {"experiment": experiment, "config": identity(config)}
    needed = {role: run_id(*other) for role, other in config.prerequisites().items()}
    if needed:
        resolved["prerequisites"] = needed
    text = json.dumps(resolved, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:ID_LENGTH]


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """Return a config dataclass as {dotted key: value}."""
    flat: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            flat.update(flatten(value, f"{prefix}{field.name}."))
        else:
            flat[prefix + field.name] = value
    return flat
