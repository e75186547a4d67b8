"""What JSON files hold: numbers that are none, and content that is not what it should be."""

import contextlib
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
    return {
        key: number
        for key, value in row.items()
        if (number := value if type(value) is float else _number(value)) is not None
    }


def _number(value: Any) -> float | None:
    if isinstance(value, int):
        return value if -LARGEST_WHOLE <= value <= LARGEST_WHOLE else None
    if isinstance(value, str):
        return _NOT_FINITE.get(value)
    return value if isinstance(value, float) else None


def parse_json(content: bytes) -> Any | None:
    """Return what JSON says, or None when it is none (or nested beyond measure)."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return None
    # Few brackets cannot nest deeply; to look at every value costs more than to read it.
    few = content.count(b"{") + content.count(b"[") <= LEVELS
    return value if few or shallow(value) else None


def parse_json_lines(content: bytes) -> list[Any]:
    """Return what each line says in JSON; a line that is none is left out."""
    lines = content.splitlines()
    if _are_flat(content, lines):
        # Many times faster than one by one; no row can reach over into the next line.
        with contextlib.suppress(ValueError):
            rows: list[Any] = json.loads(b"[" + b",".join(lines) + b"]")
            if len(rows) == len(lines):
                return rows
    return [row for line in lines if (row := parse_json(line)) is not None]


def _are_flat(content: bytes, lines: list[bytes]) -> bool:
    """Whether each line can be nothing but one mapping of plain values, or no JSON."""
    one = content.count(b"{") == content.count(b"}") == len(lines) and b"[" not in content
    return one and all(line[:1] == b"{" and line[-1:] == b"}" for line in lines)


def shallow(value: Any, levels: int = LEVELS) -> bool:
    """Whether lists and mappings are nested at most this deep."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if not isinstance(value, list):
        return True
    return levels > 0 and all(shallow(item, levels - 1) for item in value)
