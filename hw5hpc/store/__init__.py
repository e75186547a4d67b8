"""The run store: the only code that knows the names of files in a run or sweep directory."""

from hw5hpc.store.claim import Claim, claim, holder
from hw5hpc.store.outputs import Outputs, SweepFolder
from hw5hpc.store.run import RunFolder, StoreError
from hw5hpc.store.state import State, Status

__all__ = [
    "Claim",
    "Outputs",
    "RunFolder",
    "State",
    "Status",
    "StoreError",
    "SweepFolder",
    "claim",
    "holder",
]
