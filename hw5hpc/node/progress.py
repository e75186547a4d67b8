"""How a run's training gets on, a line for each row: in a job's log, and from the run's files."""

import logging
import sys
import time
from collections.abc import Mapping
from typing import Any

from hw5hpc.store import RunFolder

log = logging.getLogger(__name__)


def to_stdout() -> None:
    """Let this process print what the package logs, from INFO on, with the time of day."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    package = logging.getLogger("hw5hpc")
    package.addHandler(handler)
    package.setLevel(logging.INFO)


class Progress:
    """Logs a line for each row of a run, with the speed of the steps since the row before."""

    def __init__(self, run: str, epochs: int, headline: str) -> None:
        self._run, self._epochs, self._headline = run, epochs, headline
        self._begin, self._last, self._steps = 0.0, 0.0, 0

    def stepped(self) -> None:
        """Note that a step has ended; the first since a row only starts the clock."""
        self._last = time.monotonic()
        self._steps += 1
        if self._steps == 1:
            self._begin = self._last

    def row(self, row: Mapping[str, float]) -> None:
        """Log a row (`epoch`, `step`, measures)."""
        counted = self._steps - 1
        speed = {"step_ms": 1e3 * (self._last - self._begin) / counted} if counted > 0 else {}
        self._steps = 0
        log.info("run %s %s", self._run, line(row, self._epochs, self._headline, speed))


def line(row: Mapping[str, float], epochs: int, headline: str, timing: Mapping[str, float]) -> str:
    """Return a row in one line: epoch, step, losses, the headline metric, and the speed.

    Args:
        row: a row of metrics.jsonl.
        epochs: how many there are in all, 0 where that is not known.
        timing: `step_ms`, milliseconds a step; `seconds`, since the run began. Either may lack.
    """
    of = f"/{epochs}" if epochs else ""
    names = [name for name in row if "loss" in name.split("_")]
    names += [headline] if headline in row and headline not in names else []
    measures = ", ".join(f"{name} {row[name]:.4g}" for name in names)
    ms, seconds = timing.get("step_ms"), timing.get("seconds")
    times = [f"{ms:.3g} ms a step"] if ms is not None else []
    times += [f"{seconds:.0f} s"] if seconds is not None else []
    where = f"epoch {row.get('epoch', 0):.0f}{of} step {row.get('step', 0):.0f}"
    return f"{where}: {measures or 'no losses'}" + (f" ({', '.join(times)})" if times else "")


def from_files(run: RunFolder, headline: str) -> list[str]:
    """Return a line for each row that a run has written, with its own timing where there is one."""
    timing: dict[Any, dict[str, float]] = {row.get("step"): row for row in run.timing()}
    epochs = run.status().epochs
    return [line(row, epochs, headline, timing.get(row.get("step"), {})) for row in run.metrics()]
