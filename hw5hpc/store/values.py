"""What JSON files hold: numbers that are none, and content that is not what it should be."""

import json
import math
from collections.abc import Mapping
from typing import Any

# Beyond it a float is no whole number any more, and a table of floats is where numbers end up.
LARGEST_WHOLE = 2**53
# No file of the store nests deeper; what does may be deeper than Python's own stack.
LEVELS = 16

_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def valid(value: Any) -> Any:
    """Return a value that strict JSON can hold: NaN and infinities as strings."""
    if isinstance(value, float) and not math.isfinite(value):
        return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
    if isinstance(value, Mapping):
        return {key: valid(item) for key, item in value.items()}
    return [valid(item) for item in value] if isinstance(value, list | tuple) else value


def numbers(row: Any) -> dict[str, float]:
    """Return the numbers of a row, undoing `valid`; whatever else stands in it is dropped."""
    if not isinstance(row, Mapping):
        return {}
    read = {str(key): _number(value) for key, value in row.items()}
    return {key: value for key, value in read.items() if value is not None}


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        return _NOT_FINITE.get(value)
    whole = isinstance(value, int) and abs(value) <= LARGEST_WHOLE
    return value if whole or isinstance(value, float) else None


def parse_json(content: bytes) -> Any | None:
    """Return what JSON says, or None when it is none (or nested beyond measure)."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return value if shallow(value) else None


def shallow(value: Any, levels: int = LEVELS) -> bool:
    """Whether lists and mappings are nested at most this deep."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if not isinstance(value, list):
        return True
    return levels > 0 and all(shallow(item, levels - 1) for item in value)
