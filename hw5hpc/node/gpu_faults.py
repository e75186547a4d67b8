"""Whose error it was when GPU errors end processes that NVIDIA's MPS joins.

An illegal address of one process comes to all on its GPU, in the same words; a failed assertion to
that process alone.
"""

import time
from enum import Enum, auto

# Those that hear of another's error hear of it with their next step.
HEARSAY_SECONDS = 15.0


class Verdict(Enum):
    OPEN = auto()
    OWN = auto()
    SHARED = auto()


class GpuFaults:
    """The runs whose processes a GPU error has ended, until it is known whose it was."""

    def __init__(self) -> None:
        self._ended: dict[str, float] = {}

    def add(self, run: str) -> None:
        self._ended[run] = time.monotonic()

    def judge(self, at_work: int, at_once: bool) -> tuple[Verdict, list[str]]:
        """Return whose error it was, and the runs; they are forgotten once that is no longer open.

        Args:
            at_work: how many runs had a process, these included.
            at_once: do not wait for others to hear of it.
        """
        runs = list(self._ended)
        if not runs:
            return Verdict.OPEN, []
        heard_by_all = time.monotonic() - min(self._ended.values()) > HEARSAY_SECONDS
        if len(runs) == 1 and at_work > 1 and not (at_once or heard_by_all):
            return Verdict.OPEN, []
        self._ended.clear()
        return (Verdict.OWN if len(runs) == 1 else Verdict.SHARED), runs
