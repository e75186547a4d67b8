"""The values of one axis: a list, or a range, logspace or linspace written short."""

import math
from collections.abc import Callable, Mapping
from typing import Any

MAX_VALUES = 100_000


def _numbers(name: str, raw: Any, counts: tuple[int, ...]) -> list[float]:
    if not isinstance(raw, list) or len(raw) not in counts:
        shape = (
            "[start, stop] or [start, stop, step]" if name == "range" else "[first, last, count]"
        )
        raise ValueError(f"{name} takes {shape}, got {raw!r}")
    for value in raw:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{name} takes numbers, got {value!r}")
        if not math.isfinite(value):
            raise ValueError(f"{name} takes finite numbers, got {value!r}")
    return raw


def _range(raw: Any) -> list[Any]:
    """[start, stop) in whole numbers, as Python's range."""
    numbers = _numbers("range", raw, (2, 3))
    if any(not isinstance(value, int) for value in numbers):
        raise ValueError(f"range takes whole numbers, got {raw!r}")
    if len(numbers) == 3 and numbers[2] == 0:
        raise ValueError("range takes a step other than 0")
    values = range(*[int(number) for number in numbers])
    if len(values) > MAX_VALUES:
        raise ValueError(f"range gives {len(values)} values; at most {MAX_VALUES} are allowed")
    return list(values)


def _spaced(name: str, raw: Any) -> tuple[float, float, int]:
    first, last, count = _numbers(name, raw, (3,))
    if not isinstance(count, int) or not 1 <= count <= MAX_VALUES:
        raise ValueError(f"{name} takes a whole count from 1 to {MAX_VALUES}, got {count!r}")
    return first, last, count


def _linspace(raw: Any) -> list[Any]:
    first, last, count = _spaced("linspace", raw)
    return [_tidy(first + (last - first) * i / max(count - 1, 1)) for i in range(count)]


def _logspace(raw: Any) -> list[Any]:
    """Values from first to last (both included), evenly spaced in their logarithm."""
    first, last, count = _spaced("logspace", raw)
    if first <= 0 or last <= 0:
        raise ValueError(f"logspace takes numbers above 0, got {raw!r}")
    ratio = math.log(last / first)
    return [_tidy(first * math.exp(ratio * i / max(count - 1, 1))) for i in range(count)]


def _tidy(value: float) -> float:
    """Round to 12 significant digits, so that ids do not hang on a machine's last bit."""
    return float(f"{value:.12g}")


GENERATORS: dict[str, Callable[[Any], list[Any]]] = {
    "range": _range,
    "linspace": _linspace,
    "logspace": _logspace,
}


def values(raw: Any) -> list[Any]:
    """Return the values of one axis.

    Raises:
        ValueError: the axis is empty, holds lists or mappings, or is written wrongly.
    """
    if isinstance(raw, Mapping):
        if len(raw) != 1 or next(iter(raw)) not in GENERATORS:
            raise ValueError(
                f"takes a list or one of {{{', '.join(GENERATORS)}}}, got {dict(raw)!r}"
            )
        ((name, arguments),) = raw.items()
        raw = GENERATORS[name](arguments)
    if not isinstance(raw, list):
        raise ValueError(f"takes a list of values, got {raw!r}")
    if not raw:
        raise ValueError("is empty; give at least one value")
    for value in raw:
        if isinstance(value, list | Mapping):
            raise ValueError(f"takes plain values, got {value!r}")
    return raw
