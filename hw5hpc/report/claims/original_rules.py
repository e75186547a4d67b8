"""The rules by which the original homework's numbers are held against ours."""

import math
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from hw5hpc.report import looks
from hw5hpc.report.claims.compare import compare, side, told
from hw5hpc.report.claims.verdict import FAILS, HOLDS, OPEN, Ruling, every_run, too_few
from hw5hpc.report.columns import possible
from hw5hpc.report.histograms import last_shares
from hw5hpc.report.numbers import figures
from hw5hpc.report.statistics import (
    FEWEST,
    Range,
    estimate,
    prediction,
    seeds_for_prediction,
    spread,
)
from hw5hpc.report.tables import Setting, Tables

BATCH_NORM, DEPTH = "model.batch_norm", "gan.unroll_steps"
NEAR, CROWDED, EVEN, EVEN_CLASSES = 0.10, 0.9, 0.3, 5
ENOUGH = f"at least {FEWEST} seeds"

Cases = Iterator[tuple[str, Ruling]]


def one_more_run(
    tables: Tables, batch_norm: bool, numbers: Mapping[int, tuple[str, float]], widest: float
) -> Cases:
    """Ask whether the original's run could be one more of ours.

    `numbers` is {epoch: (column, the original's value)}, `widest` the largest half of a
    prediction interval that can still tell.
    """
    if tables.settings != [BATCH_NORM] or (batch_norm,) not in tables.compared:
        return
    curves = _finished(tables, (batch_norm,))
    parts = []
    for epoch, (column, number) in numbers.items():
        values = side("", looks.after_epoch(curves, epoch), column).values
        named = f"after epoch {epoch} {number:g}, ours"
        parts.append(_inside(named, values, number, possible(tables, column), widest))
    yield "", _all_of(parts)


def _inside(
    name: str, values: "pd.Series[float]", number: float, within: Range, widest: float
) -> Ruling:
    found = prediction(values, within)
    few = too_few(found.n)
    if few:
        return Ruling(few, f"{name} {told(values)}", ENOUGH)
    ends = f"[{figures(found.low)}, {figures(found.high)}]"
    numbers = f"{name} {figures(found.mean)}, one more run {ends}"
    numbers += f" (n = {found.n})"
    if not found.low <= number <= found.high:
        return Ruling(FAILS, numbers)
    if found.half > widest:
        needed = seeds_for_prediction(spread(values), widest)
        none = f"no number of seeds: single runs differ by more than {widest}"
        return Ruling(OPEN, numbers, f"about {needed} seeds at the spread seen" if needed else none)
    return Ruling(HOLDS, numbers)


def larger_loss(tables: Tables) -> Cases:
    """Ask whether the final training loss is larger with batch norm."""
    if tables.settings != [BATCH_NORM] or not {(True,), (False,)} <= set(tables.compared):
        return
    more = side("with batch norm", tables.finished((True,)), "train_loss")
    less = side("without", tables.finished((False,)), "train_loss")
    yield "", compare(more, less, possible(tables, "train_loss"))


def settled(tables: Tables, numbers: Mapping[str, float]) -> Cases:
    """Ask whether the vanilla GAN's losses end near the original's, {column: value}."""
    if tables.settings != [DEPTH] or (0,) not in tables.compared:
        return
    curves = _finished(tables, (0,))
    yield "", _all_of([_near(_tails(curves, name), name, at) for name, at in numbers.items()])


def _tails(curves: pd.DataFrame, column: str) -> "pd.Series[float]":
    """Each run's mean over the last fifth of its looks."""
    if column not in curves:
        return pd.Series(dtype=float)
    runs = curves.dropna(subset=[column]).groupby("run")[column]
    return runs.agg(lambda values: values.tail(math.ceil(len(values) / 5)).mean())


def _near(values: "pd.Series[float]", name: str, number: float) -> Ruling:
    """Rule that the mean's whole interval lies within NEAR of a number (holds) or outside."""
    numbers = f"{name} {number:g}, ours {told(values)}"
    few = too_few(len(values))
    if few:
        return Ruling(few, numbers, ENOUGH)
    found, low, high = estimate(values), number * (1 - NEAR), number * (1 + NEAR)
    if low <= found.low and found.high <= high:
        return Ruling(HOLDS, numbers)
    apart = found.high < low or found.low > high
    return Ruling(FAILS if apart else OPEN, numbers, "" if apart else "more seeds")


def crowded(tables: Tables) -> Cases:
    """Ask whether one class holds nearly all samples of the vanilla GAN in every seed."""
    if tables.settings != [DEPTH] or (0,) not in tables.compared:
        return
    shares = last_shares(tables, (0,), "label_histogram").max(axis=1, initial=0)
    shown = ", ".join(f"{share:.2g}" for share in shares) or "none"
    yield "", every_run(shares >= CROWDED, f"largest class's share by seed: {shown}")


def near_uniform(tables: Tables) -> Cases:
    """Ask for each depth above 0 whether in every seed enough classes are near their share."""
    depths = [setting for setting in tables.compared if tables.settings == [DEPTH] and setting[0]]
    for setting in depths:
        shares = last_shares(tables, setting, "label_histogram")
        # Rounded, for 390 of 3,000 are exactly 30 % above 300.
        off = (shares * shares.shape[1] - 1).round(9)
        near, above = (np.abs(off) <= EVEN).sum(axis=1), (off > EVEN).sum(axis=1)
        shown = (", ".join(map(str, counts)) or "none" for counts in (near, above))
        numbers = "classes within {:.0%} of an even share by seed: {}; above: {}"
        yield f"K = {setting[0]}", every_run(near >= EVEN_CLASSES, numbers.format(EVEN, *shown))


def _finished(tables: Tables, setting: Setting) -> pd.DataFrame:
    return tables.curves[tables.curves["run"].isin(tables.finished(setting)["run"])]


def _all_of(parts: list[Ruling]) -> Ruling:
    """Rule on several statements at once: one that fails is enough, all must hold."""
    numbers = "; ".join(part.numbers for part in parts)
    for verdict in (FAILS, OPEN):
        found = [part for part in parts if part.verdict.startswith(verdict)]
        if found:
            return Ruling(found[0].verdict, numbers, found[0].settle)
    return Ruling(HOLDS, numbers)
