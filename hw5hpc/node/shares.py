"""How many runs train at a time in one place, and how many CPU threads each of them gets."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from hw5hpc.store import RunFolder, StoreError
from hw5hpc.store.values import numbers

RUNS_PER_GPU = 16
# How many results are looked at for the memory of their runs.
RESULTS = 50
GPU_DEVICES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
CPU_FOLDER = Path("/sys/devices/system/cpu")


@dataclass(frozen=True)
class Need:
    """The memory of one run; the defaults are for small ones of which none was measured yet."""

    memory_gb: float = 1.0
    gpu_memory_gb: float = 1.5


@dataclass(frozen=True)
class Place:
    """What a machine, or a task's part of it, has: CPU cores, memory, and free memory of each GPU.

    `threads` is how many threads each run is to have in any case; 0 shares the cores out. Of an
    `exclusive` GPU there is one process at a time.
    """

    cores: int
    memory_gb: float
    gpus_gb: tuple[float, ...] = ()
    threads: int = 0
    exclusive: bool = False
    need: Need = field(default_factory=Need)

    def abreast(self, runs: int) -> int:
        """Return how many of `runs` train at a time: one a core, or on GPUs as many as fit."""
        fitting = [int(free / self.need.gpu_memory_gb) for free in self.gpus_gb]
        most = sum(max(1, min(count, RUNS_PER_GPU)) for count in fitting)
        if self.exclusive:
            most = len(self.gpus_gb)
        by_memory = int(self.memory_gb / self.need.memory_gb)
        return max(1, min(runs, most or self._by_cores, by_memory))

    @property
    def _by_cores(self) -> int:
        return max(1, self.cores // max(1, self.threads))

    def threads_each(self, runs: int, at_a_time: int | None = None) -> int:
        """Return the threads of each of `runs`; measured memory does not change them."""
        return self.threads or max(1, self.cores // min(runs, at_a_time or self._by_cores))

    def gpu_share(self, abreast: int) -> float:
        """Return which part of a GPU each of so many runs has; they spread over all GPUs."""
        return min(1.0, len(self.gpus_gb) / abreast) if self.gpus_gb else 1.0


def here() -> Place:
    """Return what this process may use: its Slurm task's CPUs, or all cores that it may run on.

    $OMP_NUM_THREADS is the user's word on the threads of each run.
    """
    allotted = os.environ.get("SLURM_CPUS_PER_TASK", "")
    threads = os.environ.get("OMP_NUM_THREADS", "")
    return Place(
        int(allotted) if allotted.isdecimal() else _cores(os.sched_getaffinity(0)),
        _memory_gb(),
        threads=int(threads) if threads.isdecimal() else 0,
    )


def measured(runs: Iterable[RunFolder]) -> Need:
    """Return the most that finished runs of a sweep needed, of some of them."""
    found: dict[str, list[float]] = {"memory_gb": [], "gpu_memory_gb": []}
    results = (result for run in runs if (result := _result(run)))
    for result in islice(results, RESULTS):
        values = numbers(result)
        for name, seen in found.items():
            if values.get(name, 0.0) > 0:
                seen.append(values[name])
    return Need(**{name: max(seen) for name, seen in found.items() if seen})


def _result(run: RunFolder) -> dict[str, object] | None:
    try:
        return run.result()
    except StoreError:
        return None


def may_have_gpu() -> bool:
    """Whether it is worth asking torch, which takes a moment."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return False
    return any(Path(device).exists() for device in GPU_DEVICES)


def _cores(cpus: set[int]) -> int:
    """Return the number of cores behind these CPUs: two threads of one core are not two cores."""
    try:
        siblings = {
            (CPU_FOLDER / f"cpu{cpu}/topology/thread_siblings_list").read_text() for cpu in cpus
        }
    except OSError:
        return len(cpus)
    return len(siblings)


def _memory_gb() -> float:
    """Return the memory of this machine, or what Slurm gave the job of it."""
    allotted = os.environ.get("SLURM_MEM_PER_NODE", "")
    if allotted.isdecimal() and int(allotted):
        return int(allotted) / 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
