"""A cluster's profile: the command line over slurm/NAME.yaml over a sweep's `cluster:` block."""

import dataclasses
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from hw5hpc.cluster.resources import Resources, changed, check_least, completed
from hw5hpc.errors import FieldError, UserError, brief, nearest, unknown
from hw5hpc.sweep.grammar import SweepError, read_yaml
from hw5hpc.sweep.schema import fitting, shown_kind

FOLDER = Path(__file__).resolve().parents[2] / "slurm"
# YAML 1.1 reads 1:00:00 as this number; as minutes it would be 60 hours.
SEXAGESIMAL_HOUR = 3600
# `auto` is a GPU wherever one is asked for, and what torch finds elsewhere.
DEVICES = ("auto", "cpu", "cuda")
# The report is made by one process and its copies, which need no GPU.
REPORT = {"gpus_per_node": 0, "nodes": 1, "tasks_per_node": 1}
PARTS = ("report", "prerequisites")


class ProfileError(UserError):
    """A profile or `cluster:` block that cannot be used."""


@dataclass(frozen=True)
class Layer:
    """Values of one source: its name in a plan, and where an error says they stand."""

    name: str
    where: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Profile(Resources):
    """What one array task asks Slurm for, and how tasks are sent.

    `report` and `prerequisites` hold what those jobs ask for instead. `layers` are the sources of
    the values, the last one with a key has its word; they are no key.
    """

    pack: str = "auto"
    abreast: str = "auto"
    max_parallel: int = 64
    signal_seconds: int = 90
    max_crashes: int = 2
    max_stops: int | None = None
    device: str = "auto"
    setup: list[str] = dataclasses.field(default_factory=list)
    slurm_conf: str | None = None
    ask_seconds: int = 15
    out: str | None = None
    wandb: dict[str, Any] = dataclasses.field(default_factory=dict)
    report: dict[str, Any] = dataclasses.field(default_factory=dict)
    prerequisites: dict[str, Any] = dataclasses.field(default_factory=dict)
    layers: Any = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, "max_parallel", 1)
        check_least(self, "ask_seconds", 1)
        check_least(self, "max_crashes", 0)
        check_least(self, "max_stops", 0)
        check_least(self, "signal_seconds", 1)
        for key in ("pack", "abreast"):
            value = getattr(self, key)
            if value != "auto" and not re.fullmatch(r"[1-9][0-9]{0,5}", value):
                raise FieldError(key, f"takes auto or a whole number from 1, got {brief(value)}")
        if self.processes > 1 and self.abreast not in ("auto", "1"):
            raise FieldError(
                "abreast",
                f"takes 1 where {self.processes} processes train one run together, got "
                f"{self.abreast}",
            )
        if self.device not in DEVICES:
            raise FieldError("device", f"takes {', '.join(DEVICES)}, got {brief(self.device)}")
        for line in self.setup:
            if re.search(r"[\n\r\0]|^\s*#SBATCH", line):
                raise FieldError("setup", f"takes one shell command a line, got {brief(line)}")

    @property
    def name(self) -> str:
        """What --cluster knows it by: its name or its file, '' where it is of no file."""
        files = [Path(layer.name) for layer in self.layers[1:2]]
        return next(
            (file.stem if file.parent == Path(FOLDER.name) else str(file) for file in files), ""
        )

    @property
    def warning_seconds(self) -> int:
        """How long before the time limit to warn: a short job must get to train before that."""
        return min(self.signal_seconds, 60 * self.minutes // 3)

    @property
    def trains_on(self) -> str:
        """What a job's runs need: 'cuda' fails without a GPU, 'cpu' uses none, 'auto' either."""
        return "cuda" if self.device == "auto" and self.gpus else self.device

    @property
    def at_a_time(self) -> int | None:
        """How many of its runs a task trains at a time; None: as many as it carries."""
        if self.processes > 1:
            return 1
        return None if self.abreast == "auto" else int(self.abreast)

    def for_report(self) -> "Profile":
        """Return what the report job asks for."""
        made = changed(self, {**REPORT, **completed(self.report)})
        if made.processes > 1:
            raise FieldError("gpus_per_node", "takes 0 or 1: one process makes the report")
        return made

    def for_prerequisites(self) -> "Profile":
        """Return what the runs ask for that others need."""
        return changed(self, self.prerequisites)


KEYS = {field.name: field.type for field in dataclasses.fields(Profile) if field.name != "layers"}
RESOURCES = {field.name: field.type for field in dataclasses.fields(Resources)}


def default_name() -> str:
    return os.environ.get("HW5HPC_CLUSTER", "default")


def is_file(word: str) -> bool:
    """Whether a word is a profile's file, not its name: a checkout may be read-only."""
    return "/" in word or word.endswith(".yaml")


def exists(name: str) -> bool:
    return Path(name).is_file() if is_file(name) else name in names()


def names(folder: Path = FOLDER) -> list[str]:
    """Return the profiles that there are."""
    return sorted(file.stem for file in folder.glob("*.yaml"))


def load(
    name: str,
    block: Mapping[str, Any],
    sweep_path: Path,
    folder: Path = FOLDER,
    words: Mapping[str, Any] | None = None,
) -> Profile:
    """Return the profile `name` (or in that file) over a sweep's block, and `words` over both.

    The profile is the cluster's word, the block what a run needs, `words` the command line's.

    Raises:
        ProfileError: no such profile, an unknown key, a wrong type, or a value out of range.
    """
    path = _path(name, folder)
    try:
        base = read_yaml(path)
    except SweepError as error:
        raise ProfileError(str(error)) from error
    words = words or {}
    needs = {key: value for key, value in block.items() if key not in words}
    sources = (
        Layer(sweep_path.name, f"{sweep_path}: cluster", needs),
        Layer(str(path if is_file(name) else f"{FOLDER.name}/{path.name}"), str(path), base),
        Layer("command line", "command line: cluster", words),
    )
    layers = tuple(_settled(layer) for layer in sources)
    merged = OmegaConf.structured(Profile)
    for layer in layers:
        merged = _merge(merged, completed(layer.values), layer.where, KEYS)
    profile = _object(merged, layers)
    assert isinstance(profile, Profile)
    _check_parts(profile, layers)
    return dataclasses.replace(profile, layers=layers)


def _path(name: str, folder: Path) -> Path:
    if is_file(name):
        path = Path(name).expanduser().absolute()
        if not path.is_file():
            raise ProfileError(f"--cluster: {path}: no such file")
        return path
    known = names(folder)
    if name not in known:
        raise ProfileError(f"--cluster: {unknown('profile', name, known)} They stand in {folder}")
    return folder / f"{name}.yaml"


def _settled(layer: Layer) -> Layer:
    """Return a layer with typed GPUs taken apart, in its parts too, and the parts checked."""
    values = _typed_gpus(layer.values, layer.where)
    for part in PARTS:
        inner = values.get(part)
        if isinstance(inner, Mapping):
            where = f"{layer.where}: {part}"
            given = _typed_gpus(inner, where)
            merged = _merge(OmegaConf.structured(Resources), completed(given), where, RESOURCES)
            made = _object(merged, (Layer("", where, given),))
            values[part] = {key: getattr(made, key) for key in given}
    return dataclasses.replace(layer, values=values)


def _typed_gpus(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return values with GPUs such as a100:2 as their type and their number."""
    made = dict(values)
    for key in ("gpus_per_node", "gpu_type"):
        match = re.fullmatch(r"([A-Za-z][\w.-]*):(\d{1,4})", str(made.get(key)), re.ASCII)
        if match:
            found = {"gpu_type": match[1], "gpus_per_node": int(match[2])}
            for other, value in found.items():
                if other != key and made.get(other) not in (None, value):
                    given = brief(made[other])
                    raise ProfileError(f"{where}: key {other!r} takes {value} beside "
                                       f"{key}: {match[0]}, got {given}")  # fmt: skip
            made |= found
    return made


def _object(merged: Any, layers: tuple[Layer, ...]) -> Any:
    """Return the dataclass with its checks made; an error names the source that had its word."""
    try:
        return OmegaConf.to_object(merged)
    except FieldError as error:
        where = _source(layers, error.field)
        raise ProfileError(f"{where}: key {error.field!r} {error.problem}") from error
    except (OmegaConfBaseException, RecursionError) as error:
        shown = " ".join(str(error).split())[:300]
        raise ProfileError(f"{_source(layers, '')}: {shown}") from error


def _source(layers: tuple[Layer, ...], key: str) -> str:
    """Return where a key stands that has its word; the profile's own file, where it is nowhere."""
    named = [layer.where for layer in layers if key in layer.values]
    return named[-1] if named else layers[len(layers) // 2].where


def _check_parts(profile: Profile, layers: tuple[Layer, ...]) -> None:
    makers = {"report": profile.for_report, "prerequisites": profile.for_prerequisites}
    for part, make in makers.items():
        try:
            make()
        except FieldError as error:
            where = f"{_source(layers, part)}: {part}"
            raise ProfileError(f"{where}: key {error.field!r} {error.problem}") from error


def _merge(config: Any, values: Mapping[str, Any], where: str, kinds: Mapping[str, Any]) -> Any:
    for key, value in values.items():
        if key not in kinds:
            hint = nearest(key, kinds)
            raise ProfileError(
                f"{where}: unknown key {brief(key)}; allowed: {', '.join(kinds)}.{hint}"
            )
        if key == "time" and isinstance(value, int) and value >= SEXAGESIMAL_HOUR:
            raise ProfileError(
                f"{where}: key 'time' takes HH:MM:SS in quotes or D-HH:MM:SS, got {value}: "
                "YAML makes such a number of H:MM:SS without quotes"
            )
        kind = kinds[key]
        try:
            config = OmegaConf.merge(config, {key: fitting(value, kind)})
        except (OmegaConfBaseException, RecursionError) as error:
            shown = f"{shown_kind(kind)}, got {brief(value)}"
            raise ProfileError(f"{where}: key {key!r} takes {shown}") from error
        except ValueError as error:
            raise ProfileError(f"{where}: key {key!r} {error}") from error
    return config
