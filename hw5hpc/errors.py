"""The errors that a user's input can cause: each is one clear line, shown without a traceback."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Wrong input or a missing piece of the environment; command lines exit with status 2."""


class FieldError(ValueError):
    """A value that its config field does not allow; `field` is the field's own name."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


def nearest(word: str, allowed: Iterable[str]) -> str:
    """Return ' Did you mean ...?' for a misspelt word, or '' when nothing is close."""
    close = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""


def unknown(kind: str, word: str, allowed: Iterable[str]) -> str:
    """Return the line for a name that does not exist, with the names that do."""
    names = sorted(allowed)
    return f"unknown {kind} {word!r}; choose one of {', '.join(names)}.{nearest(word, names)}"
