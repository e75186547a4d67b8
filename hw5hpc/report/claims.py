"""What a sweep is meant to show, and whether its numbers show it."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from hw5hpc.report.statistics import LEVEL, Estimate, estimate, welch
from hw5hpc.report.tables import Tables

HOLDS, FAILS, OPEN = "holds", "does not hold", "cannot be told"
ONE_SEED = "cannot be told (one seed)"
NO_RUNS = "cannot be told (no finished runs)"


@dataclass(frozen=True)
class Verdict:
    """A claim's sentence, whether it holds, and the numbers that decide.

    `finding` says in one short sentence with numbers what was found; `settle`, what would settle a
    claim that cannot be told yet.
    """

    claim: str
    sentence: str
    verdict: str
    numbers: str
    finding: str = ""
    settle: str = ""


@dataclass(frozen=True)
class Claim:
    """A statement about a sweep; `judge` gives one verdict for each case the sweep has."""

    name: str
    judge: Callable[[Tables], Iterator[tuple[str, str, str]]]


def judge(tables: Tables) -> list[Verdict]:
    """Return the verdicts on every claim of the tables' experiment."""
    return [
        Verdict(claim.name, *found)
        for claim in CLAIMS.get(tables.experiment, ())
        for found in claim.judge(tables)
    ]


def _values(tables: Tables, column: str, key: str, value: object) -> list[float]:
    """The final values of the finished runs at one setting of the only key that varies."""
    rows = _only(tables, key, value)
    rows = rows[rows["state"] == "finished"]
    return rows[column].dropna().tolist() if column in rows else []


def _only(tables: Tables, key: str, value: object) -> pd.DataFrame:
    if tables.settings != [key]:
        return tables.results.iloc[:0]
    return tables.rows(tables.results, (value,))


def _others(tables: Tables, key: str, base: object) -> list[object]:
    found = [setting[0] for setting in tables.compared] if tables.settings == [key] else []
    return (
        [value for value in found if value != base and value is not None] if base in found else []
    )


def _interval(found: Estimate) -> str:
    if found.n < 2:
        return f"{found.mean:.4g} (n = {found.n})"
    return f"{found.mean:.4g} [{found.low:.4g}, {found.high:.4g}] (n = {found.n})"


def _compare(more: list[float], less: list[float], names: tuple[str, str]) -> tuple[str, str]:
    """Judge mean(more) > mean(less) by Welch's interval of the difference."""
    difference = welch(more, less)
    if difference.n == 0:
        return NO_RUNS, f"{names[0]}: n = {len(more)}; {names[1]}: n = {len(less)}"
    shown = f"{names[0]} {_interval(estimate(more))}, {names[1]} {_interval(estimate(less))}"
    if difference.n == 1:
        return ONE_SEED, shown
    verdict = HOLDS if difference.low > 0 else FAILS if difference.high < 0 else OPEN
    if difference.low == difference.high and not _separate(len(more), len(less)):
        verdict = OPEN
    between = f"{difference.mean:.4g} [{difference.low:.4g}, {difference.high:.4g}]"
    return verdict, f"{shown}; difference {between}"


def _separate(n: int, m: int) -> bool:
    """Whether n equal numbers and m equal others differ by more than chance, at 5 % on both sides.

    Without spread Welch's interval says nothing; of all ways to deal the n + m numbers into two
    groups, two are as extreme (Fisher's permutation test).
    """
    return 2 / math.comb(n + m, n) < 1 - LEVEL


def _unrolling(
    tables: Tables, column: str, words: str, lower: bool = False
) -> Iterator[tuple[str, str, str]]:
    key = "gan.unroll_steps"
    vanilla = _values(tables, column, key, 0)
    for depth in _others(tables, key, 0):
        unrolled = _values(tables, column, key, depth)
        names = (f"{depth} unrolled", "0 unrolled")
        pair = (vanilla, unrolled) if lower else (unrolled, vanilla)
        verdict, numbers = _compare(*pair, names[::-1] if lower else names)
        yield f"Unrolling (K = {depth}) {words} than no unrolling.", verdict, numbers


def _collapse(tables: Tables) -> Iterator[tuple[str, str, str]]:
    values = _values(tables, "classes_covered", "gan.unroll_steps", 0)
    if tables.settings != ["gan.unroll_steps"] or (0,) not in tables.compared:
        return
    classes = len(tables.class_names) or 10
    found = estimate(values)
    verdict = HOLDS if found.high < classes else FAILS if found.low >= classes else OPEN
    verdict = {0: NO_RUNS, 1: ONE_SEED}.get(found.n, verdict)
    sentence = f"The vanilla GAN collapses: it covers fewer than {classes} classes."
    yield sentence, verdict, f"classes covered {_interval(found)}"


def _batch_norm(tables: Tables, column: str, words: str) -> Iterator[tuple[str, str, str]]:
    key = "model.batch_norm"
    if _others(tables, key, False) != [True]:
        return
    values = (_values(tables, column, key, True), _values(tables, column, key, False))
    verdict, numbers = _compare(*values, ("with batch norm", "without"))
    yield f"The {words} with batch norm than without.", verdict, numbers


def _ring(tables: Tables, few: int = 2) -> Iterator[tuple[str, str, str]]:
    key, modes = "gan.unroll_steps", int(tables.largest("ring.modes", 8))
    depths = [setting[0] for setting in tables.compared] if tables.settings == [key] else []
    for depth in depths:
        if depth not in (0, 5, 10):
            continue
        values = _values(tables, "modes_covered", key, depth)
        right = [value <= few if depth == 0 else value >= modes for value in values]
        what = (
            f"at most {few} modes are covered" if depth == 0 else f"all {modes} modes are covered"
        )
        named = f"With {depth} unrolled steps" if depth else "Without unrolling"
        verdict = {0: NO_RUNS, 1: ONE_SEED}.get(len(right), HOLDS if all(right) else FAILS)
        numbers = ", ".join(f"{value:g}" for value in values) or "none"
        yield f"{named}, {what} at the end.", verdict, f"modes covered by each seed: {numbers}"


def _shift(tables: Tables) -> Iterator[tuple[str, str, str]]:
    results = tables.results[tables.results["state"].isin(["finished", "diverged"])]
    sentence = "Subtracting the maximum removes every overflow."
    if "error_shifted" not in results or results.empty:
        yield sentence, NO_RUNS, "no run has recorded 'error_shifted' yet"
        return
    # No chance is involved: one run at each offset and number format decides.
    shifted = ~np.isfinite(results["error_shifted"].astype(float))
    naive = ~np.isfinite(results["error_naive"].astype(float))
    for kind in ("nan", "inf"):
        shifted |= results.get(f"{kind}_shifted", pd.Series(0, results.index)).fillna(0) > 0
        naive |= results.get(f"{kind}_naive", pd.Series(0, results.index)).fillna(0) > 0
    numbers = f"runs with NaN or infinities: naive {naive.sum()}, shifted {shifted.sum()}"
    verdict = FAILS if shifted.any() else HOLDS if naive.any() else OPEN
    yield sentence, verdict, f"{numbers}, of {len(results)}"


CLAIMS: dict[str, tuple[Claim, ...]] = {
    "gan": (
        Claim("collapse", _collapse),
        Claim(
            "more classes",
            partial(_unrolling, column="classes_covered", words="covers more classes"),
        ),
        Claim(
            "lower total variation",
            partial(
                _unrolling,
                column="total_variation",
                words="has a lower total variation from uniform",
                lower=True,
            ),
        ),
    ),
    "cnn": (
        Claim(
            "larger training loss",
            partial(_batch_norm, column="train_loss", words="training loss is larger"),
        ),
        Claim(
            "higher test accuracy",
            partial(_batch_norm, column="test_accuracy", words="test accuracy is higher"),
        ),
    ),
    "ring": (Claim("modes", _ring),),
    "softmax": (Claim("overflow", _shift),),
}
