"""Follow a run on W&B while it trains, where that can be; only then is W&B loaded."""

import logging
from typing import Protocol

from hw5hpc.errors import UserError
from hw5hpc.store import RunFolder
from hw5hpc.tracking.describe import mode_at_submission, sweep_of, words_of

log = logging.getLogger(__name__)

OFF = ("offline", "disabled")


class Follower(Protocol):
    """What is told of a run that trains."""

    def update(self) -> None:
        """Look whether there are new rows; called as often as one likes."""

    def finish(self) -> None:
        """The run trains no more; a second call does nothing."""


class Nobody:
    """Who is told of a run that W&B does not follow."""

    def update(self) -> None: ...

    def finish(self) -> None: ...


def follower(run: RunFolder, sweep: str, here: bool) -> Follower:
    """Return who follows a run of a sweep; see `may_be_online` for `here`."""
    if not may_be_online(run, sweep, here):
        log.info("W&B is %s", mode_at_submission(sweep_of(run, sweep)))
        return Nobody()
    # To load W&B takes half a second.
    from hw5hpc.tracking.live import Tracker

    return Tracker(run, sweep)


def may_be_online(run: RunFolder, sweep: str, here: bool) -> bool:
    """Whether W&B may be online for a run, by what was recorded when its sweep was sent.

    Who said offline is never overruled. Where nobody said anything a node may have a key that the
    submitter has not, unless the run is trained `here`, where the sweep was sent.
    """
    folder = sweep_of(run, sweep)
    try:
        said, chosen = words_of(folder).mode, mode_at_submission(folder)
    except (OSError, UserError):
        return True
    return said not in OFF and not (here and chosen.startswith(OFF))
