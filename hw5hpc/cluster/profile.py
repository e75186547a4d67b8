"""A cluster's resources: slurm/NAME.yaml with a sweep's `cluster:` block over it, validated."""

import dataclasses
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from hw5hpc.errors import FieldError, UserError, brief, nearest, unknown
from hw5hpc.sweep.grammar import SweepError, read_yaml
from hw5hpc.sweep.schema import fitting, shown_kind

FOLDER = Path(__file__).resolve().parents[2] / "slurm"
# YAML 1.1 reads 1:00:00 as this number; as minutes it would be 60 hours.
SEXAGESIMAL_HOUR = 3600
# `auto` is a GPU wherever one is asked for, and what torch finds elsewhere.
DEVICES = ("auto", "cpu", "cuda")
WORD = r"[A-Za-z0-9_.,:&|*()\[\]@+-]+"


class ProfileError(UserError):
    """A profile or `cluster:` block that cannot be used."""


@dataclass(frozen=True)
class Profile:
    """What one array task asks Slurm for; times are hours:minutes:seconds, memory in GiB.

    Each GPU gets one process; without GPUs, `tasks_per_node` says how many there are.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    time: str = "01:00:00"
    mem_gb: int = 8
    cpus_per_task: int = 4
    gpus_per_node: int = 1
    nodes: int = 1
    tasks_per_node: int | None = None
    pack: str = "auto"
    max_parallel: int = 64
    signal_seconds: int = 90
    max_crashes: int = 2
    max_stops: int | None = None
    device: str = "auto"
    setup: list[str] = dataclasses.field(default_factory=list)
    slurm_conf: str | None = None
    wandb: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("partition", "account", "qos", "constraint"):
            _check_word(self, name)
        for name in ("mem_gb", "cpus_per_task", "nodes", "tasks_per_node", "max_parallel"):
            _check_least(self, name, 1)
        _check_least(self, "gpus_per_node", 0)
        _check_least(self, "max_crashes", 0)
        _check_least(self, "max_stops", 0)
        if self.gpus_per_node and self.tasks_per_node not in (None, self.gpus_per_node):
            # Silently leaving GPUs idle would be worse than refusing them.
            raise FieldError(
                "tasks_per_node",
                f"takes {self.gpus_per_node}, one process for each of gpus_per_node: "
                f"{self.gpus_per_node} (or leave it out), got {self.tasks_per_node}",
            )
        _check_least(self, "signal_seconds", 1)
        if self.pack != "auto" and not re.fullmatch(r"[1-9][0-9]{0,5}", self.pack):
            raise FieldError("pack", f"takes auto or a whole number from 1, got {brief(self.pack)}")
        if self.minutes < 1:
            raise FieldError("time", f"takes at least one minute, got {brief(self.time)}")
        if self.device not in DEVICES:
            raise FieldError("device", f"takes {', '.join(DEVICES)}, got {brief(self.device)}")
        for line in self.setup:
            if re.search(r"[\n\r\0]|^\s*#SBATCH", line):
                raise FieldError("setup", f"takes one shell command a line, got {brief(line)}")

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
    def warning_seconds(self) -> int:
        """How long before the time limit to warn: a short job must get to train before that."""
        return min(self.signal_seconds, 60 * self.minutes // 3)

    @property
    def trains_on(self) -> str:
        """What a job's runs need: 'cuda' fails without a GPU, 'cpu' uses none, 'auto' either."""
        return "cuda" if self.device == "auto" and self.gpus_per_node else self.device

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


def _check_word(profile: Profile, name: str) -> None:
    value = getattr(profile, name)
    if value is not None and not re.fullmatch(WORD, value):
        raise FieldError(name, f"takes one word as Slurm names it, got {brief(value)}")


def _check_least(profile: Profile, name: str, lowest: int) -> None:
    value = getattr(profile, name)
    if value is not None and value < lowest:
        raise FieldError(name, f"takes whole numbers of at least {lowest}, got {value}")


def default_name() -> str:
    return os.environ.get("HW5HPC_CLUSTER", "default")


def load(name: str, block: Mapping[str, Any], sweep_path: Path, folder: Path = FOLDER) -> Profile:
    """Return the profile `name` with a sweep's cluster block over it.

    Raises:
        ProfileError: no such profile, an unknown key, a wrong type, or a value out of range.
    """
    path = folder / f"{name}.yaml"
    known = [file.stem for file in folder.glob("*.yaml")]
    if name not in known:
        raise ProfileError(f"--cluster: {unknown('profile', name, known)} They stand in {folder}")
    try:
        base = read_yaml(path)
    except SweepError as error:
        raise ProfileError(str(error)) from error
    merged = _merge(OmegaConf.structured(Profile), base, str(path))
    merged = _merge(merged, block, f"{sweep_path}: cluster")
    try:
        profile = OmegaConf.to_object(merged)
    except FieldError as error:
        where = f"{sweep_path}: cluster" if error.field in block else str(path)
        raise ProfileError(f"{where}: key {error.field!r} {error.problem}") from error
    except (OmegaConfBaseException, RecursionError) as error:
        raise ProfileError(f"{path}: {' '.join(str(error).split())[:300]}") from error
    assert isinstance(profile, Profile)
    return profile


def _merge(config: Any, values: Mapping[str, Any], where: str) -> Any:
    allowed = [field.name for field in dataclasses.fields(Profile)]
    for key, value in values.items():
        if key not in allowed:
            hint = nearest(key, allowed)
            raise ProfileError(
                f"{where}: unknown key {brief(key)}; allowed: {', '.join(allowed)}.{hint}"
            )
        if key == "time" and isinstance(value, int) and value >= SEXAGESIMAL_HOUR:
            raise ProfileError(
                f"{where}: key 'time' takes HH:MM:SS in quotes or D-HH:MM:SS, got {value}: "
                "YAML makes such a number of H:MM:SS without quotes"
            )
        kind = next(field.type for field in dataclasses.fields(Profile) if field.name == key)
        try:
            config = OmegaConf.merge(config, {key: fitting(value, kind)})
        except (OmegaConfBaseException, RecursionError) as error:
            shown = f"{shown_kind(kind)}, got {brief(value)}"
            raise ProfileError(f"{where}: key {key!r} takes {shown}") from error
        except ValueError as error:
            raise ProfileError(f"{where}: key {key!r} {error}") from error
    return config
