"""What of the user's shell counts for Slurm's commands: their own SBATCH_ words, but no filters."""

import os
from collections.abc import Mapping

# Output formats and filters of other commands would change what is read here; SLURM_ variables are
# an enclosing job's, or formats as well.
LEAKING = ("SLURM_", "SRUN_", "SALLOC_", "SQUEUE_", "SACCT_", "SINFO_", "SCANCEL_", "SCONTROL_")
# The option that an SBATCH_ variable stands for; sbatch would let the variable win over the script.
VARIABLES = {
    "SBATCH_ACCOUNT": ("account",),
    "SBATCH_PARTITION": ("partition",),
    "SBATCH_QOS": ("qos",),
    "SBATCH_CONSTRAINT": ("constraint",),
    "SBATCH_RESERVATION": ("reservation",),
    "SBATCH_MEM_PER_NODE": ("mem", "mem-per-cpu", "mem-per-gpu"),
    "SBATCH_MEM_PER_CPU": ("mem", "mem-per-cpu", "mem-per-gpu"),
    "SBATCH_MEM_PER_GPU": ("mem", "mem-per-cpu", "mem-per-gpu"),
    "SBATCH_GRES": ("gres",),
    "SBATCH_EXCLUSIVE": ("exclusive", "oversubscribe"),
}
# What every job decides by itself: its shape, its time, its name and its log.
NEVER = {
    "SBATCH_" + name
    for name in (
        "ARRAY_INX", "CLUSTERS", "CPUS_PER_GPU", "ERROR", "GPUS", "GPUS_PER_NODE", "GPUS_PER_TASK",
        "INPUT", "JOB_NAME", "NO_REQUEUE", "OPEN_MODE", "OUTPUT", "REQUEUE", "SIGNAL", "TIMELIMIT",
        "WAIT",
    )
}  # fmt: skip


def environment(options: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for Slurm's commands, for a job with these options of sbatch.

    Inside a job no SBATCH_ variable counts: it may be that job's, not the user's.
    """
    keep = {k: v for k, v in os.environ.items() if not k.startswith(LEAKING) or k == "SLURM_CONF"}
    mine = counting(options or {})
    return {k: v for k, v in keep.items() if not k.startswith("SBATCH_") or k in mine}


def counting(options: Mapping[str, str]) -> dict[str, str]:
    """Return the user's SBATCH_ variables that count beside these options of sbatch."""
    if "SLURM_JOB_ID" in os.environ:
        return {}
    named = {name: name.removeprefix("SBATCH_").lower().replace("_", "-") for name in os.environ}
    return {
        name: os.environ[name]
        for name, option in named.items()
        if name.startswith("SBATCH_") and os.environ[name] and name not in NEVER
        and not any(other in options for other in VARIABLES.get(name, (option,)))
    }  # fmt: skip
