"""The flag that Slurm's warning signals set, and that the loop looks at between steps."""

import signal
from types import FrameType
from typing import Any


class StopFlag:
    """Nothing is saved inside a signal handler: it only remembers that it was called."""

    def __init__(self) -> None:
        self.signal = 0

    def __call__(self) -> bool:
        return bool(self.signal)

    def listen(self, *signals: int) -> dict[int, Any]:
        """Take over these signals and return the handlers that were there."""
        return {number: signal.signal(number, self._set) for number in signals}

    def _set(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
