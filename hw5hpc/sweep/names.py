"""A sweep's name, which is its folder's: one that was given, or the file's with the overrides."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from hw5hpc.errors import brief

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.,=+-]*")
LONGEST = 100


def check(name: Any) -> str:
    """Return a name that was given.

    Raises:
        ValueError: it is no name that is safe in every file system, a shell and Slurm.
    """
    if not isinstance(name, str) or not NAME.fullmatch(name) or len(name) > LONGEST:
        raise ValueError(
            f"takes at most {LONGEST} letters, digits and '_-.,=+', a letter or digit first, "
            f"got {brief(name)}"
        )
    return name


def choose(given: str | None, base: str, overrides: Mapping[str, Any]) -> str:
    """Return the name that was given, or the file's own with what the overrides change.

    Raises:
        ValueError: it cannot be a name.
    """
    if given is not None:
        try:
            return check(given)
        except ValueError as error:
            raise ValueError(f"--name {error}") from error
    if not NAME.fullmatch(base):
        raise ValueError("a sweep file's name takes letters, digits and '_-.,=+'; give a --name")
    return derive(base, overrides)


def derive(base: str, overrides: Mapping[str, Any]) -> str:
    """Return a readable name: softmax_shift-offset=0,88.

    What is too long, or holds other characters, ends in 8 digits of a hash of the whole.
    """
    words = [base, *(f"{key}={text(value)}" for key, value in sorted(overrides.items()))]
    whole = "-".join(words)
    if NAME.fullmatch(whole) and len(whole) <= LONGEST:
        return whole
    safe = re.sub(r"[^A-Za-z0-9_.,=+-]", "-", whole)
    digits = hashlib.sha256(whole.encode()).hexdigest()[:8]
    return f"{safe[: LONGEST - 9]}-{digits}"


def text(value: Any) -> str:
    """Return an override's value in few characters: 0,88 for a list, range-0,5 for a short form."""
    if isinstance(value, list):
        return ",".join(map(text, value))
    if isinstance(value, Mapping):
        return ",".join(f"{key}-{text(item)}" for key, item in value.items())
    if isinstance(value, float):
        return repr(value + 0.0).removesuffix(".0")
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def shortened(overrides: Mapping[str, Any], known: Iterable[str]) -> dict[str, Any]:
    """Return {last part of the key: value}; the whole key where another known one ends alike."""
    ends = [key.rpartition(".")[2] for key in known]
    short = {key: key.rpartition(".")[2] for key in overrides}
    return {end if ends.count(end) == 1 else key: overrides[key] for key, end in short.items()}
