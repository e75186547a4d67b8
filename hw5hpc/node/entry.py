"""A run that is to train beside others: what it waits for, how long it is, what it shares."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hw5hpc.experiments.config import ExperimentConfig
from hw5hpc.sweep import run_id


@dataclass(frozen=True)
class Entry:
    """A run to train: the ids of the runs that must have ended before, and how long it is.

    `cost` orders the runs, in any unit. `data` is the data set (name, root) that it reads.
    """

    folder: Path
    needs: frozenset[str] = frozenset()
    cost: float = 1.0
    threads: int = 1
    data: tuple[str, str | None] | None = None

    @classmethod
    def of(cls, folder: Path, config: ExperimentConfig, threads: int) -> "Entry":
        """Return the entry of a run with this config."""
        data = config.images
        return cls(
            folder,
            frozenset(run_id(*wanted) for wanted in config.prerequisites().values()),
            config.cost,
            threads,
            (data.name, data.root) if data else None,
        )

    @property
    def id(self) -> str:
        return self.folder.name


def in_order(entries: Sequence[Entry]) -> list[Entry]:
    """Return the runs that others wait for, then the rest; of both the longest first."""
    needed = frozenset().union(*(entry.needs for entry in entries))
    return sorted(entries, key=lambda entry: (entry.id not in needed, -entry.cost))
