"""The processes of one task as one: what one of them cannot do, all of them learn."""

from collections.abc import Callable
from typing import TypeVar

from hw5hpc.engine.distributed import SOLO, Ranks
from hw5hpc.errors import UserError, describe
from hw5hpc.team.heartbeat import Heartbeat

T = TypeVar("T")


class TeamBroken(Exception):
    """A rank failed or died; the message is its error, and no rank can go on in this process."""


class Refused(UserError):
    """Preparing a run failed on some rank, and all ranks know; they can go on with another."""


class Team:
    """The ranks of a task; alone, it costs nothing."""

    def __init__(self, ranks: Ranks = SOLO, heartbeat: Heartbeat | None = None) -> None:
        self.ranks, self._heartbeat = ranks, heartbeat

    def verdict(self, error: Exception, line: str) -> str:
        """Return the error that came first on any rank; `line` describes this rank's own."""
        return line if self._heartbeat is None else self._heartbeat.verdict(error, line)

    def prepare(self, action: Callable[[], T]) -> T:
        """Do what communicates nothing on every rank, and fail on all ranks when it fails on one.

        Raises:
            Refused: it failed on some rank; alone, its own error is raised.
        """
        if self.ranks.alone:
            return action()
        failure, result = "", None
        try:
            result = action()
        except Exception as error:
            failure = describe(error)
        failures = self.ranks.gather_texts(failure)
        for rank, line in enumerate(failures):
            if line:
                raise Refused(line if len(set(failures)) == 1 else f"rank {rank}: {line}")
        assert result is not None
        return result

    def on_abort(self, action: Callable[[str], object]) -> None:
        """Let `action` be called with the verdict before a stuck process is ended."""
        if self._heartbeat is not None:
            self._heartbeat.on_abort = action


ALONE = Team()
