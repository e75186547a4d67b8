"""Stop in Python's debugger where a run fails: --debug --pdb."""

import os
import pdb  # noqa: T100 - the user asks for it with --pdb
import sys
import traceback

from hw5hpc.errors import Stopped

VARIABLE = "HW5HPC_PDB"


class Left(Stopped):
    """The debugger was left; `error` is what it was opened at."""

    def __init__(self, error: Exception) -> None:
        super().__init__("left the debugger; run the same command to go on")
        self.error = error


def ask_for() -> None:
    """Let this process stop at the first error, with no bar that writes over the prompt."""
    os.environ |= {VARIABLE: "1", "TTY_COMPATIBLE": "0"}


def asked_for() -> bool:
    return os.environ.get(VARIABLE) == "1"


def stop_at(error: Exception) -> None:
    """Open the debugger at an error, if it was asked for; nothing is tried again after it.

    Raises:
        Left: the debugger was left.
    """
    if not asked_for():
        return
    traceback.print_exception(error)
    print("the debugger is where it happened: p NAME, up, down, l; q leaves", file=sys.stderr)
    pdb.post_mortem(error.__traceback__)
    raise Left(error)
