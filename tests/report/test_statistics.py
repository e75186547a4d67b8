"""Intervals, differences and what chance can do, against scipy and by hand."""

from math import comb, inf, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hw5hpc.report.statistics import (
    by_chance_apart,
    estimate,
    prediction,
    probability_of_improvement,
    seeds_for_prediction,
    seeds_needed,
    spread,
    welch,
)

SHARES = st.lists(st.floats(0, 1), min_size=3, max_size=9)


@pytest.mark.parametrize("values", [[2.0], [2.0, 7.0]])
def test_below_three_values_there_is_no_interval(values: list[float]) -> None:
    for found in (estimate(values), prediction(values), welch(values, [1.0, 2.0, 3.0])):
        assert (found.n, found.has_interval) == (len(values), False)
        assert np.isnan(found.low) and np.isnan(found.high)


@given(SHARES)
def test_no_interval_leaves_the_possible_range(values: list[float]) -> None:
    for found in (estimate(values, (0, 1)), prediction(values, (0, 1))):
        assert -1e-15 <= found.low <= found.mean <= found.high <= 1 + 1e-15
    free = estimate(values)
    cut = estimate(values, (0, 1))
    assert cut.low == pytest.approx(max(free.low, 0))
    assert cut.high == pytest.approx(min(free.high, 1))


def test_a_difference_of_shares_lies_between_minus_one_and_one() -> None:
    found, free = (welch([0, 1, 1], [1, 0, 0], *within) for within in ([(0, 1)], []))
    assert (found.low, found.high) == (free.low, 1)
    assert free.high > 1


def test_the_prediction_interval_holds_one_more_value_19_times_of_20() -> None:
    rng = np.random.default_rng(0)
    tries = rng.normal(3, 2, (4000, 6))
    hits = [
        found.low <= last <= found.high for *seen, last in tries for found in (prediction(seen),)
    ]
    assert np.mean(hits) == pytest.approx(0.95, abs=3 * sqrt(0.95 * 0.05 / 4000))


def test_the_probability_of_improvement_is_mann_whitneys() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.integers(0, 6, 7), rng.integers(0, 5, 4)
    u = stats.mannwhitneyu(first, second).statistic
    assert probability_of_improvement(first, second) == pytest.approx(u / 28)
    assert probability_of_improvement([3, 3], [3]) == 0.5
    assert np.isnan(probability_of_improvement([], [1.0]))


@pytest.mark.parametrize(("mean", "deviation"), [(1.0, 0.3), (0.5, 1.0), (-2.0, 9.0)])
def test_the_seeds_needed_are_the_fewest_that_leave_out_zero(mean: float, deviation: float) -> None:
    needed = seeds_needed(mean, deviation)
    assert needed is not None
    reach = {
        n: stats.t.ppf(0.975, n - 1) * deviation / sqrt(n) for n in (needed, max(needed - 1, 2))
    }
    assert reach[needed] < abs(mean)
    assert needed == 3 or reach[needed - 1] >= abs(mean)


def test_no_number_of_seeds_tells_nothing_from_nothing() -> None:
    assert seeds_needed(0, 1) is None
    assert seeds_needed(1e-3, 1) is None


def test_no_number_of_runs_predicts_better_than_runs_differ() -> None:
    assert seeds_for_prediction(1.0, 1.9) is None
    needed = seeds_for_prediction(1.0, 2.5)
    assert needed is not None
    half = {n: stats.t.ppf(0.975, n - 1) * sqrt(1 + 1 / n) for n in (needed - 1, needed)}
    assert half[needed] <= 2.5 < half[needed - 1]


def test_chance_is_counted_over_all_dealings() -> None:
    assert by_chance_apart(4, 4) == 2 / comb(8, 4) < 0.05 < by_chance_apart(3, 3)


@pytest.mark.parametrize("shared", [0.0, 0.5, 1.0])
def test_a_shared_seed_makes_parting_by_chance_rarer_not_commoner(shared: float) -> None:
    """Why Fisher's count may be used for settings that share their seeds."""
    rng = np.random.default_rng(2)
    common, own = rng.normal(size=(20000, 1, 4)), rng.normal(size=(20000, 2, 4))
    first, second = np.moveaxis(sqrt(shared) * common + sqrt(1 - shared) * own, 1, 0)
    apart = (first.min(1) > second.max(1)) | (second.min(1) > first.max(1))
    assert apart.mean() <= by_chance_apart(4, 4) + 3 * sqrt(0.03 / 20000)


def test_equal_values_have_no_spread_whatever_rounding_does() -> None:
    assert spread([0.1 + 0.2, 0.3, 0.3]) == 0
    assert spread([0.0, 0.0, 0.0]) == 0
    assert spread([1.0, 2.0, 3.0]) == 1
    assert estimate([5.0, inf, float("nan")]).n == 1
