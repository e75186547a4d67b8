"""One visit of the doctor: ask Slurm, look around here, try a job, and say what was found."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hw5hpc.cluster import slurm
from hw5hpc.cluster.doctor import site, trial
from hw5hpc.cluster.doctor.findings import Finding, Seen, findings
from hw5hpc.cluster.profile import Profile
from hw5hpc.errors import UserError, unknown

# A host that answers everybody; W&B's own where its settings name one.
WANDB = "https://api.wandb.ai"


@dataclass(frozen=True)
class Wanted:
    """What a user asked for; None leaves the choice to the doctor. `wait` 0 sends no job."""

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    wait: float = 180.0


def visit(wanted: Wanted, out: Path, say: Callable[[str], None]) -> tuple[Seen, list[Finding]]:
    """Return all that was found out, and what it means.

    Raises:
        SlurmError: there is no Slurm here, or it does not answer.
        UserError: there is no such partition.
    """
    slurm.require(Profile())
    found = site.ask()
    chosen = found.choose(wanted.partition)
    if wanted.partition and chosen is None:
        names = [one.name for one in found.partitions]
        raise UserError(unknown("partition", wanted.partition, names))
    mode, url = _wandb()
    tried = None
    if chosen is not None and wanted.wait:
        tried = trial.taken(chosen, wanted.account, wanted.qos)
        if not tried.problem:
            others = slurm.hosts(chosen.name)
            tried = trial.go(tried.options, out, url, others, wanted.wait, say)
    seen = Seen(found, chosen, tried, out, mode)
    return seen, findings(seen)


def _wandb() -> tuple[str, str]:
    """Return the mode of W&B with its reason, and the address that nodes must reach."""
    from hw5hpc.tracking.mode import choose, own_settings
    from hw5hpc.tracking.words import Words

    return str(choose(Words())), str(own_settings().base_url or WANDB)
