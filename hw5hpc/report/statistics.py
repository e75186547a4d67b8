"""Means over seeds, differences between two settings, and their 95 % intervals."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

LEVEL = 0.95
# Two values always have a t-interval, and it is too wide to read and rests on their accident.
FEWEST = 3
MOST = 1000
NAN = float("nan")

Range = tuple[float, float]
ANYWHERE: Range = (-math.inf, math.inf)


@dataclass(frozen=True)
class Estimate:
    """A mean of n values and its 95 % t-interval; the interval is NaN below FEWEST values."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def half(self) -> float:
        """Half the interval's width."""
        return (self.high - self.low) / 2

    @property
    def has_interval(self) -> bool:
        return not math.isnan(self.low)

    @property
    def reach(self) -> tuple[float, float]:
        """How far the interval reaches below and above the mean."""
        return self.mean - self.low, self.high - self.mean


def estimate(values: Iterable[float], within: Range = ANYWHERE) -> Estimate:
    """Estimate a mean from the finite values.

    `within` is the range that the values can take: the mean lies in it too, so the part of the
    interval outside says nothing, and cutting it off costs no coverage.
    """
    found = finite(values)
    n = len(found)
    if n == 0:
        return Estimate(NAN, NAN, NAN, 0)
    half = _quantile(n - 1) * spread(found) / math.sqrt(n) if n >= FEWEST else NAN
    return _interval(float(found.mean()), half, n, within)


def prediction(values: Iterable[float], within: Range = ANYWHERE) -> Estimate:
    """Return the mean, and the 95 % interval in which one more value of the kind would lie.

    mean ± t sd sqrt(1 + 1/n), for values from one normal distribution.
    """
    found = finite(values)
    n = len(found)
    if n < FEWEST:
        return estimate(found)
    half = _prediction_half(n, spread(found))
    return _interval(float(found.mean()), half, n, within)


def _interval(mean: float, half: float, n: int, within: Range) -> Estimate:
    if math.isnan(half):
        return Estimate(mean, NAN, NAN, n)
    # A mean of equal values at the range's end may be rounded across it.
    low, high = min(within[0], mean), max(within[1], mean)
    return Estimate(mean, max(mean - half, low), min(mean + half, high), n)


def along(
    rows: pd.DataFrame, x: str, column: str, within: Range = ANYWHERE
) -> list[tuple[float, Estimate]]:
    """Estimate a column at each value of x; values of x without a finite number are left out."""
    if x not in rows or column not in rows:
        return []
    ats, values = (rows[name].to_numpy(np.float64, na_value=NAN) for name in (x, column))
    # Stable, as the order in which values are added up shows in a mean's last digit.
    order = np.argsort(ats, kind="stable")
    order = order[~np.isnan(ats[order])]
    places, begins = np.unique(ats[order], return_index=True)
    groups = zip(places, np.split(values[order], begins)[1:], strict=True)
    points = [(float(at), estimate(group, within)) for at, group in groups]
    return [(at, found) for at, found in points if found.n]


def welch(first: Iterable[float], second: Iterable[float], within: Range = ANYWHERE) -> Estimate:
    """Estimate mean(first) - mean(second) with Welch's 95 % interval (Welch 1947).

    n is the smaller sample's; below FEWEST the interval is NaN. `within` is the values' range.
    """
    a, b = finite(first), finite(second)
    n = min(len(a), len(b))
    if n == 0:
        return Estimate(NAN, NAN, NAN, 0)
    half = _welch_half(a, b) if n >= FEWEST else NAN
    return _interval(float(a.mean() - b.mean()), half, n, differences(within))


def differences(within: Range) -> Range:
    """Return the range that the difference of two values from a range can take."""
    reach = within[1] - within[0]
    return -reach, reach


def _welch_half(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    parts = [(spread(x) ** 2 / len(x), len(x) - 1) for x in (a, b)]
    variance = sum(part for part, _ in parts)
    if variance == 0:
        return 0.0
    freedom = variance**2 / sum(part**2 / free for part, free in parts)
    return _quantile(freedom) * math.sqrt(variance)


def probability_of_improvement(first: Iterable[float], second: Iterable[float]) -> float:
    """Return how probable it is that a run of `first` exceeds one of `second`; ties count half.

    The mean over all pairs of one from each (Agarwal et al. 2021, section 4.3), which is
    Mann-Whitney's U over the number of pairs. NaN when either is empty.
    """
    a, b = finite(first), finite(second)
    if not len(a) or not len(b):
        return NAN
    sign = np.sign(a[:, None] - b[None, :])
    return float((sign + 1).mean() / 2)


def seeds_needed(mean: float, deviation: float) -> int | None:
    """Return the fewest values whose interval would leave out 0, were their mean `mean`.

    None when MOST would not do. `deviation` is the values' standard deviation.
    """
    if mean == 0:
        return None
    halves = ((n, _quantile(n - 1) * deviation / math.sqrt(n)) for n in range(FEWEST, MOST + 1))
    return next((n for n, half in halves if half < abs(mean)), None)


def seeds_for_prediction(deviation: float, widest: float) -> int | None:
    """Return the fewest values whose prediction interval reaches at most `widest` to each side.

    None when MOST would not do: no number of values predicts better than they differ.
    """
    half = ((n, _prediction_half(n, deviation)) for n in range(FEWEST, MOST + 1))
    return next((n for n, reach in half if reach <= widest), None)


def _prediction_half(n: int, deviation: float) -> float:
    return _quantile(n - 1) * deviation * math.sqrt(1 + 1 / n)


def by_chance_apart(n: int, m: int) -> float:
    """Return how probable it is that chance alone parts n values from m others completely.

    Of all ways to deal n + m values into two groups, two are as extreme (Fisher's permutation
    test, both sides). It takes all values as independent; a seed that two settings share can only
    make their runs more alike, so this is the most that the chance can be.
    """
    return 2 / math.comb(n + m, n)


def spread(values: Iterable[float]) -> float:
    """Return the standard deviation; exactly 0 for values that are equal but for rounding."""
    found = finite(values)
    equal = bool(np.ptp(found) <= 1e-12 * np.abs(found).max())
    return 0.0 if equal else float(found.std(ddof=1))


def finite(values: Iterable[float]) -> NDArray[np.float64]:
    """Return the finite values as an array."""
    whole = values if isinstance(values, np.ndarray | pd.Series) else list(values)
    found = np.asarray(whole, dtype=np.float64)
    return found[np.isfinite(found)]


@cache
def _quantile(freedom: float) -> float:
    """Student's t at (1 + LEVEL) / 2."""
    return float(special.stdtrit(freedom, (1 + LEVEL) / 2))
