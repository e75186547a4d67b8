"""Follow a run on W&B while it trains, where that can be; only then is W&B loaded."""

import logging
from typing import Protocol

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
    """Return who follows a run of a sweep; see `off` for `here`."""
    if why := off(run, sweep, here):
        log.info("W&B is %s", why)
        return Nobody()
    # To load W&B takes half a second.
    from hw5hpc.tracking.live import Tracker

    return Tracker(run, sweep)


def off(run: RunFolder, sweep: str, here: bool) -> str:
    """Return how and why W&B is off for a run, by its sweep's record; '' where it may be on.

    Who said offline is never overruled. Where nobody said anything a node may have a key that the
    submitter has not, unless the run is trained `here`, where the sweep was sent.
    """
    try:
        folder = sweep_of(run, sweep)
        said, chosen = words_of(folder).mode or "", mode_at_submission(folder)
    except Exception:
        # Of a damaged record Tracker says what is wrong, and lets the run go on.
        return ""
    is_off = said in OFF or (here and chosen.startswith(OFF))
    return (chosen or said) if is_off else ""
