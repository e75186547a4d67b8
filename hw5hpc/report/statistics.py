"""Means and 95 % intervals over seeds."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

LEVEL = 0.95
NAN = float("nan")


@dataclass(frozen=True)
class Estimate:
    """A mean of n values and its 95 % t-interval; the interval is NaN below two values."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def half(self) -> float:
        """Half the interval's width."""
        return (self.high - self.low) / 2


def estimate(values: Iterable[float]) -> Estimate:
    """Estimate a mean from the finite values."""
    found = _finite(values)
    n = len(found)
    if n == 0:
        return Estimate(NAN, NAN, NAN, 0)
    mean = float(found.mean())
    if n == 1:
        return Estimate(mean, NAN, NAN, 1)
    half = _quantile(n - 1) * float(found.std(ddof=1)) / math.sqrt(n)
    return Estimate(mean, mean - half, mean + half, n)


def along(rows: pd.DataFrame, x: str, column: str) -> list[tuple[float, Estimate]]:
    """Estimate a column at each value of x; values of x without a finite number are left out."""
    if x not in rows or column not in rows:
        return []
    points = [(float(at), estimate(group[column])) for at, group in rows.groupby(x)]  # type: ignore[arg-type]
    return [(at, found) for at, found in points if found.n]


def welch(first: Iterable[float], second: Iterable[float]) -> Estimate:
    """Estimate mean(first) - mean(second) with Welch's 95 % interval; n is the smaller sample.

    The interval is NaN when either sample has fewer than two finite values.
    """
    a, b = _finite(first), _finite(second)
    n = min(len(a), len(b))
    if n == 0:
        return Estimate(NAN, NAN, NAN, 0)
    difference = float(a.mean() - b.mean())
    if n == 1:
        return Estimate(difference, NAN, NAN, 1)
    half = _welch_half(a, b)
    return Estimate(difference, difference - half, difference + half, n)


def _welch_half(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    parts = [(float(x.var(ddof=1)) / len(x), len(x) - 1) for x in (a, b)]
    variance = sum(part for part, _ in parts)
    if variance == 0:
        return 0.0
    freedom = variance**2 / sum(part**2 / free for part, free in parts)
    return _quantile(freedom) * math.sqrt(variance)


def _quantile(freedom: float) -> float:
    return float(stats.t.ppf((1 + LEVEL) / 2, freedom))


def _finite(values: Iterable[float]) -> NDArray[np.float64]:
    found = np.asarray(list(values), dtype=np.float64)
    return found[np.isfinite(found)]
