"""What one task is: its sweep, its Slurm job, its budget, when it must stop, and who is told."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hw5hpc.node.retry import Budget
from hw5hpc.store import Status


def nobody(run: str, status: Status) -> None:
    """Tell nobody how a run gets on."""


@dataclass(frozen=True)
class Task:
    """What the runs of one task share; `job` is '' without Slurm.

    `stop` says whether to stop at the next step, `tell` hears each status of a run (its id).
    `killed` says what ended this job's turn before this one, if a signal killed its process;
    `gone` whether another Slurm job has ended.
    `own` is the file of the user's own experiment, where the sweep has one. `threads` is how many
    CPU threads a run has (0: those that Slurm allotted, else torch's own choice), `gpu_share` which
    part of a GPU, as others train beside it, `mps` whether through NVIDIA's MPS, which ends all
    processes on a GPU for an error of one.
    """

    sweep: str
    job: str = ""
    stop: Callable[[], bool] = lambda: False
    tell: Callable[[str, Status], None] = nobody
    budget: Budget = field(default_factory=Budget)
    killed: str = ""
    gone: Callable[[str], bool] = lambda job: False
    own: Path | None = None
    threads: int = 0
    gpu_share: float = 1.0
    mps: bool = False
