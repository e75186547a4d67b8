"""Make text that came from a file fit to be shown: no terminal escapes, no broken characters."""

import re
import textwrap
from typing import Any

# Control characters move a terminal's cursor, bidirectional marks reorder what is read, and lone
# surrogates (from file names that are not UTF-8) can be written nowhere.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# What somebody may copy stays in one piece.
_COMMAND = re.compile(r"python jobs/[^;)]*[^;)\s]")
_LABEL_COLUMNS = 24
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


def folded(text: str, width: int) -> str:
    """Return a message with each longer line broken at spaces, and what follows indented.

    Commands stay whole, however long they are.

    >>> print(folded("ok   home   so much is free on its disk", 24))
    ok   home   so much is
                free on its
                disk
    """
    return "\n".join(_folded(line, width) for line in text.split("\n"))


def _folded(line: str, width: int) -> str:
    if len(line) <= width:
        return line
    indent = len(line) - len(line.lstrip())
    labels = [gap.end() for gap in re.finditer(r"(?<=\S)  +(?=\S)", line[:_LABEL_COLUMNS])]
    glued = _COMMAND.sub(lambda found: found[0].replace(" ", "\0"), line.lstrip())
    made = textwrap.fill(
        glued, width, initial_indent=" " * indent, break_long_words=False, break_on_hyphens=False,
        subsequent_indent=" " * (labels[-1] if labels else indent + 4),
    )  # fmt: skip
    return made.replace("\0", " ")
