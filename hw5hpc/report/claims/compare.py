"""Compare two settings over seeds: paired where the seeds are the same."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hw5hpc.report import statistics
from hw5hpc.report.claims.verdict import (
    ENOUGH,
    FAILS,
    HOLDS,
    NO_RUNS,
    OPEN,
    Ruling,
    too_few,
)
from hw5hpc.report.names import value_name
from hw5hpc.report.numbers import figures, interval
from hw5hpc.report.statistics import (
    ANYWHERE,
    FEWEST,
    LEVEL,
    MOST,
    Estimate,
    Range,
    by_chance_apart,
    estimate,
    spread,
    welch,
)
from hw5hpc.report.tables import Setting, Tables

CHANCE = 1 - LEVEL


@dataclass(frozen=True)
class Side:
    """One of two settings: its name, and a column's value for each seed."""

    name: str
    values: "pd.Series[float]"


def side(name: str, rows: pd.DataFrame, column: str) -> Side:
    """Return a setting's finite values by seed; by run where several runs have one seed."""
    if column not in rows:
        return Side(name, pd.Series(dtype=float))
    key = "seed" if "seed" in rows and not rows["seed"].duplicated().any() else "run"
    values = pd.Series(rows[column].to_numpy(float), index=rows[key].tolist(), dtype=float)
    return Side(name, values[np.isfinite(values)])


@dataclass(frozen=True)
class _Difference:
    """`more` minus `less`, with the numbers that stand behind it."""

    more: "pd.Series[float]"
    less: "pd.Series[float]"
    found: Estimate
    paired: bool

    @property
    def deviation(self) -> float:
        """The standard deviation that one more seed of each brings to the difference."""
        if self.paired:
            return spread(self.more - self.less)
        return math.hypot(spread(self.more), spread(self.less))

    @property
    def by_chance(self) -> float:
        """How probable a difference without spread is by chance."""
        return by_chance_apart(len(self.more), len(self.less))


def compare(more: Side, less: Side, within: Range = ANYWHERE) -> Ruling:
    """Rule on mean(more) > mean(less) by the 95 % interval of the difference.

    Paired by seed where the seeds are the same, else Welch's. Where neither setting has any
    spread the interval says nothing, and Fisher's permutation test decides. `within` is the range
    of the values.
    """
    n = min(len(more.values), len(less.values))
    if n == 0:
        counts = (f"{one.name}: n = {len(one.values)}" for one in (more, less))
        return Ruling(NO_RUNS, "; ".join(counts), ENOUGH)
    shown = ", ".join(f"{one.name} {told(one.values, within)}" for one in (more, less))
    few = too_few(n)
    if few:
        return Ruling(few, shown, ENOUGH)
    difference = _difference(more.values, less.values, within)
    verdict = _verdict(difference)
    settle = _settle(difference) if verdict == OPEN else ""
    return Ruling(verdict, f"{shown}; {_told(difference, more.name, less.name)}", settle)


def _equal(values: "pd.Series[float]") -> bool:
    return spread(values) == 0


def _difference(more: "pd.Series[float]", less: "pd.Series[float]", within: Range) -> _Difference:
    """Pair the seeds that both settings have, when they are enough for an interval."""
    shared = more.index.intersection(less.index)
    if len(shared) >= FEWEST:
        more, less = more[shared], less[shared]
        found = estimate(more - less, statistics.differences(within))
        # Differences that are all equal say nothing of chance; the settings' own spread does.
        if found.half > 0 or (_equal(more) and _equal(less)):
            return _Difference(more, less, found, paired=True)
    return _Difference(more, less, welch(more, less, within), paired=False)


def _verdict(difference: _Difference) -> str:
    found = difference.found
    if difference.deviation == 0 and difference.by_chance >= CHANCE:
        return OPEN
    return HOLDS if found.low > 0 else FAILS if found.high < 0 else OPEN


def _settle(difference: _Difference) -> str:
    mean, deviation = difference.found.mean, difference.deviation
    if mean == 0:
        return "more seeds only if they differ: no difference was seen"
    if deviation > 0:
        return seeds_at_this_spread(mean, deviation)
    enough = next(n for n in range(FEWEST, MOST) if by_chance_apart(n, n) < CHANCE)
    return f"{enough} seeds of each"


def seeds_at_this_spread(mean: float, deviation: float) -> str:
    """Say how many seeds would settle whether a mean is 0, were mean and spread as seen."""
    needed = statistics.seeds_needed(mean, deviation)
    return f"about {needed} seeds at the spread seen" if needed else f"more than {MOST:,} seeds"


def told(values: "pd.Series[float]", within: Range = ANYWHERE) -> str:
    """Return mean, interval and n in words; values too few for an interval stand themselves."""
    found = estimate(values, within)
    if found.n == 0:
        return "none (n = 0)"
    if found.has_interval and found.half == 0:
        return f"{figures(found.mean)} in each (n = {found.n})"
    if found.has_interval:
        return f"{interval(found)} (n = {found.n})"
    if found.n > 1:
        return f"{' and '.join(map(figures, values))} (n = {found.n})"
    return f"{figures(found.mean)} (n = {found.n})"


def _told(difference: _Difference, more: str, less: str) -> str:
    found = difference.found
    how = "difference by seed" if difference.paired else "difference"
    likely = statistics.probability_of_improvement(difference.more, difference.less)
    said = interval(found)
    if difference.deviation == 0 and found.mean:
        chance = f"by chance {difference.by_chance:.2g}, permutation test"
        said = f"{figures(found.mean)} without spread ({chance})"
    return f"{how} {said}; P({more} > {less}) = {likely:.2g}"


@dataclass(frozen=True)
class Pair:
    """Two settings that differ in one key only, `base` being what the other is held against."""

    value: Any
    setting: Setting
    base: Setting
    rest: str


def pairs(tables: Tables, key: str, base: Any) -> list[Pair]:
    """Return each setting beside the one that has `base` for the key and equals it otherwise."""
    if key not in tables.settings:
        return []
    at = tables.settings.index(key)
    found = []
    for setting in tables.compared:
        other = (*setting[:at], base, *setting[at + 1 :])
        if setting[at] not in (base, None) and other in tables.compared:
            found.append(Pair(setting[at], setting, other, _rest(tables, setting, at)))
    return found


def _rest(tables: Tables, setting: Setting, at: int) -> str:
    keys = zip(tables.settings, setting, strict=True)
    return ", ".join(value_name(*one) for index, one in enumerate(keys) if index != at)
