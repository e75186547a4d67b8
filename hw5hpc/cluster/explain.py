"""Why each point of a plan goes out or is left alone: one by one of few, by axis of many."""

from collections import Counter
from collections.abc import Mapping, Sequence

from hw5hpc.cluster.plan import Item, Plan
from hw5hpc.cluster.points import short
from hw5hpc.errors import alike
from hw5hpc.store import State
from hw5hpc.text import safe

MOST_POINTS, MOST_LINES, MOST_REASONS = 24, 16, 4
NOBODY = "nobody works on it any more"


def points(plan: Plan) -> list[str]:
    """Return lines on the points; none where one sentence says the same of all."""
    verdicts = _verdicts(plan)
    if len({(item.state, action, why) for item, action, why in verdicts}) == 1:
        return []
    if len(verdicts) > MOST_POINTS:
        return [*_by_axis(plan), *_reasons(verdicts)]
    lines = []
    for (item, action, why), point in zip(verdicts, plan.sweep.points, strict=True):
        named = " ".join(f"{short(key)}={value}" for key, value in point.swept.items())
        reason = f" ({why})" if why else ""
        lines.append(f"    {item.id} {named}: {item.state}, {action}{reason}")
    return lines


def _verdicts(plan: Plan) -> list[tuple[Item, str, str]]:
    """Return (point, what is done with it, why: '' where its state says it)."""
    going, held = {item.id for item in plan.rest}, {item.id for item in plan.held}
    found = []
    for item in plan.points:
        if item.id in held:
            found.append((item, "kept back", "an earlier run that it needs has no result"))
        else:
            action = "to run" if item.id in going else "left alone"
            found.append((item, action, safe(_why(item, item.id in going))))
    return found


def _why(item: Item, going: bool) -> str:
    stale = "of another version of the code" if item.stale else ""
    if item.state.done:
        return item.damage or stale
    if item.state is State.RUNNING:
        return f"job {item.job or item.unknown}" if item.job or item.unknown else ""
    anew = "starts anew: its checkpoint is of other code" if going and item.stale else ""
    reason = item.reason or (NOBODY if item.state is State.LOST else "")
    return "; ".join(part for part in (reason, anew) if part)


def _by_axis(plan: Plan) -> list[str]:
    going = {item.id for item in plan.rest}
    words = ["to run" if item.id in going else str(item.state) for item in plan.points]
    keys = [key for key in plan.sweep.swept if key != "seed"] or list(plan.sweep.swept)
    found: dict[str, Counter[str]] = {}
    for key in keys:
        for word, point in zip(words, plan.sweep.points, strict=True):
            found.setdefault(f"{short(key)}={point.swept[key]}", Counter())[word] += 1
    lines = [f"    {name}: {_counted(counts)}" for name, counts in found.items()]
    more = [f"    and {len(lines) - MOST_LINES} more values"] if len(lines) > MOST_LINES else []
    return [*lines[:MOST_LINES], *more]


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {word}" for word, count in counts.items())


def _reasons(verdicts: Sequence[tuple[Item, str, str]]) -> list[str]:
    found: dict[tuple[State, str, str], list[str]] = {}
    for item, action, why in verdicts:
        if why and item.state is not State.RUNNING:
            found.setdefault((item.state, action, alike(why)), []).append(why)
    ranked = sorted(found.items(), key=lambda entry: -len(entry[1]))[:MOST_REASONS]
    return [f"    {len(said)} {state}, {action}: {said[0]}" for (state, action, _), said in ranked]
