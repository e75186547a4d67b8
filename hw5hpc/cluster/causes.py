"""Why runs came to nothing, in a few kinds: what each is recognised by, and what to do about it."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hw5hpc.errors import UserError, alike, unknown
from hw5hpc.store import State, Status


@dataclass(frozen=True)
class Cause:
    """A kind of failure: its name on the command line, its pattern, and what to type after submit.

    `words` are added to the command that sends such runs again; `first` is to be done before.
    """

    name: str
    pattern: str
    first: str = ""
    words: str = ""


# The first that fits counts, so what is special stands before what is general.
CAUSES = (
    Cause("prerequisite", r"\bits \S+, run \w+, ", "see why that earlier run failed"),
    Cause("gpu-memory", r"GPU's memory is too small|CUDA out of memory|CUBLAS_STATUS_ALLOC", "",
          "cluster.gpu_type=LARGER"),
    Cause("no-gpu", r"a GPU was asked for, but torch|CUDA (driver|initiali[sz]ation)|no NVIDIA",
          "python jobs/doctor.py says what is wrong with CUDA"),
    Cause("memory", r"SIGKILL|OUT_OF_MEMORY|MemoryError|Cannot allocate memory", "",
          "cluster.mem_gb=MORE"),
    Cause("time", r"ended as (TIMEOUT|DEADLINE)|max_stops is", "", "cluster.time=LONGER"),
    Cause("disk", r"disk or quota is full|Read-only file system|quota exceeded",
          "make room: python jobs/clean.py"),
    Cause("data", r"data\.name .* was not found|No such file.*(data|images)|other .* data",
          "python jobs/fetch_data.py"),
    Cause("ranks", r"rank \d+ on|processes came|rendezvous", "look at the node in the reason",
          "cluster.exclude=NODE"),
    Cause("node", r"NODE_FAIL|BOOT_FAIL|ended as (FAILED|PREEMPTED|REVOKED)|its log ends",
          "read the job's log"),
    Cause("cancelled", r"cancelled|CANCELLED"),
    Cause("code", r"^(rank \d+: )?\w*(Error|Exception|Interrupt|Iteration|Exit)\b",
          "mend the code"),
)  # fmt: skip
OTHER = Cause("other", "", "read the log")
DIVERGED = Cause("diverged", "", "a result, not a failure: see the report")
NAMES = (*(cause.name for cause in CAUSES), OTHER.name)


def cause_of(reason: str) -> Cause:
    """Return the kind that a reason is of."""
    return next((cause for cause in CAUSES if re.search(cause.pattern, reason)), OTHER)


@dataclass(frozen=True)
class Group:
    """Runs that came to nothing alike."""

    cause: Cause
    state: State
    reason: str
    runs: tuple[str, ...]


def groups(statuses: Iterable[tuple[str, Status]]) -> list[Group]:
    """Return runs (id, status) grouped by what ended them, the largest group first.

    Reasons that differ in numbers alone are one; the first of them is shown.
    """
    found: dict[tuple[str, State, str], list[tuple[str, str]]] = {}
    for run, status in statuses:
        kind = DIVERGED if status.state is State.DIVERGED else cause_of(status.reason)
        key = (kind.name, status.state, alike(status.reason))
        found.setdefault(key, []).append((run, status.reason))
    made = [
        Group(_named(name), state, runs[0][1], tuple(run for run, _ in runs))
        for (name, state, _), runs in found.items()
    ]
    return sorted(made, key=lambda group: -len(group.runs))


def _named(name: str) -> Cause:
    return next((one for one in (*CAUSES, OTHER, DIVERGED) if one.name == name), OTHER)


def check(name: str, reasons: Sequence[str]) -> None:
    """Refuse a cause that no failed run has.

    Raises:
        UserError: names the causes that there are.
    """
    there = Counter(cause_of(reason).name for reason in reasons)
    if name in there:
        return
    if name not in NAMES:
        raise UserError(f"--retry-failed={name}: {unknown('cause', name, there or NAMES)}")
    listed = ", ".join(f"{cause} ({count})" for cause, count in there.items()) or "none"
    raise UserError(f"--retry-failed={name}: no failed point is of this cause; there are {listed}")
