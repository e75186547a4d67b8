"""Check keys and values against an experiment's config dataclass, and build that dataclass."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from hw5hpc.errors import FieldError, nearest
from hw5hpc.sweep.point import flatten


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
            raise ValueError(f"key {key!r} takes one value, got {value!r}")
        if isinstance(value, str) and "${" in value:
            raise ValueError(f"key {key!r} takes a plain value, got the reference {value!r}")
        nested = value
        for part in reversed(key.split(".")):
            nested = {part: nested}
        try:
            return OmegaConf.select(OmegaConf.merge(self._structured, nested), key)
        except OmegaConfBaseException as error:
            kind = self._kind(key)
            raise ValueError(f"key {key!r} takes {kind}, got {value!r}") from error

    def _kind(self, key: str) -> str:
        node: Any = self._class
        for part in key.split("."):
            fields = {field.name: field for field in dataclasses.fields(node)}
            node = fields[part].type
        return getattr(node, "__name__", str(node)).replace("NoneType", "null")

    def _unknown(self, key: str) -> str:
        inside = [name for name in self.defaults if name.startswith(f"{key}.")]
        if inside:
            return f"key {key!r} is a group; set one of {', '.join(inside)}"
        hint = nearest(key, self.defaults)
        return f"unknown key {key!r} for experiment {self.experiment!r}; allowed: " + (
            f"{', '.join(self.defaults)}.{hint}"
        )

    def build(self, values: Mapping[str, Any]) -> Any:
        """Return the config dataclass with checked values, {dotted key: value}, over defaults.

        Raises:
            ValueError: a value out of range, or values that do not go together.
        """
        return _build(self._class, {**self.defaults, **values}, "")


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
