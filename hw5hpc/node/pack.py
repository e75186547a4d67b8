"""The runs of one Slurm task side by side: what it takes up at a time, and with what."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hw5hpc.errors import UserError
from hw5hpc.experiments import rebuild
from hw5hpc.node.abreast import Abreast
from hw5hpc.node.entry import Entry
from hw5hpc.node.processes import Processes
from hw5hpc.node.shares import here, measured
from hw5hpc.node.task import Task
from hw5hpc.store import Outputs, RunFolder, State

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Packing:
    """How a task's runs are taken up: `size` in a full task, `abreast` at a time (None: auto)."""

    size: int = 1
    abreast: int | None = 1

    @property
    def side_by_side(self) -> bool:
        return self.size > 1 and self.abreast != 1

    @property
    def threads(self) -> int:
        """The CPU threads of each run: as in a full task, in whatever company it is sent.

        0 leaves them to a task whose runs come one after the other.
        """
        return here().threads_each(self.size, self.abreast) if self.side_by_side else 0


def train_pack(
    folders: Sequence[Path], task: Task, packing: Packing, device: str = "auto"
) -> list[State]:
    """Train the runs of a task side by side; on the `device` 'cuda' not without a GPU.

    Raises:
        NoGpu: the processes find no GPU, though one is there.
        ServerBroken: no processes can be started.
    """
    with Processes() as processes:
        place = processes.place(measured(_sweep(Outputs(folders[0].parents[1]), task.sweep)))
        if device == "cuda" and not place.gpus_gb:
            from hw5hpc.engine.precision import NoGpu, need_gpu

            need_gpu()
            raise NoGpu("a GPU was asked for, and its node has one, but a new process finds none")
        abreast = min(len(folders), packing.abreast or place.abreast(len(folders)))
        words = f"{len(folders)} runs, {abreast} at a time, CPU threads each: {packing.threads}"
        print(f"{words}; {processes.sharing}" if processes.sharing else words, flush=True)
        entries = [_entry(folder, task, packing.threads) for folder in folders]
        task = replace(task, gpu_share=place.gpu_share(abreast))
        return Abreast(entries, task, abreast, processes.leave_mps).train(processes.server)


def _sweep(outputs: Outputs, name: str) -> list[RunFolder]:
    """Return the runs of a sweep; none, where its record is damaged: it is not needed to train."""
    try:
        record = outputs.sweep(name).load()
    except (OSError, UserError):
        return []
    return [outputs.run(str(run)) for run in record.get("runs", [])]


def _entry(folder: Path, task: Task, threads: int) -> Entry:
    """Return a run as it is to be trained; what is wrong with its config, its own process says."""
    try:
        experiment, values = RunFolder(folder).config()
        config = rebuild(experiment, values, task.own)
    except (OSError, ValueError, UserError):
        return Entry(folder, threads=threads)
    return Entry.of(folder, config, threads)
