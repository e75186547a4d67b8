"""What is trained: the table of experiments, torch-free until one is built."""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hw5hpc.errors import UserError, unknown
from hw5hpc.experiments import own
from hw5hpc.experiments.classifier.config import ClassifierConfig
from hw5hpc.experiments.cnn.config import CnnConfig
from hw5hpc.experiments.config import ExperimentConfig
from hw5hpc.experiments.gan.config import GanConfig
from hw5hpc.experiments.ring.config import RingConfig
from hw5hpc.experiments.softmax.config import SoftmaxConfig
from hw5hpc.store import metric_names
from hw5hpc.sweep.grammar import read
from hw5hpc.sweep.load import Sweep, load, own_file
from hw5hpc.sweep.schema import Schema

if TYPE_CHECKING:
    from hw5hpc.experiments.contract import ExperimentClass


@dataclass(frozen=True)
class Entry:
    """An experiment: its config dataclass, where its training code is, its headline metric."""

    config: type[ExperimentConfig]
    code: str
    headline: str
    runs_per_task: int = 1

    def load(self) -> "ExperimentClass":
        """Import and return the class that trains it (only now is torch imported)."""
        module, _, name = self.code.partition(":")
        made: ExperimentClass = getattr(importlib.import_module(module), name)
        return made


EXPERIMENTS: dict[str, Entry] = {
    "classifier": Entry(
        ClassifierConfig, "hw5hpc.experiments.classifier.train:Classifier", "test_accuracy"
    ),
    "cnn": Entry(CnnConfig, "hw5hpc.experiments.cnn.train:CnnTraining", "test_accuracy"),
    "ring": Entry(RingConfig, "hw5hpc.experiments.ring.train:Ring", "modes_covered"),
    "softmax": Entry(
        SoftmaxConfig, "hw5hpc.experiments.softmax.train:SoftmaxShift", "naive_error", 17
    ),
    "gan": Entry(GanConfig, "hw5hpc.experiments.gan.train:Gan", "classes_covered"),
}

SCHEMAS: dict[str, type] = {name: entry.config for name, entry in EXPERIMENTS.items()}


def find(name: str, file: Path | None = None) -> Entry:
    """Return an experiment of the table, or the user's own in `file`, whose name it bears.

    Raises:
        UserError: there is none of this name, or the file is no experiment.
    """
    if file is None or name in EXPERIMENTS:
        if name not in EXPERIMENTS:
            raise UserError(unknown("experiment", name, EXPERIMENTS))
        return EXPERIMENTS[name]
    module = own.module_of(file)
    config, names = own.check(module, file)
    code = f"{module.__name__}:{own.TRAINING}"
    return Entry(config, code, names[own.HEADLINE] or "", names[own.RUNS_PER_TASK] or 1)


def headline_of(sweep: Mapping[str, Any]) -> str:
    """Return the headline metric of a recorded sweep; earlier versions did not record it."""
    entry = EXPERIMENTS.get(str(sweep.get("experiment")))
    named = str(sweep.get("headline") or (entry.headline if entry else ""))
    return metric_names.NOW.get(named, named)


def schemas(file: Path | None = None) -> dict[str, type]:
    """Return {experiment: its config class}, with the user's own in `file`.

    Raises:
        UserError: the file is no experiment.
    """
    return SCHEMAS if file is None else {**SCHEMAS, file.name: find(file.name, file).config}


# A schema keeps what it checked, and of a thousand recorded runs few differ in more than a seed.
_KEPT: dict[type, Schema] = {}


def _schema(experiment: str, config: type) -> Schema:
    if config not in _KEPT:
        _KEPT[config] = Schema(experiment, config)
    return _KEPT[config]


def rebuild(
    experiment: str, values: Mapping[str, Any], file: Path | None = None
) -> ExperimentConfig:
    """Return the config dataclass from {dotted key: value}, every value checked again.

    Raises:
        ValueError: an unknown key, a wrong type, or a value out of range.
        UserError: there is no such experiment.
    """
    schema = _schema(experiment, find(experiment, file).config)
    config: ExperimentConfig = schema.build(
        {key: schema.check(key, value) for key, value in values.items()}
    )
    return config


def read_sweep(
    path: Path,
    overrides: Sequence[str] = (),
    debug: bool = False,
    seed_count: int | None = None,
    name: str | None = None,
) -> Sweep:
    """Load a sweep of an experiment of the table, or of the user's own (see sweep.load).

    Raises:
        UserError: one line with the file, the key, what is wrong and what is allowed.
    """
    return load(path, schemas(own_file(read(path))), overrides, debug, seed_count, name)
