"""Claims of unrolling, judged three ways: at the end, at equal steps, at equal compute."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pandas as pd

from hw5hpc.report import looks
from hw5hpc.report.claims import words
from hw5hpc.report.claims.compare import (
    Pair,
    Side,
    compare,
    pairs,
    seeds_at_this_spread,
    side,
    told,
)
from hw5hpc.report.claims.verdict import FAILS, HOLDS, OPEN, Ruling, Verdict, ruled, too_few
from hw5hpc.report.columns import possible
from hw5hpc.report.statistics import FEWEST, estimate, spread
from hw5hpc.report.tables import Tables

KEY = "gan.unroll_steps"
EARLY = 1000


@dataclass(frozen=True)
class Measure:
    """A column by which depths are compared, what unrolling is said to do, and the finding."""

    column: str
    does: str
    lower: bool
    found: str


CLASSES = Measure(
    "classes_covered", "covers more classes", False,
    "{steps} {cover} {unrolled} of {classes} classes {seeds}; without unrolling {vanilla}",
)  # fmt: skip
VARIATION = Measure(
    "total_variation", "has a lower total variation from uniform", True,
    "with {steps} the total variation from uniform is {unrolled} {seeds}; "
    "without unrolling {vanilla}",
)  # fmt: skip


@dataclass(frozen=True)
class Look:
    """When two settings are compared, and their runs' rows then; or why they cannot be."""

    when: str
    rows: pd.DataFrame
    reason: str = ""
    settle: str = ""


def at_end(tables: Tables, pair: Pair, column: str) -> Look:
    """The final values."""
    return Look("", _of_pair(tables, tables.results, pair))


def at_equal_steps(tables: Tables, pair: Pair, column: str) -> Look | None:
    """At EARLY steps, or the last look that all runs have before; None when that is the end."""
    curves = _measured(tables, ("step", column))
    if curves is None:
        return Look("At equal steps, ", tables.curves.iloc[:0], "no run recorded its steps")
    step = looks.shared_step(curves, EARLY)
    if step is None:
        reason = f"there is no step up to {EARLY:,} at which all runs were looked at"
        return Look("At equal steps, ", curves.iloc[:0], reason, f"a look within {EARLY:,} steps")
    if step >= looks.reached(curves, "step"):
        return None
    rows = _of_pair(tables, curves[curves["step"] == step], pair)
    return Look(f"At {step:,} steps, ", rows)


def at_equal_compute(tables: Tables, pair: Pair, column: str) -> Look:
    """At the largest training time that both settings' runs reached, each run's last look then."""
    when, none = "At equal training time, ", tables.curves.iloc[:0]
    ended = _of_pair(tables, tables.results, pair)
    devices = sorted({str(device) or "unknown" for device in ended["device"]})
    if len(devices) > 1:
        reason = f"training times on different devices: {', '.join(devices)}"
        return Look(when, none, reason, "all runs on one device")
    curves = _measured(tables, ("train_seconds", column))
    found = none if curves is None else _of_pair(tables, curves, pair)
    if found["run"].nunique() < len(ended):
        return Look(when, none, "not every run recorded its training seconds", "new runs")
    limit = looks.reached(found, "train_seconds") if len(found) else 0.0
    rows = looks.at_or_before(found, "train_seconds", limit)
    if len(rows) < len(ended):
        reason = f"some runs had no look within the {_seconds(limit)} that all trained"
        return Look(when, none, reason, "earlier looks")
    return Look(f"After the same {_seconds(limit)} of training, ", rows)


def _of_pair(tables: Tables, frame: pd.DataFrame, pair: Pair) -> pd.DataFrame:
    ended = {*tables.finished(pair.setting)["run"], *tables.finished(pair.base)["run"]}
    return frame[frame["run"].isin(ended)]


def _measured(tables: Tables, columns: tuple[str, ...]) -> pd.DataFrame | None:
    """The finished runs' looks that have all the columns; None when there is none."""
    if not set(columns) <= set(tables.curves.columns):
        return None
    ended = tables.results.loc[tables.results["state"] == "finished", "run"]
    curves = tables.curves[tables.curves["run"].isin(ended)].dropna(subset=list(columns))
    return None if curves.empty else curves


def _seconds(value: float) -> str:
    return f"{value:,.0f} s" if value >= 10 else f"{value:.2g} s"


def unrolling(
    tables: Tables, measure: Measure, look: Callable[[Tables, Pair, str], Look | None]
) -> Iterator[Verdict]:
    """Judge each depth against none; where other keys vary too, at the end only."""
    if tables.settings != [KEY] and look is not at_end:
        return
    for pair in pairs(tables, KEY, 0):
        seen = look(tables, pair, measure.column)
        if seen is not None:
            yield _judged(tables, measure, pair, seen)


def _judged(tables: Tables, measure: Measure, pair: Pair, look: Look) -> Verdict:
    where = f", {pair.rest}" if pair.rest else ""
    named = f"{look.when}unrolling (K = {pair.value}{where}) {measure.does} than no unrolling"
    if look.reason:
        return ruled(words.sentence(named), Ruling(OPEN, look.reason, look.settle))
    unrolled = side(f"{pair.value} unrolled", tables.rows(look.rows, pair.setting), measure.column)
    vanilla = side("0 unrolled", tables.rows(look.rows, pair.base), measure.column)
    order = (vanilla, unrolled) if measure.lower else (unrolled, vanilla)
    ruling = compare(*order, possible(tables, measure.column))
    if unrolled.values.empty or vanilla.values.empty:
        return ruled(words.sentence(named), ruling)
    said = _said(measure, pair.value, (unrolled, vanilla), tables.classes)
    place = f"with {pair.rest}, " if pair.rest else ""
    doubt = "" if ruling.decided else f": {words.DOUBT}"
    finding = words.sentence(f"{place}{look.when}{said}{doubt}")
    # Coverage at the end is the headline; of several depths the one that it says most of.
    told = measure is CLASSES and not look.when
    effect = unrolled.values.mean() - vanilla.values.mean() if told else 0.0
    return ruled(words.sentence(named), ruling, finding, float(effect))


def _said(measure: Measure, depth: int, sides: tuple[Side, Side], classes: int) -> str:
    unrolled, vanilla = (one.values for one in sides)
    return measure.found.format(
        steps=words.steps(depth), cover="covers" if depth == 1 else "cover", classes=classes,
        unrolled=words.mean(unrolled), seeds=words.over_seeds(unrolled),
        vanilla=words.mean(vanilla),
    )  # fmt: skip


def collapse(tables: Tables) -> Iterator[Verdict]:
    """Judge whether the GAN without unrolling covers fewer than all classes on average."""
    if tables.settings != [KEY] or (0,) not in tables.compared:
        return
    classes = tables.classes
    values = side("0 unrolled", tables.finished((0,)), "classes_covered").values
    sentence = f"The vanilla GAN collapses: it covers fewer than {classes} classes."
    finding = "" if values.empty else words.sentence(
        f"without unrolling {words.mean(values)} of {classes} classes are covered "
        f"{words.over_seeds(values)}"
    )  # fmt: skip
    yield ruled(sentence, _below(values, classes), finding)


def _below(values: "pd.Series[float]", bound: int) -> Ruling:
    """Rule on a mean count below its largest; a seed below it is proof enough without spread."""
    numbers = f"classes covered {told(values, (0, bound))}"
    few = too_few(len(values))
    if few:
        return Ruling(few, numbers, f"at least {FEWEST} seeds")
    found = estimate(values, (0, bound))
    if found.high < bound:
        return Ruling(HOLDS, numbers)
    if found.low >= bound:
        return Ruling(FAILS, numbers)
    settle = seeds_at_this_spread(bound - found.mean, spread(values))
    return Ruling(OPEN, numbers, settle)
