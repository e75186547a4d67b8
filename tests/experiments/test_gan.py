"""The GAN and its classifier: accuracy on real data, what a run leaves, exact resuming."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hw5hpc.data.load import load
from hw5hpc.engine import unroll
from hw5hpc.engine.distributed import SOLO
from hw5hpc.engine.loop import Watch, train
from hw5hpc.engine.random import generator
from hw5hpc.experiments import rebuild
from hw5hpc.experiments.classifier.train import SHAPE, Classifier, as_bytes, flat
from hw5hpc.experiments.gan.config import OBJECTIVES
from hw5hpc.experiments.gan.score import score
from hw5hpc.experiments.gan.train import Gan
from hw5hpc.metrics.classes import spread
from hw5hpc.models.mlp import PIXELS, Mlp, classifier_widths
from hw5hpc.store import Outputs, RunFolder, State

CPU = torch.device("cpu")
SMALL = {
    "data.name": "synthetic",
    "data.limit": 128,
    "train.epochs": 3,
    "train.batch_size": 32,
    "score.samples": 200,
}


@pytest.mark.data
def test_the_classifier_is_right_often_enough_on_fashion_mnist(
    tmp_path: Path, fashion_mnist: Path
) -> None:
    gan = rebuild("gan", {})
    ((experiment, config),) = gan.prerequisites().values()
    run = Outputs(tmp_path).run("classifier")
    run.create(experiment, {})
    outcome = train(Classifier(config, CPU, {}), run, CPU, Watch())
    assert outcome.metrics["test_accuracy"] >= 0.86


def gan_of(**changes: Any) -> Gan:
    classifier = Classifier(rebuild("classifier", {"data.name": "synthetic"}), CPU, {})
    config = rebuild("gan", {**SMALL, **changes})
    return Gan(config, CPU, {"classifier": classifier.weights()})


def run_of(folder: Path) -> RunFolder:
    run = Outputs(folder).run("gan")
    run.create("gan", {})
    return run


def test_a_run_keeps_samples_at_three_stages_and_its_measures(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    outcome = train(gan_of(), run, CPU, Watch())
    assert outcome.state is State.FINISHED
    arrays = run.arrays()
    assert sorted(arrays["samples"]) == [1, 2, 3]
    assert arrays["samples"][3].shape == (64, 28, 28)
    assert arrays["samples"][3].dtype == np.uint8
    assert arrays["label_histogram"][3].sum() == 200
    assert {"classes_covered", "entropy", "total_variation", "kl_uniform"} <= outcome.metrics.keys()
    assert 0 <= outcome.metrics["classifier_accuracy"] <= 1


SPREAD = ("classes_covered", "entropy", "total_variation", "kl_uniform")
FIDELITY = (
    "frechet_distance", "precision", "recall", "density", "coverage", "diversity",
    "near_duplicates",
)  # fmt: skip


def test_every_measure_of_a_run_has_both_ends_of_its_scale(tmp_path: Path) -> None:
    measures = train(gan_of(), run_of(tmp_path), CPU, Watch()).metrics
    every = (*SPREAD, *FIDELITY)
    assert {f"{end}{name}" for end in ("", "real_", "noise_") for name in every} <= measures.keys()
    assert measures["real_frechet_distance"] < measures["noise_frechet_distance"]
    assert measures["real_coverage"] > measures["noise_coverage"] == 0


def test_real_images_and_noise_score_as_the_ends_when_a_generator_makes_them() -> None:
    data = load("synthetic", None, 300, SHAPE)
    classifier = Mlp(classifier_widths(), generator("cpu", 5))
    noise = torch.randint(256, (250, PIXELS), generator=generator("cpu", 6)).byte()
    for end, images in (("real_", data.train_images[:250]), ("noise_", noise)):
        found = score(classifier, data, flat(images), noise, SOLO).metrics
        assert {n: found[n] for n in FIDELITY} == {n: found[f"{end}{n}"] for n in FIDELITY}


def test_pixels_come_back_from_floats_unchanged() -> None:
    pixels = torch.arange(256).byte().view(1, 1, 16, 16)
    assert torch.equal(as_bytes(flat(pixels)), pixels.flatten(1))


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_a_handful_of_images_is_measured_too(limit: int) -> None:
    found = gan_of(**{"data.limit": limit}).finish().metrics
    assert all(np.isfinite(value) for value in found.values())


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_an_unrolled_run_resumes_bit_identically(tmp_path: Path, objective: str) -> None:
    changes = {"gan.unroll_steps": 2, "gan.objective": objective, "score.every_steps": 3}
    straight, stopped = run_of(tmp_path / "a"), run_of(tmp_path / "b")
    train(gan_of(**changes), straight, CPU, Watch())
    looks = iter([False] * 6 + [True])
    first = train(gan_of(**changes), stopped, CPU, Watch(stop=lambda: next(looks)))
    assert first.state is State.INTERRUPTED
    train(gan_of(**changes), stopped, CPU, Watch())
    assert [row["step"] for row in straight.metrics()] == [3, 4, 6, 8, 9, 12]
    assert straight.metrics_path.read_bytes() == stopped.metrics_path.read_bytes()
    for epoch, grid in straight.arrays()["samples"].items():
        assert np.array_equal(grid, stopped.arrays()["samples"][epoch])


def test_the_config_names_the_objectives_of_the_step() -> None:
    assert set(OBJECTIVES) == set(unroll.OBJECTIVES)


@pytest.mark.parametrize(("every", "steps"), [(0, []), (400, [400, 800]), (100, 10)])
def test_the_first_thousand_steps_are_looked_at_often(every: int, steps: Any) -> None:
    looks = list(gan_of(**{"score.every_steps": every}).looks)
    assert looks == (list(range(100, 1001, 100)) if steps == 10 else steps)


def test_spread_of_uniform_and_of_one_class() -> None:
    even = spread(torch.arange(1000) % 10, 10)
    assert (even.covered, even.total_variation) == (10, pytest.approx(0.0))
    assert even.entropy == pytest.approx(np.log(10))
    one = spread(torch.zeros(1000, dtype=torch.int64), 10)
    assert (one.covered, one.total_variation) == (1, pytest.approx(0.9))
    assert one.kl_uniform == pytest.approx(np.log(10))


@pytest.mark.parametrize(("count", "covered"), [(9, 1), (10, 2)])
def test_a_tenth_of_the_uniform_share_covers_a_class(count: int, covered: int) -> None:
    labels = torch.zeros(1000, dtype=torch.int64)
    labels[:count] = 4
    assert spread(labels, 10).covered == covered


def test_no_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="no labels"):
        spread(torch.zeros(0, dtype=torch.int64), 10)
