"""Use matplotlib as it is shipped: a user's backend and matplotlibrc change no figure."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

SETTINGS: dict[Any, Any] = {
    # A dollar sign in a class name is a dollar sign, not the start of a formula.
    "text.parse_math": False,
    # The page keeps text as text: small, sharp, and in the reader's own colours.
    "svg.fonttype": "none",
    # Without a salt of our own, two drawings of the same figure have different ids.
    "svg.hashsalt": "hw5hpc",
}
_USERS = {"MPLBACKEND": None, "MATPLOTLIBRC": os.devnull}


@contextlib.contextmanager
def defaults() -> Iterator[None]:
    """Inside, matplotlib's own defaults and SETTINGS hold; afterwards what held before."""
    with _hidden_environment():
        # An unknown backend or a damaged file would end this import with an error.
        import matplotlib
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        yield


@contextlib.contextmanager
def _hidden_environment() -> Iterator[None]:
    kept = {name: os.environ.pop(name, None) for name in _USERS}
    os.environ.update({name: value for name, value in _USERS.items() if value is not None})
    try:
        yield
    finally:
        for name, value in kept.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
