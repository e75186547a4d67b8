"""The fidelity measures against independent references, by hand, and at their degenerate ends."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist
from torch import Tensor

from hw5hpc.metrics import fidelity
from hw5hpc.metrics.fidelity import Embedded, Reference, frechet_distance, squared_distances

Array = NDArray[np.float64]
CLASSES = 3


def embedded(features: Array, pixels: Array | None = None, labels: Array | None = None) -> Embedded:
    """Images with these features; by default pixels far apart and labels 0, 1, 2, 0, 1, ..."""
    count = len(features)
    source = np.random.default_rng(9)
    pixels = source.integers(0, 256, (count, 20)) if pixels is None else pixels
    labels = np.arange(count) % CLASSES if labels is None else labels
    return Embedded(
        torch.tensor(pixels).byte(), torch.tensor(features), torch.tensor(labels).long()
    )


def measured(real: Embedded, made: Embedded) -> dict[str, float]:
    return Reference(real, CLASSES).measure(made)


def normal(count: int, size: int = 8, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=(count, size))


def plain(real: Array, made: Array) -> dict[str, float]:
    """The four measures as their papers define them, point by point."""

    def radius(points: Array, k: int) -> Array:
        return np.sort(cdist(points, points), axis=1)[:, k]

    apart = cdist(made, real)
    three, five = radius(real, 3), radius(real, 5)
    own = radius(made, 3)
    return {
        "precision": np.mean([any(row <= three) for row in apart]),
        "recall": np.mean([any(column <= own) for column in apart.T]),
        "density": np.mean([sum(row <= five) / 5 for row in apart]),
        "coverage": np.mean([apart[:, j].min() <= five[j] for j in range(len(real))]),
    }


def test_the_values_are_those_of_the_library_prdc() -> None:
    """Made with prdc 0.2 (Naeem et al.'s own code) from the same numbers."""
    source = np.random.default_rng(0)
    real = source.normal(size=(300, 8))
    made = 0.8 * source.normal(size=(250, 8)) + 0.4
    found = measured(embedded(real), embedded(made))
    library = {
        "precision": 0.932,
        "recall": 0.5633333333333334,
        "density": 1.2104,
        "coverage": 0.84,
    }
    assert {name: found[name] for name in library} == pytest.approx(library, rel=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.integers(6, 60), st.integers(6, 60), st.integers(1, 12), st.integers(0, 10**6))
def test_the_values_are_those_of_the_definitions(n: int, m: int, size: int, seed: int) -> None:
    real, made = normal(n, size, seed), 1.3 * normal(m, size, seed + 1)
    found = measured(embedded(real), embedded(made))
    expected = plain(real, made)
    assert {name: found[name] for name in expected} == pytest.approx(expected)


@pytest.mark.parametrize("count", [30, 400])
def test_the_frechet_distance_is_scipys(count: int) -> None:
    mix = normal(8, seed=3)
    one, other = normal(400), normal(count, seed=1) @ mix + 0.5
    first, second = np.cov(one.T), np.cov(other.T)
    root = sqrtm(first @ second).real
    gap = one.mean(0) - other.mean(0)
    expected = gap @ gap + np.trace(first + second - 2 * root)
    found = frechet_distance(torch.tensor(one), torch.tensor(other))
    assert found == pytest.approx(expected, rel=1e-9)


def test_a_generator_of_one_image_has_a_frechet_distance() -> None:
    """Its covariance is zero: what is left is the gap and the trace of the real covariance."""
    real = normal(200)
    gap = np.full(8, 2.0) - real.mean(0)
    expected = gap @ gap + np.trace(np.cov(real.T))
    for count in (1, 2, 50):
        made = torch.full((count, 8), 2.0)
        assert frechet_distance(made, torch.tensor(real)) == pytest.approx(expected, rel=1e-12)


def test_singular_covariances_cost_no_precision() -> None:
    """Both sets lie in one plane of forty dimensions, where two numbers a row say all."""
    plane = np.linalg.qr(normal(40, 2))[0]
    one, other = normal(9, 2), 3 * normal(300, 2, seed=1) + 1
    flat, tall = (
        frechet_distance(torch.tensor(a), torch.tensor(b))
        for a, b in ((one, other), (one @ plane.T, other @ plane.T))
    )
    assert tall == pytest.approx(flat, rel=1e-12)
    assert frechet_distance(torch.tensor(one @ plane.T), torch.tensor(one @ plane.T)) < 1e-12


def test_images_from_one_source_are_near_the_good_end_and_one_image_at_the_bad() -> None:
    real, fresh = embedded(normal(600)), embedded(normal(600, seed=1))
    good = measured(real, fresh)
    assert good["frechet_distance"] < 0.2
    assert good["density"] == pytest.approx(1, abs=0.1)
    assert good["coverage"] > 0.9 and good["precision"] > 0.8 and good["recall"] > 0.8
    assert good["diversity"] == pytest.approx(1, abs=0.05)
    one = embedded(np.zeros((600, 8)), np.full((600, 20), 7))
    bad = measured(real, one)
    assert bad["recall"] == 0 and bad["diversity"] == 0 and bad["near_duplicates"] == 1
    assert bad["coverage"] < 0.2
    assert bad["frechet_distance"] > 5


def test_diversity_weighs_classes_by_their_images_and_a_lone_image_has_none() -> None:
    real = embedded(np.array([[0.0], [2], [0], [8]]), labels=np.array([0, 0, 1, 1]))
    made = embedded(
        np.array([[0.0], [3], [0], [1], [2], [50]]), labels=np.array([0, 0, 1, 1, 1, 2])
    )
    # Class 0: 3 against 2. Class 1: pairs 1, 1, 2 against 8. Class 2: one image.
    assert measured(real, made)["diversity"] == pytest.approx((2 * 1.5 + 3 * (4 / 3) / 8) / 6)


def test_a_class_without_real_pairs_is_held_against_those_of_all_classes() -> None:
    real = embedded(np.array([[0.0], [2], [9], [9]]), labels=np.array([0, 0, 1, 1]))
    made = embedded(np.array([[0.0], [4]]), labels=np.array([2, 2]))
    # The real pairs are 2 and 0 apart.
    assert measured(real, made)["diversity"] == pytest.approx(4.0)


def test_near_duplicates_are_closer_than_almost_all_real_images() -> None:
    """Real images on two lines at 0, 2, 4 and so on, but for two pairs that are closer."""
    levels = np.arange(250)
    places = np.stack([levels // 2 * 2, levels % 2 * 200], 1)
    places[1], places[3] = (0, 1), (3, 201)
    real = embedded(normal(250), places)
    made = places.copy()
    made[100:140] = made[100]
    found = measured(real, embedded(normal(250), made))
    # Forty copies, and the closest pair; the second closest is the real images' own edge.
    assert found["near_duplicates"] == pytest.approx(42 / 250)
    assert measured(real, real)["near_duplicates"] == pytest.approx(2 / 250)


@pytest.mark.parametrize("counts", [(1, 1), (1, 30), (30, 1), (2, 2), (4, 5)])
def test_the_fewest_images_give_finite_numbers(counts: tuple[int, int]) -> None:
    real, made = (embedded(normal(n, seed=n)) for n in counts)
    assert all(math.isfinite(value) for value in measured(real, made).values())


def test_no_images_are_refused() -> None:
    nothing, something = embedded(normal(0)), embedded(normal(3))
    with pytest.raises(ValueError, match="no real images"):
        Reference(nothing, CLASSES)
    with pytest.raises(ValueError, match="no images to measure"):
        measured(something, nothing)


def test_the_order_of_the_images_turns_no_tie() -> None:
    """Copies and equal gaps make ties everywhere; sums in another order must not turn them."""
    grid = np.stack(np.meshgrid(*[np.arange(4) / 7] * 3), -1).reshape(-1, 3)
    real, made = np.repeat(grid, 2, 0) + 1 / 3, np.repeat(grid[::2], 3, 0) + 1 / 3
    found = measured(embedded(real), embedded(made))
    mixed = np.random.default_rng(0)
    shares = ("precision", "recall", "density", "coverage")
    for _ in range(5):
        again = measured(embedded(mixed.permutation(real)), embedded(mixed.permutation(made)))
        assert {n: again[n] for n in shares} == {n: found[n] for n in shares}


def test_equal_rows_are_exactly_zero_apart_and_bytes_exact() -> None:
    rows = torch.tensor(normal(64, 128)).float() * 1e3
    assert torch.equal(squared_distances(rows, rows.clone()).diagonal(), torch.zeros(64).double())
    pixels = torch.randint(256, (50, 784), generator=torch.Generator().manual_seed(0)).byte()
    gaps = pixels.long()[:, None] - pixels.long()
    assert torch.equal(squared_distances(pixels, pixels).long(), gaps.square().sum(2))


def test_pairs_are_limited_and_the_frechet_distance_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    real, made = normal(90), normal(90, seed=1)
    made[50:] += 9
    whole = measured(embedded(real), embedded(made))
    monkeypatch.setattr(fidelity, "PAIRED", 50)
    first = measured(embedded(real), embedded(made))
    expected = plain(real[:50], made[:50])
    assert {name: first[name] for name in expected} == pytest.approx(expected)
    assert first["frechet_distance"] == whole["frechet_distance"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same_numbers() -> None:
    def moved(images: Embedded) -> Embedded:
        parts: tuple[Tensor, ...] = (images.pixels, images.features, images.labels)
        return Embedded(*(part.cuda() for part in parts))

    real, made = embedded(normal(300)), embedded(normal(200, seed=1) + 0.3)
    assert measured(moved(real), moved(made)) == pytest.approx(measured(real, made), rel=1e-9)
