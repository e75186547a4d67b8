"""The ledger: the only writer of a run's status on a node, from its claim to its end."""

import contextlib
import logging
import os
import socket
import time
from collections.abc import Mapping
from typing import Any

from hw5hpc.engine.distributed import Ranks
from hw5hpc.engine.loop import Outcome
from hw5hpc.errors import describe
from hw5hpc.node.retry import after_crash, after_stop
from hw5hpc.node.task import Task
from hw5hpc.store import Claim, RunFolder, State, Status, claim, tidy

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 5.0


class ClaimLost(Exception):
    """Another worker has taken the run over; nothing of it may be written any more."""


class Ledger:
    """What becomes of one run: it began, progressed, and was stopped, crashed or ended.

    The first rank's ledger holds the claim, counts against the task's budget, writes and tells;
    the other ranks hold a silent one. Once closed, every ledger is silent.
    """

    def __init__(self, run: RunFolder, task: Task, ranks: Ranks) -> None:
        self._run, self._task, self._writes = run, task, ranks.first
        # One process tries again at once, several can only in the job's next turn.
        self._after_crash = State.RUNNING if ranks.alone else State.INTERRUPTED
        self._claim: Claim | None = None
        self._status = Status()
        self._progressed = 0.0

    def open(self) -> tuple[bool, State]:
        """Claim the run; return whether it is to be trained, and the state it is in."""
        if not self._writes:
            return False, State.RUNNING
        try:
            return self._open()
        except OSError as error:
            log.error("run %s can be neither read nor claimed: %s", self._run.id, describe(error))
            return False, State.LOST

    def _open(self) -> tuple[bool, State]:
        status = self._run.status()
        if _over(status):
            tidy(self._run)
            return False, status.state
        self._claim = claim(self._run, self._task.job, self._task.gone)
        if self._claim is None:
            log.warning("run %s is being worked on elsewhere; left alone", self._run.id)
            return False, State.RUNNING
        self._run.drop_leftovers()
        self._run.reserve_room()
        # Whoever held the claim until now may just have ended the run.
        self._status = self._run.status()
        self._count_death()
        return not _over(self._status), self._status.state

    def _count_death(self) -> None:
        """Count the death of this job's last turn, if this is the run that it was at work on."""
        status, task = self._status, self._task
        if task.killed and status.state is State.RUNNING and status.job == task.job:
            counted = after_crash(status, task.killed, task.budget)
            log.error("run %s: %s", self._run.id, counted.reason)
            self._write_last(counted)

    def close(self) -> None:
        """Release the claim."""
        held, self._claim, self._writes = self._claim, None, False
        if held is not None:
            with contextlib.suppress(OSError):
                self._run.free_room()
                held.release()

    def began(self, epochs: int) -> None:
        """Say that this process trains the run, for this many epochs in all."""
        here = {"job": self._task.job, "host": socket.gethostname(), "pid": os.getpid()}
        self._write(self._status.to(State.RUNNING, reason="", epochs=epochs, **here))

    def check(self) -> None:
        """Show that the run is still worked on, before anything of it is written.

        Raises:
            ClaimLost: it is another worker's by now.
        """
        if self._claim is not None and not self._claim.beat():
            raise ClaimLost

    def progressed(self, epoch: int, metrics: Mapping[str, float], now: bool = False) -> None:
        """Note how far the run is: every few seconds, or `now`.

        Raises:
            ClaimLost: it is another worker's by now.
        """
        if now or time.monotonic() - self._progressed >= HEARTBEAT_SECONDS:
            self._progressed = time.monotonic()
            self.check()
            self._write(self._status.to(State.RUNNING, epoch=epoch, metrics=dict(metrics)))

    def stopped(self, outcome: Outcome) -> State:
        """Note a stop by a signal; return INTERRUPTED, or FAILED over the budget."""
        status = self._status.to(State.RUNNING, **_measured(outcome))
        return self._write(after_stop(status, outcome.reason, self._task.budget))

    def ended(self, outcome: Outcome, result: Mapping[str, Any]) -> State:
        """Write the result, by which the run is finished or diverged for good, and the status.

        Raises:
            ClaimLost: it is another worker's by now.
        """
        self.check()
        if self._writes:
            self._run.set_result(result)
        status = self._status.to(outcome.state, reason=outcome.reason, **_measured(outcome))
        return self._write(status)

    def crashed(self, reason: str, final: bool = False, here: bool = True) -> State:
        """Count a crash; `final` says that trying again cannot help, `here` that it can here.

        Return FAILED when it was the last one, else the state in which the run may be tried again:
        RUNNING here and now, INTERRUPTED in the job's next turn. A result that was on disk before
        the trouble began stands.
        """
        if not self._writes:
            return self._after_crash
        state = self._run.status().state
        if state.done:
            return state
        counted = after_crash(self._status, reason, self._task.budget, final)
        if counted.state is not State.FAILED:
            counted = counted.to(self._after_crash if here else State.INTERRUPTED)
        return self._write_last(counted)

    def noted(self, reason: str) -> None:
        """Note what ended this process; whether it counts as the run's own crash, others decide."""
        if self._writes and not self._run.status().state.done:
            self._write_last(self._status.to(State.RUNNING, reason=reason))

    def _write(self, status: Status) -> State:
        self._status = status
        if self._writes:
            self._run.set_status(status)
            self._task.tell(self._run.id, status)
        return status.state

    def _write_last(self, status: Status) -> State:
        """Write on a full disk too; where nothing can be written, the log has to say it."""
        self._status = status
        try:
            self._run.set_last_status(status)
        except OSError as error:
            log.error("run %s: its state could not be written: %s", self._run.id, describe(error))
        self._task.tell(self._run.id, status)
        return status.state


def _over(status: Status) -> bool:
    """A failed run comes back only when it is submitted again, which makes it a queued one."""
    return status.state.done or status.state is State.FAILED


def _measured(outcome: Outcome) -> dict[str, Any]:
    return {"metrics": outcome.metrics, "seconds": outcome.seconds}
