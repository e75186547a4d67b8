"""The values of one axis: a list, or a range, logspace or linspace written short."""

import math
import sys
from collections.abc import Callable, Mapping
from typing import Any

from hw5hpc.errors import brief

MAX_VALUES = 100_000


def _numbers(name: str, raw: Any, counts: tuple[int, ...]) -> list[float]:
    if not isinstance(raw, list) or len(raw) not in counts:
        shape = (
            "[start, stop] or [start, stop, step]" if name == "range" else "[first, last, count]"
        )
        raise ValueError(f"{name} takes {shape}, got {brief(raw)}")
    for value in raw:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{name} takes numbers, got {brief(value)}")
        if not abs(value) <= sys.float_info.max:
            raise ValueError(f"{name} takes finite numbers, got {brief(value)}")
    return raw


def _range(raw: Any) -> list[Any]:
    """[start, stop) in whole numbers, as Python's range."""
    numbers = _numbers("range", raw, (2, 3))
    if any(not isinstance(value, int) for value in numbers):
        raise ValueError(f"range takes whole numbers, got {brief(raw)}")
    if len(numbers) == 3 and numbers[2] == 0:
        raise ValueError("range takes a step other than 0")
    values = range(*[int(number) for number in numbers])
    # len() itself fails beyond 2**63.
    if values and abs(values[-1] - values[0]) // abs(values.step) >= MAX_VALUES:
        raise ValueError(f"range gives too many values; at most {MAX_VALUES} are allowed")
    return list(values)


def _spaced(name: str, raw: Any) -> tuple[float, float, int]:
    first, last, count = _numbers(name, raw, (3,))
    if not isinstance(count, int) or not 1 <= count <= MAX_VALUES:
        raise ValueError(f"{name} takes a whole count from 1 to {MAX_VALUES}, got {brief(count)}")
    return first, last, count


def _spread(name: str, count: int, at: Callable[[int, int], float]) -> list[Any]:
    """Return at(0, n), ..., at(n, n), rounded to 12 significant digits.

    So rounded, ids do not hang on a machine's last bit.
    """
    try:
        made = [float(f"{at(i, max(count - 1, 1)):.12g}") for i in range(count)]
    except (OverflowError, ValueError) as error:
        raise ValueError(f"{name} takes ends less far apart") from error
    if not all(map(math.isfinite, made)):
        raise ValueError(f"{name} takes ends less far apart")
    return made


def _linspace(raw: Any) -> list[Any]:
    first, last, count = _spaced("linspace", raw)
    return _spread("linspace", count, lambda i, n: first + (last - first) * i / n)


def _logspace(raw: Any) -> list[Any]:
    """Values from first to last (both included), evenly spaced in their logarithm."""
    first, last, count = _spaced("logspace", raw)
    if first <= 0 or last <= 0:
        raise ValueError(f"logspace takes numbers above 0, got {brief(raw)}")
    return _spread("logspace", count, lambda i, n: first * math.exp(math.log(last / first) * i / n))


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
                f"takes a list or one of {{{', '.join(GENERATORS)}}}, got {brief(dict(raw))}"
            )
        ((name, arguments),) = raw.items()
        raw = GENERATORS[name](arguments)
    if not isinstance(raw, list):
        raise ValueError(f"takes a list of values, got {brief(raw)}")
    if not raw:
        raise ValueError("is empty; give at least one value")
    for value in raw:
        if isinstance(value, list | Mapping):
            raise ValueError(f"takes plain values, got {brief(value)}")
    return raw
