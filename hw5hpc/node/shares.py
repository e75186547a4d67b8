"""How many runs train at a time in one place, and how many CPU threads each of them gets."""

import os
from dataclasses import dataclass
from pathlib import Path

# What a small run needs, before any was measured.
RUN_MEMORY_GB = 1.0
RUN_GPU_MEMORY_GB = 1.5
RUNS_PER_GPU = 16
GPU_DEVICES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
CPU_FOLDER = Path("/sys/devices/system/cpu")


@dataclass(frozen=True)
class Place:
    """What a machine, or a task's part of it, has: CPU cores, memory, and free memory of each GPU.

    `threads` is how many threads each run is to have in any case; 0 shares the cores out.
    """

    cores: int
    memory_gb: float
    gpus_gb: tuple[float, ...] = ()
    threads: int = 0

    def abreast(self, runs: int) -> int:
        """Return how many of `runs` train at a time: one a core, or on GPUs as many as fit."""
        if self.gpus_gb:
            fitting = [min(int(free / RUN_GPU_MEMORY_GB), RUNS_PER_GPU) for free in self.gpus_gb]
            most = sum(max(1, count) for count in fitting)
        else:
            most = self.cores // max(1, self.threads)
        return max(1, min(runs, most, int(self.memory_gb / RUN_MEMORY_GB)))

    def gpu_share(self, abreast: int) -> float:
        """Return which part of a GPU each of so many runs has; they spread over all GPUs."""
        return min(1.0, len(self.gpus_gb) / abreast) if self.gpus_gb else 1.0

    def threads_each(self, abreast: int) -> int:
        return self.threads or max(1, self.cores // abreast)


def here(gpus_gb: tuple[float, ...] = ()) -> Place:
    """Return what this process may use: its Slurm task's CPUs, or all cores that it may run on.

    $OMP_NUM_THREADS is the user's word on the threads of each run.
    """
    allotted = os.environ.get("SLURM_CPUS_PER_TASK", "")
    threads = os.environ.get("OMP_NUM_THREADS", "")
    return Place(
        int(allotted) if allotted.isdecimal() else _cores(os.sched_getaffinity(0)),
        _memory_gb(),
        gpus_gb,
        int(threads) if threads.isdecimal() else 0,
    )


def may_have_gpu() -> bool:
    """Whether it is worth asking torch, which takes a moment."""
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
