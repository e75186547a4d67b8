"""Check keys and values against an experiment's config dataclass, and build that dataclass."""

import dataclasses
from collections.abc import Mapping
from typing import Any, get_args, get_origin

from omegaconf import MISSING, OmegaConf, read_write
from omegaconf.errors import OmegaConfBaseException

from hw5hpc.errors import FieldError, brief, nearest
from hw5hpc.sweep import scalar
from hw5hpc.sweep.point import flatten

LARGEST = 2**63 - 1


class Schema:
    """The keys, types and defaults of one experiment.

    OmegaConf checks and converts each distinct value once; points are then built from checked
    values alone, which keeps a thousand points well under a second.
    """

    def __init__(self, experiment: str, config_class: type) -> None:
        self.experiment = experiment
        self._class = config_class
        self.defaults = flatten(config_class())
        self._structured = OmegaConf.structured(config_class)
        self._checked: dict[tuple[str, str], Any] = {}

    def check(self, key: str, value: Any) -> Any:
        """Return the value as its field's type.

        Raises:
            ValueError: an unknown key, or a value of the wrong type.
        """
        if key not in self.defaults:
            raise ValueError(self._unknown(key))
        slot = (key, repr(value))
        if slot not in self._checked:
            self._checked[slot] = self._convert(key, value)
        return self._checked[slot]

    def _convert(self, key: str, value: Any) -> Any:
        if isinstance(value, list | Mapping):
            raise ValueError(f"key {key!r} takes one value, got {brief(value)}")
        if isinstance(value, str) and "${" in value:
            shown = brief(value)
            raise ValueError(f"key {key!r} takes a plain value, got the reference {shown}")
        if value == MISSING:
            raise ValueError(f"key {key!r} takes a value, got {MISSING}, OmegaConf's mark for none")
        kind = self._field(key).type
        path, _, leaf = key.rpartition(".")
        group = OmegaConf.select(self._structured, path) if path else self._structured
        try:
            # In place, as a merge would copy the whole config for each value.
            with read_write(group):
                OmegaConf.update(group, leaf, fitting(value, kind))
            made = OmegaConf.select(group, leaf)
        except OmegaConfBaseException as error:
            raise ValueError(f"key {key!r} takes {shown_kind(kind)}, got {brief(value)}") from error
        except ValueError as error:
            raise ValueError(f"key {key!r} {error}") from error
        # Minus zero is zero: as two values they would be two runs.
        return made + 0.0 if isinstance(made, float) else made

    def _field(self, key: str) -> "dataclasses.Field[Any]":
        node: Any = self._class
        for part in key.split("."):
            field = next(field for field in dataclasses.fields(node) if field.name == part)
            node = field.type
        return field

    def changes_points(self, key: str) -> bool:
        """Whether a key is part of what decides a run's result, and so of its id."""
        return key in self.defaults and bool(self._field(key).metadata.get("identity", True))

    def _unknown(self, key: str) -> str:
        inside = [name for name in self.defaults if name.startswith(f"{key}.")]
        if inside:
            return f"key {brief(key)} is a group; set one of {', '.join(inside)}"
        hint = nearest(key, self.defaults)
        return f"unknown key {brief(key)} for experiment {self.experiment!r}; allowed: " + (
            f"{', '.join(self.defaults)}.{hint}"
        )

    def build(self, values: Mapping[str, Any]) -> Any:
        """Return the config dataclass with checked values, {dotted key: value}, over defaults.

        Raises:
            ValueError: a value out of range, or values that do not go together.
        """
        return _build(self._class, {**self.defaults, **values}, "")


def fitting(value: Any, kind: Any) -> Any:
    """Return a value for a field of a type (`int`, `float | None`, `list[str]`), for OmegaConf.

    Raises:
        ValueError: a number that the field cannot hold, or a text that would not stay as it is.
    """
    if get_origin(kind) is list:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ValueError(f"takes list of texts, got {brief(value)}")
        return value
    if get_origin(kind) is dict and not isinstance(value, Mapping):
        raise ValueError(f"takes 'key: value' lines, got {brief(value)}")
    kinds = {kind, *get_args(kind)}
    if isinstance(value, str) and kinds & {int, float}:
        found = scalar.number(value)
        if found is None:
            raise ValueError(f"takes {shown_kind(kind)}, got {brief(value)}")
        value = found
    if str in kinds and isinstance(value, bool | float):
        raise ValueError(f"takes text, got {brief(value)}; write it in quotes")
    if int in kinds and isinstance(value, float) and value.is_integer():
        raise ValueError(f"takes {shown_kind(kind)}, got {value}; write {brief(int(value))}")
    if int in kinds and isinstance(value, int) and abs(value) > LARGEST:
        raise ValueError(f"takes whole numbers of at most {LARGEST}, got {brief(value)}")
    return value


def shown_kind(kind: Any) -> str:
    """Return a type as a message names it: int, or float | null."""
    return getattr(kind, "__name__", str(kind)).replace("NoneType", "null").replace("None", "null")


def _build(node: type, values: Mapping[str, Any], prefix: str) -> Any:
    arguments = {}
    for field in dataclasses.fields(node):
        key = prefix + field.name
        if dataclasses.is_dataclass(field.type):
            arguments[field.name] = _build(field.type, values, f"{key}.")  # type: ignore[arg-type]
        else:
            arguments[field.name] = values[key]
    try:
        return node(**arguments)
    except FieldError as error:
        raise ValueError(f"key {prefix + error.field!r} {error.problem}") from error
