"""The ring: its samples, its measures, and a run that resumes exactly on the GAN's own step."""

import itertools
import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from hw5hpc.data.ring import centres, sample
from hw5hpc.engine.loop import Watch, train
from hw5hpc.engine.random import generator
from hw5hpc.engine.unroll import gan_step
from hw5hpc.experiments import adversarial, rebuild
from hw5hpc.experiments.ring.train import Ring
from hw5hpc.metrics.ring import coverage
from hw5hpc.store import Outputs, RunFolder, State

CPU = torch.device("cpu")
SHORT = {"train.epochs": 3, "train.batch_size": 32, "ring.steps_per_epoch": 4}


def test_samples_lie_around_the_ring() -> None:
    around = centres(8, 1.0)
    assert torch.allclose(around.norm(dim=1), torch.ones(8))
    points = sample(4000, around, 0.02, generator("cpu", 0))
    measured = coverage(points, around, 0.02)
    assert measured.modes_covered == 8
    # In two dimensions 1 - exp(-9/2) of a Gaussian lies within 3 standard deviations.
    assert measured.high_quality_share == pytest.approx(1 - math.exp(-4.5), abs=0.01)
    assert measured.kl_modes < 0.01


def test_one_spot_covers_one_mode_and_noise_none() -> None:
    around = centres(8, 1.0)
    spot = coverage(around[:1].repeat(2500, 1), around, 0.02)
    assert (spot.modes_covered, spot.high_quality_share) == (1, 1.0)
    assert spot.kl_modes == pytest.approx(math.log(8))
    nowhere = coverage(torch.zeros(2500, 2), around, 0.02)
    assert (nowhere.modes_covered, nowhere.high_quality_share) == (0, 0.0)
    assert nowhere.kl_modes == pytest.approx(math.log(8))


@pytest.mark.parametrize(("count", "covered"), [(19, 0), (20, 1)])
def test_twenty_of_2500_cover_a_mode(count: int, covered: int) -> None:
    points = torch.zeros(2500, 2)
    points[:count] = centres(8, 1.0)[3]
    assert coverage(points, centres(8, 1.0), 0.02).modes_covered == covered


def run_to_the_end(folder: Path, stops: list[int]) -> RunFolder:
    run = Outputs(folder).run("ring")
    run.create("ring", {})
    states = []
    for looks in [*stops, 10**9]:
        steps = itertools.repeat(False, looks)
        ring = Ring(rebuild("ring", {**SHORT, "gan.unroll_steps": 2}), CPU, {})
        watch = Watch(stop=partial(next, steps, True))
        states.append(train(ring, run, CPU, watch).state)
    # A stop that did not happen would make the comparison below an empty one.
    assert states == [State.INTERRUPTED] * len(stops) + [State.FINISHED]
    return run


def test_a_stopped_ring_ends_bit_identical(tmp_path: Path) -> None:
    straight = run_to_the_end(tmp_path / "a", [])
    stopped = run_to_the_end(tmp_path / "b", [1, 6])
    assert straight.metrics_path.read_bytes() == stopped.metrics_path.read_bytes()
    for epoch, array in straight.arrays()["samples"].items():
        assert (array == stopped.arrays()["samples"][epoch]).all()


def test_every_step_is_the_gan_experiments_own(monkeypatch: pytest.MonkeyPatch) -> None:
    depths: list[int] = []

    def counted(*args: Any, **kwargs: Any) -> Any:
        depths.append(args[4].unroll_steps)
        return gan_step(*args, **kwargs)

    monkeypatch.setattr(adversarial, "gan_step", counted)
    ring = Ring(rebuild("ring", {**SHORT, "gan.unroll_steps": 3}), CPU, {})
    losses, weight = ring.step(1, 0)
    assert depths == [3]
    assert (set(losses), weight) == ({"discriminator_loss", "generator_loss"}, 32)


KEPT = [(1, {1}), (3, {1, 2, 3}), (25, {1, 6, 11, 15, 20, 25})]


@pytest.mark.parametrize(("epochs", "kept"), KEPT)
def test_samples_are_kept_at_about_six_epochs(epochs: int, kept: set[int]) -> None:
    config = rebuild("ring", {**SHORT, "train.epochs": epochs, "ring.samples": 10})
    ring = Ring(config, CPU, {})
    found = {epoch for epoch in range(1, epochs + 1) if "samples" in ring.evaluate(epoch).arrays}
    assert found == kept
    array = ring.evaluate(1).arrays["samples"]
    assert (str(array.dtype), array.shape) == ("float32", (10, 2))
