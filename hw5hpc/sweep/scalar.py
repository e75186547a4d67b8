"""One plain YAML word becomes a value; numbers that YAML's versions read differently are refused.

The words are those of YAML 1.2's core schema (section 10.3.2), whole numbers in decimal only.
"""

import math
import re
import unicodedata
from collections.abc import Callable
from typing import Any

from hw5hpc.errors import brief

WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
WHOLE = re.compile(r"[-+]?[0-9]+")
DECIMAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
MOST_DIGITS = 309
MOST_CHARACTERS = 4096
MISSING = "???"


def _base_60(text: str) -> str:
    """Return what YAML 1.1 reads: 1:30 is 90."""
    whole, _, fraction = text.lstrip("+-").replace("_", "").partition(".")
    total = 0
    for part in whole.split(":"):
        total = 60 * total + int(part)
    sign = "-" if text.startswith("-") else ""
    return f"{sign}{total}" + (f".{fraction}" if fraction else "")


def _other_base(text: str) -> str:
    return str(int(text.replace("_", ""), 0))


def _without(text: str) -> str:
    plain = text.replace("_", "")
    return str(int(plain)) if WHOLE.fullmatch(plain) else plain


# What some reader of YAML takes for a number, and what it would have to be written as.
REFUSED: dict[str, tuple[re.Pattern[str], Callable[[str], str]]] = {
    "leading zeros": (re.compile(r"[-+]?0[0-9]+"), _without),
    "colons": (
        re.compile(
            r"[-+]?[1-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?|[-+]?[0-9]+(:[0-5]?[0-9])+\.[0-9_]*"
        ),
        _base_60,
    ),
    "a base other than ten": (
        re.compile(r"[-+]?0([xX][0-9a-fA-F_]*[0-9a-fA-F]|[oO][0-7_]*[0-7]|[bB][01_]*[01])"),
        _other_base,
    ),
    "underscores": (
        re.compile(r"[-+]?(?=\.?[0-9][^_]*_)[0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9_]+)?"),
        _without,
    ),
}


def value(text: str, quoted: str = '"{}"') -> Any:
    """Return what a word without quotes means: null, true or false, a number, or itself.

    `quoted` shows how such a word is put in quotes where it was written.

    Raises:
        ValueError: a number written in a way that YAML's versions read differently, or one that
            no float can hold; the message says what to write.
    """
    if text in WORDS:
        return WORDS[text]
    _refuse_ambiguous(text, quoted)
    if WHOLE.fullmatch(text):
        if math.isinf(float(text)):
            raise ValueError(f"takes numbers that a float can hold, got {brief(text)}")
        return int(text)
    return _decimal(text) if DECIMAL.fullmatch(text) else plain_text(text)


def _refuse_ambiguous(text: str, quoted: str) -> None:
    for trait, (pattern, plainly) in REFUSED.items():
        if not pattern.fullmatch(text):
            continue
        if len(text) > MOST_DIGITS:
            raise ValueError(f"takes no numbers with {trait}, got {brief(text)}")
        raise ValueError(
            f"takes no numbers with {trait}, which YAML's versions read differently, got {text}; "
            f"write {plainly(text)}, or {quoted.format(text)} in quotes if it is text or a time"
        )


def _decimal(text: str) -> float:
    number = float(text)
    mantissa = re.split("[eE]", text)[0]
    if math.isinf(number) or (number == 0 and re.search("[1-9]", mantissa)):
        raise ValueError(f"takes numbers that a float can hold, got {brief(text)}")
    return number


def plain_text(text: str) -> str:
    """Return text as it stands.

    Raises:
        ValueError: it is longer than any path may be, holds control characters or halves of
            characters, or is OmegaConf's '???'.
    """
    if text == MISSING:
        raise ValueError(f"takes a value, got {MISSING!r}, which stands for none")
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"takes text of at most {MOST_CHARACTERS} characters, got {brief(text)}")
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cs") and character not in "\t\n\r":
            raise ValueError(f"takes text without control characters, got {brief(text)}")
    return text


def number(text: str) -> int | float | None:
    """Return the number that a text holds, or None when it holds none that `value` would read."""
    try:
        found = value(text)
    except ValueError:
        return None
    return found if isinstance(found, int | float) and not isinstance(found, bool) else None
