"""Errors in one clear line: those that a user's input can cause, and those that end a run."""

import difflib
import errno
import re
from collections.abc import Iterable


class UserError(Exception):
    """Wrong input or a missing piece of the environment; command lines exit with status 2."""


class Stopped(KeyboardInterrupt):
    """Ctrl-C, with what it stopped and what goes on; command lines show it, exit status 130."""


class FieldError(ValueError):
    """A value that its config field does not allow; `field` is the field's own name."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


def describe(error: BaseException) -> str:
    """Return one line that says why a run ended."""
    if type(error).__name__ == "OutOfMemoryError":
        return "the GPU's memory is too small: lower train.batch_size or ask for a larger GPU"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk or quota is full ({error.filename or 'output folder'})"
    text = " ".join(_without_advice(error).split())[:300]
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}"


def _without_advice(error: BaseException) -> str:
    """Return an error's text; of a GPU's error what happened, without torch's advice."""
    text = str(error)
    return text.partition("\n")[0] if type(error).__name__ == "AcceleratorError" else text


def alike(reason: str) -> str:
    """Return a reason without what differs from run to run: paths, ids, numbers."""
    return re.sub(r"/\S+|\b(?=\w*\d)[0-9a-f]{6,}\b|\d+", "#", reason)


def brief(value: object, limit: int = 120) -> str:
    """Return a value as a message shows it: its repr, cut where it is long."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


def nearest(word: str, allowed: Iterable[str]) -> str:
    """Return ' Did you mean ...?' for a misspelt word, or '' when nothing is close."""
    close = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""


def unknown(kind: str, word: str, allowed: Iterable[str]) -> str:
    """Return the line for a name that does not exist, with the names that do."""
    names = sorted(allowed)
    return f"unknown {kind} {brief(word)}; choose one of {', '.join(names)}.{nearest(word, names)}"
