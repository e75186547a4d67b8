"""The states of a run, and which state may follow which."""

import time
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from hw5hpc.store import metric_names
from hw5hpc.store.values import LARGEST_WHOLE, numbers


class State(StrEnum):
    """Where a run stands; FINISHED and DIVERGED hold a result, and nothing follows them.

    LOST is what ended without a word, CANCELLED what somebody ended: both are sent again.
    """

    NEW = "new"
    QUEUED = "queued"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    LOST = "lost"
    CANCELLED = "cancelled"
    FAILED = "failed"
    DIVERGED = "diverged"
    FINISHED = "finished"

    @property
    def done(self) -> bool:
        return self in (State.FINISHED, State.DIVERGED)


_ENDS = {
    State.INTERRUPTED, State.FAILED, State.DIVERGED, State.FINISHED, State.LOST, State.CANCELLED
}  # fmt: skip
NEXT: dict[State, set[State]] = {
    State.NEW: {State.QUEUED, State.RUNNING, State.FAILED},
    State.QUEUED: {State.QUEUED, State.RUNNING, State.LOST, State.CANCELLED, State.FAILED},
    State.RUNNING: {State.RUNNING, State.QUEUED, *_ENDS},
    State.INTERRUPTED: {State.QUEUED, State.RUNNING, State.LOST, State.CANCELLED, State.FAILED},
    State.LOST: {State.QUEUED, State.RUNNING, State.CANCELLED, State.FAILED},
    State.CANCELLED: {State.QUEUED, State.RUNNING, State.FAILED},
    State.FAILED: {State.QUEUED, State.RUNNING, State.FAILED},
    State.DIVERGED: set(),
    State.FINISHED: set(),
}


@dataclass(frozen=True)
class Status:
    """What status.json holds; times are seconds since 1970, `updated` is the heartbeat.

    `crashes` are those since the run last got further than at a crash (in epoch `crash_epoch`),
    `stops` the signals that ended a turn; both start anew at a submission.
    """

    state: State = State.NEW
    reason: str = ""
    epoch: int = 0
    epochs: int = 0
    updated: float = 0.0
    seconds: float = 0.0
    crashes: int = 0
    crash_epoch: int = 0
    stops: int = 0
    job: str = ""
    host: str = ""
    pid: int = 0
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def by_hand(self) -> bool:
        """Whether a process without a Slurm job had the run last (--local, --debug)."""
        return bool(self.host) and not self.job and self.state is not State.QUEUED

    def to(self, state: State, **changes: Any) -> "Status":
        """Return the status after a transition.

        Raises:
            ValueError: `state` may not follow the present one.
        """
        if state not in NEXT[self.state]:
            raise ValueError(f"a {self.state} run cannot become {state}")
        return Status(**{**asdict(self), **changes, "state": state, "updated": time.time()})

    def beside(self, result: State | None) -> "Status":
        """Return what holds beside a result file of this state (None: there is none).

        The result is written before the status, so it outranks a status that a crash left behind.
        """
        if result is not None:
            return self if self.state.done else replace(self, state=result, reason="")
        if self.state.done:
            lost = f"ended as {self.state}, but result.json is missing or damaged"
            return replace(self, state=State.LOST, reason=lost)
        return self

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> "Status":
        """Return the status that status.json holds.

        Raises:
            ValueError: a value is not of its field's kind.
        """
        known = {key: raw[key] for key in cls.__dataclass_fields__ if key in raw}
        for key, value in known.items():
            if not _fits(value, _EMPTY[key]):
                raise ValueError(f"{key}: {str(value)[:40]!r}")
        metrics = metric_names.now(numbers(known.get("metrics")))
        return cls(**{**known, "metrics": metrics, "state": State(known.get("state", State.NEW))})


_EMPTY = asdict(Status())


def _fits(value: object, empty: object) -> bool:
    """Whether a value is of the kind of its field's default; numbers within what a float holds."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = isinstance(empty, float) or (isinstance(empty, int) and isinstance(value, int))
        return number and abs(value) <= LARGEST_WHOLE
    return isinstance(value, str | dict) and isinstance(empty, type(value))
