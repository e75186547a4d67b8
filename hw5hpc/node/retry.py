"""How often a run is tried again: one budget for crashes, another for stops by a signal."""

import errno
from dataclasses import dataclass

from hw5hpc.errors import UserError
from hw5hpc.store import State, Status

# What trying again does not mend; an input or output error of a busy file server may pass.
LASTING = (
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT,
    errno.ENOTDIR, errno.EISDIR, errno.EFBIG,
)  # fmt: skip


@dataclass(frozen=True)
class Budget:
    """How often a run may crash without getting further, and be stopped (None: any number)."""

    crashes: int = 2
    stops: int | None = None


def after_crash(status: Status, reason: str, budget: Budget, final: bool = False) -> Status:
    """Return the status after one more crash: running again, or failed for good.

    A crash in a later epoch than the crash before starts the count anew: what gets further is
    not stuck. `final` says that trying again cannot help.
    """
    stuck = status.crashes > 0 and status.epoch <= status.crash_epoch
    crashes = status.crashes + 1 if stuck else 1
    over = final or crashes > budget.crashes
    if over and not final and budget.crashes:
        reason = f"{reason} ({crashes} times in a row; max_crashes is {budget.crashes})"
    state = State.FAILED if over else State.RUNNING
    return status.to(state, crashes=crashes, crash_epoch=status.epoch, reason=reason)


def after_stop(status: Status, reason: str, budget: Budget) -> Status:
    """Return the status after a stop by a signal: interrupted, or failed over its budget."""
    stops = status.stops + 1
    if budget.stops is not None and stops > budget.stops:
        reason = f"{reason} {stops} times; max_stops is {budget.stops}"
        return status.to(State.FAILED, stops=stops, reason=reason)
    return status.to(State.INTERRUPTED, stops=stops, reason=reason)


def is_final(error: BaseException) -> bool:
    """Whether a run that ended so would only end so again."""
    lasting = isinstance(error, OSError) and error.errno in LASTING
    return lasting or isinstance(error, UserError)
