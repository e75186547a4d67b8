"""Every row of the table of experiments keeps the contract; an addition is tested by itself."""

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from hw5hpc.engine.loop import Watch, train
from hw5hpc.experiments import EXPERIMENTS, rebuild
from hw5hpc.experiments.config import ExperimentConfig
from hw5hpc.experiments.contract import Experiment, Weights
from hw5hpc.report.columns import COLUMNS
from hw5hpc.store import Outputs, State
from hw5hpc.sweep.point import flatten, run_id

CPU = torch.device("cpu")
# Of these an experiment takes what its config has.
SMALL = {
    "data.name": "synthetic", "data.limit": 64, "train.epochs": 2, "train.batch_size": 16,
    "ring.steps_per_epoch": 3, "ring.samples": 50, "score.samples": 40,
}  # fmt: skip


def small(name: str) -> ExperimentConfig:
    known = flatten(EXPERIMENTS[name].config())
    return rebuild(name, {key: value for key, value in SMALL.items() if key in known})


def build(name: str) -> Experiment:
    config = small(name)
    weights: Weights = {
        role: build(needed).weights() for role, (needed, _) in config.prerequisites().items()
    }
    return EXPERIMENTS[name].load()(config, CPU, weights)


@pytest.fixture(scope="module", params=EXPERIMENTS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_its_config_is_frozen_and_names_its_length_and_its_data(name: str) -> None:
    config = small(name)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.seed = 1  # type: ignore[misc]
    assert config.epochs == flatten(config).get("train.epochs", 1)
    assert config.checkpoint_minutes > 0
    assert (config.images is not None) == ("data.name" in flatten(config))
    assert run_id(name, dataclasses.replace(config, seed=1)) != run_id(name, config)


def test_it_trains_to_the_end_and_has_its_headline(name: str, tmp_path: Path) -> None:
    training, run = build(name), Outputs(tmp_path).run(name)
    assert isinstance(training.class_names, tuple)
    assert training.data_source
    run.create(name, flatten(small(name)))
    outcome = train(training, run, CPU, Watch())
    assert outcome.state is State.FINISHED
    assert EXPERIMENTS[name].headline in outcome.metrics
    ends = ("real_", "noise_")
    measured = {name for name in outcome.metrics if not name.startswith(ends)}
    assert measured - {"epoch", "step"} <= COLUMNS.keys()


def leaves(tree: Any) -> list[Any]:
    if isinstance(tree, dict | list | tuple):
        parts = tree.values() if isinstance(tree, dict) else tree
        return [leaf for part in parts for leaf in leaves(part)]
    return [tree]


def test_its_state_decides_the_next_step(name: str) -> None:
    one, other = build(name), build(name)
    for index in range(2):
        one.step(1, min(index, one.steps_per_epoch - 1))
    # Loading may share tensors with what was loaded; a checkpoint file never does.
    other.load_state(copy.deepcopy(one.state()))
    for training in (one, other):
        training.step(2, 0)
    for mine, theirs in zip(leaves(one.state()), leaves(other.state()), strict=True):
        same = torch.equal(mine, theirs) if isinstance(mine, torch.Tensor) else mine == theirs
        assert same
