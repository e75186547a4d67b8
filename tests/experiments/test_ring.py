"""The ring: its samples, its measures, and a run that resumes exactly on the GAN's own step."""

import math
from pathlib import Path

import pytest
import torch

from hw5hpc.data.ring import centres, sample
from hw5hpc.engine.loop import Watch, train
from hw5hpc.engine.random import generator
from hw5hpc.experiments import rebuild
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
    for looks in [*stops, 10**9]:
        left = iter(range(looks))
        ring = Ring(rebuild("ring", {**SHORT, "gan.unroll_steps": 2}), CPU, {})
        # Bound to this turn's own counter.
        watch = Watch(stop=lambda left=left: next(left, None) is None)
        state = train(ring, run, CPU, watch).state
    assert state is State.FINISHED
    return run


def test_a_stopped_ring_ends_bit_identical(tmp_path: Path) -> None:
    straight = run_to_the_end(tmp_path / "a", [])
    stopped = run_to_the_end(tmp_path / "b", [1, 6])
    assert straight.metrics_path.read_bytes() == stopped.metrics_path.read_bytes()
    for epoch, array in straight.arrays()["samples"].items():
        assert (array == stopped.arrays()["samples"][epoch]).all()
