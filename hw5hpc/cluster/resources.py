"""What one job asks Slurm for, each value checked before Slurm sees it."""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from hw5hpc.errors import FieldError, brief

WORD = r"[A-Za-z0-9_.,:&|*()\[\]@+=/-]+"
WORDS = (
    "partition", "account", "qos", "constraint", "reservation", "exclude", "licenses",
    "mail_user", "mail_type",
)  # fmt: skip
LEAST = {
    "mem_gb": 1, "mem_per_cpu_gb": 1, "cpus_per_task": 1, "nodes": 1, "tasks_per_node": 1,
    "gpus_per_node": 0,
}  # fmt: skip
GPU_REQUESTS = ("gpus-per-node", "gres")
# A value for the first key leaves the others without one, unless they are given beside it.
REPLACES = {
    "mem_gb": ("mem_per_cpu_gb",),
    "mem_per_cpu_gb": ("mem_gb",),
    "gpus_per_node": ("tasks_per_node",),
}
# What sbatch is told in any case, and the key that decides it; '' where none does.
OWN_OPTIONS = {
    "time": "time", "nodes": "nodes", "ntasks": "tasks_per_node",
    "ntasks-per-node": "tasks_per_node", "cpus-per-task": "cpus_per_task", "mem": "mem_gb",
    "mem-per-cpu": "mem_per_cpu_gb", "gpus": "gpus_per_node", "gpus-per-node": "gpus_per_node",
    "gpus-per-task": "gpus_per_node", "partition": "partition", "account": "account", "qos": "qos",
    "constraint": "constraint", "reservation": "reservation", "exclude": "exclude",
    "licenses": "licenses", "mail-user": "mail_user", "mail-type": "mail_type", "nice": "nice",
    "signal": "signal_seconds", "array": "max_parallel", "job-name": "", "output": "", "error": "",
    "input": "", "open-mode": "", "requeue": "", "no-requeue": "", "dependency": "", "wait": "",
    "parsable": "", "test-only": "", "wrap": "", "chdir": "", "clusters": "", "hold": "",
    "export": "", "export-file": "", "begin": "", "uid": "", "gid": "", "help": "", "version": "",
    "usage": "", "quiet": "", "kill-on-invalid-dep": "",
}  # fmt: skip
Made = TypeVar("Made", bound="Resources")


@dataclass(frozen=True)
class Resources:
    """What a job asks for; times are hours:minutes:seconds, memory in GiB; null asks for nothing.

    Each GPU gets one process; without GPUs, `tasks_per_node` says how many there are. `sbatch`
    holds options of sbatch that have no key here, as `name: value`, or `name: true`.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    reservation: str | None = None
    exclude: str | None = None
    licenses: str | None = None
    mail_user: str | None = None
    mail_type: str | None = None
    nice: int | None = None
    time: str = "04:00:00"
    mem_gb: int | None = 8
    mem_per_cpu_gb: int | None = None
    cpus_per_task: int = 4
    gpus_per_node: int = 1
    gpu_type: str | None = None
    gpu_request: str = "gpus-per-node"
    nodes: int = 1
    tasks_per_node: int | None = None
    sbatch: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in WORDS:
            check_word(self, name, WORD)
        check_word(self, "gpu_type", r"[A-Za-z][A-Za-z0-9_.-]*")
        for name, lowest in LEAST.items():
            check_least(self, name, lowest)
        if self.mem_gb and self.mem_per_cpu_gb:
            raise FieldError("mem_per_cpu_gb", "takes null beside mem_gb: memory is given once")
        if self.gpu_request not in GPU_REQUESTS:
            allowed = " or ".join(GPU_REQUESTS)
            raise FieldError("gpu_request", f"takes {allowed}, got {brief(self.gpu_request)}")
        if self.gpus_per_node and self.tasks_per_node not in (None, self.gpus_per_node):
            # Silently leaving GPUs idle would be worse than refusing them.
            raise FieldError(
                "tasks_per_node",
                f"takes {self.gpus_per_node}, one process for each of gpus_per_node: "
                f"{self.gpus_per_node} (or leave it out), got {self.tasks_per_node}",
            )
        if self.minutes < 1:
            raise FieldError("time", f"takes at least one minute, got {brief(self.time)}")
        _check_options(self)

    @property
    def minutes(self) -> int:
        """The time limit in whole minutes, from [D-]HH:MM:SS, HH:MM:SS or MM."""
        match = re.fullmatch(r"(?:(\d{1,3})-)?(\d{1,4}):([0-5]?\d):([0-5]?\d)", self.time)
        if match:
            days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
            return (days * 24 + hours) * 60 + minutes + (seconds > 0)
        if re.fullmatch(r"\d{1,6}", self.time):
            return int(self.time)
        raise FieldError("time", f"takes HH:MM:SS, D-HH:MM:SS or minutes, got {brief(self.time)}")

    @property
    def processes_per_node(self) -> int:
        return self.tasks_per_node or self.gpus_per_node or 1

    @property
    def processes(self) -> int:
        """The processes that train one run together."""
        return self.processes_per_node * self.nodes

    @property
    def gpus(self) -> int:
        return self.gpus_per_node * self.nodes

    def options(self) -> dict[str, str]:
        """Return what sbatch is told, {option: value}; '' stands for an option without a value."""
        keys = (*WORDS, "nice")
        told: dict[str, object] = {key.replace("_", "-"): getattr(self, key) for key in keys}
        told |= {
            "time": self.minutes,
            "nodes": self.nodes,
            "ntasks-per-node": self.processes_per_node,
            "cpus-per-task": self.cpus_per_task,
            "mem": self.mem_gb and f"{self.mem_gb}G",
            "mem-per-cpu": self.mem_per_cpu_gb and f"{self.mem_per_cpu_gb}G",
        }
        if self.gpus_per_node:
            count = f"{self.gpu_type}:{self.gpus_per_node}" if self.gpu_type else self.gpus_per_node
            told[self.gpu_request] = f"gpu:{count}" if self.gpu_request == "gres" else count
        told |= {name: "" if value is True else value for name, value in self.sbatch.items()}
        told = {name: value for name, value in told.items() if value is not None}
        return {name: str(value) for name, value in told.items() if value is not False}


def changed(resources: Made, values: Mapping[str, Any]) -> Made:
    """Return the resources with values set; what a value REPLACES goes, unless given beside it.

    Raises:
        FieldError: a value that is not allowed, or values that do not go together.
    """
    return dataclasses.replace(resources, **completed(values))


def completed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values together with null for each key that they replace."""
    gone = [key for given, keys in REPLACES.items() if values.get(given) is not None
            for key in keys]  # fmt: skip
    return {**dict.fromkeys(gone), **values}


def check_word(resources: object, name: str, pattern: str) -> None:
    value = getattr(resources, name)
    if value is not None and not re.fullmatch(pattern, value):
        raise FieldError(name, f"takes one word as Slurm names it, got {brief(value)}")


def check_least(resources: object, name: str, lowest: int) -> None:
    value = getattr(resources, name)
    if value is not None and value < lowest:
        raise FieldError(name, f"takes whole numbers of at least {lowest}, got {value}")


def _check_options(resources: Resources) -> None:
    """Refuse options that are told anyway, and what would end a line of the batch script."""
    for name, value in resources.sbatch.items():
        if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9-]{1,40}", name):
            raise FieldError("sbatch", f"takes sbatch's long options as keys, got {brief(name)}")
        if name in OWN_OPTIONS:
            key = OWN_OPTIONS[name]
            remedy = f"use the key {key!r}" if key else "it is set for every job already"
            raise FieldError("sbatch", f"takes no {name!r}: {remedy}")
        if name == "gres" and resources.gpu_request == "gres" and resources.gpus_per_node:
            raise FieldError("sbatch", "takes no 'gres' beside gpu_request: gres, which sets it")
        if value is not None and not isinstance(value, str | int | float):
            raise FieldError("sbatch", f"takes one value for {name!r}, got {brief(value)}")
        if isinstance(value, str) and (not value or not value.isprintable()):
            raise FieldError("sbatch", f"takes printable text for {name!r}, got {brief(value)}")
