"""The CNN study on made-up textures: what it keeps, odd sizes, exact resumption, divergence."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hw5hpc.engine.loop import Outcome, Watch, train
from hw5hpc.errors import FieldError
from hw5hpc.experiments import EXPERIMENTS, rebuild
from hw5hpc.experiments.cnn.config import CnnConfig, ModelConfig
from hw5hpc.experiments.cnn.train import CnnTraining, examples
from hw5hpc.store import Outputs, RunFolder, State

CPU = torch.device("cpu")
METRICS = {"train_loss", "train_accuracy", "test_loss", "test_accuracy"}
TINY = {
    "data.name": "synthetic",
    "data.limit": 24,
    "train.epochs": 1,
    "train.batch_size": 8,
}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """It is quickest for batches this small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def training(**changes: Any) -> CnnTraining:
    keys = {key.replace("__", "."): value for key, value in changes.items()}
    made: CnnTraining = EXPERIMENTS["cnn"].load()(rebuild("cnn", {**TINY, **keys}), CPU, {})
    return made


def folder(path: Path) -> RunFolder:
    run = Outputs(path).run("cnn")
    run.create("cnn", {})
    return run


def run_to_end(path: Path, **changes: Any) -> tuple[Outcome, RunFolder]:
    run = folder(path)
    return train(training(**changes), run, CPU, Watch()), run


@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_run_keeps_its_metrics_and_arrays(tmp_path: Path, batch_norm: bool) -> None:
    outcome, run = run_to_end(tmp_path, train__epochs=2, model__batch_norm=batch_norm)
    assert outcome.state is State.FINISHED
    rows = run.metrics()
    assert all(set(row) >= METRICS for row in rows)
    assert all(0 <= row["train_accuracy"] <= 1 and 0 <= row["test_accuracy"] <= 1 for row in rows)
    arrays = run.arrays()
    assert sorted(arrays["filters"]) == [0, 2]
    assert arrays["filters"][2].shape == (64, 3, 11, 11)
    assert arrays["filters"][2].dtype == np.float32
    assert not np.array_equal(arrays["filters"][0], arrays["filters"][2])
    assert arrays["examples"][0].shape == (10, 8, 3, 32, 32)
    confusion = arrays["confusion"][2]
    assert confusion.shape == (10, 10)
    assert confusion.sum() == 24
    assert np.trace(confusion) / 24 == pytest.approx(rows[-1]["test_accuracy"])


def test_train_accuracy_is_the_share_over_all_batches(tmp_path: Path) -> None:
    # 20 images in batches of 8 leave a smaller last batch, which must count for less.
    _, run = run_to_end(tmp_path, data__limit=20)
    right = 20 * run.metrics()[0]["train_accuracy"]
    assert right == pytest.approx(round(right), abs=1e-9)


def test_a_class_may_be_missing_from_a_limited_set(tmp_path: Path) -> None:
    outcome, run = run_to_end(tmp_path, data__limit=3)
    assert outcome.state is State.FINISHED
    assert run.arrays()["confusion"][1].sum() == 3
    shown = run.arrays()["examples"][0]
    assert sum(bool(image.any()) for row in shown for image in row) == 3


def test_examples_of_a_missing_class_are_black() -> None:
    images = torch.full((3, 1, 2, 2), 7, dtype=torch.uint8)
    shown = examples(images, torch.tensor([0, 2, 2]), 3, count=2)
    assert shown[:, :, 0, 0, 0].tolist() == [[7, 0], [0, 0], [7, 7]]


def test_a_batch_larger_than_the_data_is_one_batch(tmp_path: Path) -> None:
    one = training(train__batch_size=1000)
    assert one.steps_per_epoch == 1
    outcome, run = run_to_end(tmp_path, train__batch_size=1000)
    assert outcome.state is State.FINISHED
    assert run.metrics()[0]["step"] == 1


def test_one_image_a_batch_works_with_batch_norm(tmp_path: Path) -> None:
    outcome, _ = run_to_end(tmp_path, data__limit=3, train__batch_size=2, model__batch_norm=True)
    assert outcome.state is State.FINISHED


class StopAfter:
    """Ask for a stop after this many looks."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def __call__(self) -> bool:
        self.looks -= 1
        return self.looks < 0


def test_a_stopped_run_ends_bit_identical(tmp_path: Path) -> None:
    keys = {"train__epochs": 2, "model__batch_norm": True}
    straight, run = training(**keys), folder(tmp_path / "straight")
    train(straight, run, CPU, Watch())
    other = folder(tmp_path / "stopped")
    # Stops within the first epoch, at its end, and within the second.
    for looks in (2, 1, 1):
        stopped = train(training(**keys), other, CPU, Watch(stop=StopAfter(looks)))
        assert stopped.state is State.INTERRUPTED
    resumed = training(**keys)
    assert train(resumed, other, CPU, Watch()).state is State.FINISHED
    for name, tensor in straight.weights().items():
        assert torch.equal(tensor, resumed.weights()[name]), name
    assert other.metrics_path.read_bytes() == run.metrics_path.read_bytes()
    assert np.array_equal(other.arrays()["confusion"][2], run.arrays()["confusion"][2])


def test_a_huge_learning_rate_diverges(tmp_path: Path) -> None:
    outcome, _ = run_to_end(tmp_path, optim__lr=1e10)
    assert outcome.state is State.DIVERGED
    assert "epoch 1" in outcome.reason


def test_testing_uses_the_running_statistics_and_leaves_them_alone() -> None:
    one = training(model__batch_norm=True)
    one.step(1, 0)
    before = {name: tensor.clone() for name, tensor in one.weights().items()}
    first, second = one.evaluate(1).metrics, one.evaluate(1).metrics
    assert first == second
    assert all(torch.equal(before[name], tensor) for name, tensor in one.weights().items())


def test_bf16_trains(tmp_path: Path) -> None:
    outcome, _ = run_to_end(tmp_path, train__precision="bf16")
    assert outcome.state is State.FINISHED


def test_defaults_are_the_original_study() -> None:
    config = CnnConfig()
    assert (config.data.name, config.train.epochs, config.train.batch_size) == ("cifar10", 10, 32)
    assert (config.optim.lr, config.model.batch_norm) == (1e-3, False)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("batch_norm_momentum", 0.0),
        ("batch_norm_momentum", 1.5),
        ("batch_norm_eps", 0.0),
        ("batch_norm_placement", "before"),
    ],
)
def test_a_bad_batch_norm_setting_is_refused(key: str, value: float | str) -> None:
    with pytest.raises(FieldError, match="takes"):
        ModelConfig(**{key: value})  # type: ignore[arg-type]


def test_the_placement_reaches_the_network() -> None:
    kinds = [
        type(layer).__name__
        for layer in training(
            model__batch_norm=True, model__batch_norm_placement="after_relu"
        )._net.features
    ]
    assert kinds[:3] == ["Conv2d", "ReLU", "BatchNorm2d"]


def test_the_source_says_that_the_images_are_made_up() -> None:
    one = training()
    assert "synthetic" in one.data_source
    assert len(one.class_names) == 10
