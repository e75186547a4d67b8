"""The run store: the only code that names files of a run or a sweep (but for tracking's own)."""

from hw5hpc.store.claim import Claim, JobAlive, Life, claim, holder, life, tidy
from hw5hpc.store.files import StoreError
from hw5hpc.store.outputs import Outputs, SweepFolder
from hw5hpc.store.run import RunFolder, Sent
from hw5hpc.store.state import State, Status

__all__ = [
    "Claim",
    "JobAlive",
    "Life",
    "Outputs",
    "RunFolder",
    "Sent",
    "State",
    "Status",
    "StoreError",
    "SweepFolder",
    "claim",
    "holder",
    "life",
    "tidy",
]
