"""What a report opens with: what was found in one sentence, and the figure that shows it."""

from collections import Counter
from collections.abc import Sequence

from hw5hpc.report.claims import Verdict
from hw5hpc.report.claims.verdict import FAILS, HOLDS, OPEN
from hw5hpc.report.claims.words import over_seeds
from hw5hpc.report.columns import label
from hw5hpc.report.figures import FIGURES, KEY
from hw5hpc.report.names import difference_name, setting_name
from hw5hpc.report.statistics import estimate
from hw5hpc.report.summary import Summary
from hw5hpc.report.tables import Tables


def headline(summary: Summary) -> str:
    """Return what was found in one sentence: the decided claim's of the largest effect, if any."""
    if told := _told_first(summary):
        return told.finding
    counted = _count(summary.verdicts) if summary.verdicts else "Nothing measured yet."
    return _measured(summary.tables) or counted


def _told_first(summary: Summary) -> Verdict | None:
    """Return the claim whose finding is the headline; None when no claim found anything."""
    order = {HOLDS: 0, FAILS: 1}
    found = [one for one in summary.verdicts if one.finding]
    ranked = sorted(found, key=lambda one: (order.get(one.verdict, 2), -one.effect))
    return ranked[0] if ranked else None


def _count(verdicts: Sequence[Verdict]) -> str:
    counts = Counter(one.verdict.partition(" (")[0] for one in verdicts)
    words = {HOLDS: ("holds", "hold"), FAILS: ("does not hold", "do not hold")}
    said = [f"{n} {words.get(verdict, (OPEN, OPEN))[n != 1]}" for verdict, n in counts.items()]
    if len(verdicts) == 1:
        return f"The one claim {said[0].removeprefix('1 ')}."
    return f"Of {len(verdicts)} claims {', '.join(said)}."


def _measured(tables: Tables) -> str:
    """The headline metric of the settings with the lowest and the highest mean."""
    name = tables.headline
    if name not in tables.results:
        return ""
    means = {one: estimate(tables.finished(one)[name]) for one in tables.compared}
    found = sorted((setting for setting in means if means[setting].n), key=lambda s: means[s].mean)
    if not found:
        return ""
    what = label(name).partition(" (")[0]
    low, high = (f"{means[one].mean:.3g}" for one in (found[0], found[-1]))
    if len(found) == 1:
        said = f"is {low} {over_seeds(tables.finished(found[0])[name].dropna())}"
    elif low == high:
        said = f"is {low} with every setting"
    else:
        first, last = setting_name(tables, found[0]), difference_name(tables, found[0], found[-1])
        said = f"goes from {low} ({first}) to {high} ({last})"
    return f"{what[:1].upper()}{what[1:]} {said}."


def key_figure(summary: Summary) -> str:
    """Return the figure that a report opens with, '' when none of them is drawn.

    It shows what the headline says; of several, and where none does, the first of KEY.
    """
    drawn = [name for name in KEY if name in summary.figures]
    told = _told_first(summary)
    claim = told.claim if told else None
    shows = [name for name in (*drawn, *summary.figures) if claim in FIGURES[name].shows]
    return next(iter([*shows, *drawn]), "")
