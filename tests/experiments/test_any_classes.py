"""Data sets with another number of classes than ten train in every experiment on images."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hw5hpc.data.sets import DATA_SETS, ImageSet
from hw5hpc.engine.loop import Watch, train
from hw5hpc.experiments import EXPERIMENTS, rebuild
from hw5hpc.experiments.contract import Experiment, Weights
from hw5hpc.store import Outputs, State

CPU = torch.device("cpu")
SMALL = {"data.name": "noise", "train.epochs": 2, "train.batch_size": 8}


@pytest.fixture(params=[3, 13])
def classes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Grey noise in so many classes, under the name 'noise'."""
    count: int = request.param
    source = np.random.default_rng(0)
    pixels = source.integers(0, 256, (4 * count, 1, 28, 28)).astype(np.uint8)
    labels = np.arange(count).repeat(4)
    made = ((pixels, labels, pixels, labels), "noise")
    names = tuple(f"class {index}" for index in range(count))
    row = replace(DATA_SETS["synthetic"], classes=names, shape=(1, 28, 28))
    monkeypatch.setattr(ImageSet, "load_maker", lambda self: SimpleNamespace(make=lambda: made))
    monkeypatch.setitem(DATA_SETS, "noise", row)
    return count


def build(experiment: str) -> Experiment:
    config = rebuild(experiment, SMALL)
    weights: Weights = {
        role: build(needed).weights() for role, (needed, _) in config.prerequisites().items()
    }
    return EXPERIMENTS[experiment].load()(config, CPU, weights)


@pytest.mark.parametrize("experiment", ["classifier", "gan", "cnn"])
def test_networks_have_an_output_for_each_class(
    classes: int, experiment: str, tmp_path: Path
) -> None:
    training, run = build(experiment), Outputs(tmp_path).run(experiment)
    assert len(training.class_names) == classes
    run.create(experiment, {})
    assert train(training, run, CPU, Watch()).state is State.FINISHED
    outputs = training.weights()["layers.6.bias"] if experiment == "classifier" else None
    assert outputs is None or len(outputs) == classes
