"""A run's files as the one history that W&B is to show; no W&B is needed to read it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from hw5hpc.store import RunFolder, State, metric_names
from hw5hpc.store.files import valid

Arrays = Mapping[str, Mapping[int, NDArray[Any]]]


@dataclass(frozen=True)
class Row:
    """One row of the history; `step` (optimiser steps done) is its key.

    `pictured` is the epoch whose arrays belong to it, or None.
    """

    step: int
    values: Mapping[str, float]
    pictured: int | None = None


@dataclass(frozen=True)
class History:
    """All rows that are complete, in order, and where the run stands.

    `waiting` counts the rows that still lack a part: their timing, or the pictures made at the end.
    """

    rows: tuple[Row, ...] = ()
    waiting: int = 0
    state: State = State.NEW
    reason: str = ""
    final: Mapping[str, float] = field(default_factory=dict)

    @property
    def last_step(self) -> int:
        return self.rows[-1].step if self.rows else -1

    def digest(self, step: int) -> str:
        """Return the SHA-256 of the rows up to `step`, without what is measured by the clock.

        Under the metrics' first names: what was sent before a renaming is not sent again.
        """
        content = hashlib.sha256()
        for row in self.rows:
            if row.step <= step:
                values = metric_names.first(row.values)
                reproducible = {k: v for k, v in values.items() if k not in CLOCK}
                content.update(json.dumps(valid(reproducible), sort_keys=True).encode() + b"\n")
        return content.hexdigest()


# What timing.jsonl holds of a row: it differs between two runs of the same point.
CLOCK = ("seconds", "train_seconds", "step_ms")


def read(run: RunFolder) -> History:
    """Return the history of a run as its files tell it now; a torn row is left out.

    Raises:
        StoreError: the result has another format version.
        OSError: a file cannot be read.
    """
    status, result = run.status(), run.result()
    rows = _rows(run)
    over = result is not None or status.state is State.FAILED
    ready = len(rows) if over else len(rows) - _incomplete(run, rows, status.epochs)
    return History(
        rows=tuple(rows[:ready]),
        waiting=len(rows) - ready,
        state=status.state,
        reason=status.reason,
        final={} if result is None else result["metrics"],
    )


def _rows(run: RunFolder) -> list[Row]:
    """One row for each step; an epoch's pictures go to the row that ended it."""
    timing = {row.get("step"): row for row in run.timing()}
    by_step = {int(row["step"]): row for row in run.metrics() if {"step", "epoch"} <= row.keys()}
    rows, closed = [], set()
    if 0 not in by_step and run.metrics_path.exists() and run.has_array_of(0):
        rows.append(Row(0, {"epoch": 0, "step": 0}, pictured=0))
        closed.add(0)
    for step in sorted(by_step):
        row, epoch = by_step[step], int(by_step[step]["epoch"])
        first = epoch not in closed
        closed.add(epoch)
        clock = {key: value for key, value in timing.get(step, {}).items() if key in CLOCK}
        rows.append(Row(step, {**clock, **row}, epoch if first else None))
    return rows


def _incomplete(run: RunFolder, rows: list[Row], epochs: int) -> int:
    """How many of a going run's last rows lack a part (0 or 1).

    The timing follows its row, and the pictures of the end follow the last row.
    """
    if not rows:
        return 0
    last = rows[-1]
    timed = any(row.get("step") == last.step for row in run.timing())
    return int(last.values["epoch"] >= epochs or not timed)
