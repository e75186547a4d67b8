"""A point: one fully resolved configuration, and the id that names its run everywhere."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any

ID_LENGTH = 12


@dataclass(frozen=True)
class Point:
    """One resolved configuration of a sweep; `swept` holds the keys that the sweep varies."""

    experiment: str
    config: Any
    swept: dict[str, Any]

    @property
    def id(self) -> str:
        return run_id(self.experiment, self.config)


def identity(config: Any) -> dict[str, Any]:
    """Return the part of a config that decides the result.

    Fields with metadata `identity=False` (where data lie, how often to checkpoint) are left out.
    """
    kept = [f for f in dataclasses.fields(config) if f.metadata.get("identity", True)]
    values = {f.name: getattr(config, f.name) for f in kept}
    return {
        name: identity(value) if dataclasses.is_dataclass(value) else value
        for name, value in values.items()
    }


def run_id(experiment: str, config: Any) -> str:
    """Return the first 12 hexadecimal digits of the SHA-256 of the resolved configuration."""
    text = json.dumps({"experiment": experiment, "config": identity(config)}, sort_keys=True)
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
