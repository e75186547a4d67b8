"""Make text that came from a file fit to be shown: no terminal escapes, no broken characters."""

import re
from typing import Any

# Control characters move a terminal's cursor, bidirectional marks reorder what is read, and lone
# surrogates (from file names that are not UTF-8) can be written nowhere.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_SPACES = frozenset("\t\n\v\f\r")


def safe(text: str) -> str:
    """Return the text in one line, with U+FFFD for each character that must not be shown."""
    return _UNFIT.sub(lambda found: " " if found[0] in _SPACES else "\ufffd", text)


def in_lines(text: str) -> str:
    """Return a message of several lines with each of them made safe."""
    return "\n".join(map(safe, text.split("\n")))


def safe_value(value: Any) -> Any:
    """Return a value read from JSON or YAML with every text in it made safe."""
    if isinstance(value, str):
        return safe(value)
    if isinstance(value, dict):
        return {safe_value(key): safe_value(item) for key, item in value.items()}
    return [safe_value(item) for item in value] if isinstance(value, list | tuple) else value
