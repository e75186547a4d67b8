"""The rows of a sweep for the terminal: all of few points, of many a summary and what matters."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Group as Lines
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from hw5hpc.cluster import causes
from hw5hpc.cluster.points import short
from hw5hpc.cluster.standings import BAD, ORDER, Standing
from hw5hpc.errors import alike
from hw5hpc.node.standing import tail
from hw5hpc.store import State
from hw5hpc.text import in_lines, safe

# More points than this are summarised; more settings than that are told by axis.
MOST_POINTS, MOST_SETTINGS, MOST_ROWS = 40, 20, 12
# Failed ones first: what somebody may have to do something about.
TROUBLED = (State.QUEUED, State.INTERRUPTED, State.LOST, State.CANCELLED, State.FAILED)
WIDE = 120
FIRST = (State.FAILED, State.LOST, State.DIVERGED, State.RUNNING, State.INTERRUPTED)


def summary(rows: Sequence[Standing]) -> str:
    """Return the counts, as in '3 finished, 1 failed'."""
    counts = Counter(row.status.state for row in rows)
    return ", ".join(f"{counts[state]} {state}" for state in ORDER if counts[state])


def reasons(rows: Sequence[Standing], most: int = 5) -> list[str]:
    """Return a line for each kind of trouble of runs that wait or came to nothing.

    The expected start is left out: it moves all the time, which would be a new line each time.
    """
    found: dict[tuple[State, str], list[str]] = {}
    for status in (row.status for row in rows if row.status.state in TROUBLED):
        if reason := re.sub(r", expected start [-\d]+ [:\d]+", "", status.reason):
            found.setdefault((status.state, alike(reason)), []).append(reason)
    ranked = sorted(found.items(), key=lambda item: -len(item[1]))
    return [f"  {len(said)} {state}: {said[0]}" for (state, _), said in ranked[:most]]


def board(rows: Sequence[Standing], title: str, width: int, whole: bool = False) -> RenderableType:
    """Return what a terminal so many columns wide shows; `whole` lists every point of many.

    Reasons have a column of their own where there is room for it, and else stand above.
    """
    wide = width >= WIDE and (whole or len(rows) <= MOST_POINTS)
    above = [] if wide or "\n" in title else reasons(rows)
    title = "\n".join([title, *above])
    if whole or len(rows) <= MOST_POINTS:
        return Lines(Text(in_lines(title)), table(rows, wide))
    shown = _first(rows)
    parts: list[RenderableType] = [Text(in_lines(title)), settings(rows), Text("")]
    parts += [table(shown, False)] if shown else []
    return Lines(*parts, Text(f"and {len(rows) - len(shown)} more points (--all lists every one)"))


def _first(rows: Sequence[Standing]) -> list[Standing]:
    """Return some rows to look at: failed and lost ones, then those at work."""
    ranked = sorted((row for row in rows if row.status.state in FIRST),
                    key=lambda row: FIRST.index(row.status.state))  # fmt: skip
    bad = [row for row in ranked if row.status.state in BAD]
    going = [row for row in ranked if row.status.state not in BAD]
    half = bad[: max(MOST_ROWS // 2, MOST_ROWS - len(going))]
    return [*half, *going[: MOST_ROWS - len(half)]]


def settings(rows: Sequence[Standing]) -> Table:
    """Return how many points of each setting are in which state; of many, by axis."""
    by = _counted(rows, lambda row: [_setting(row.swept)])
    if len(by) > MOST_SETTINGS:
        by = _counted(rows, lambda row: [f"{short(key)}={value}" for key, value in
                                         row.swept.items() if key != "seed"])  # fmt: skip
    states = [state for state in ORDER if any(state in counts for counts in by.values())]
    shown = _table(("setting", *map(str, states)))
    for name, counts in list(by.items())[:MOST_SETTINGS]:
        shown.add_row(Text(safe(name)), *[Text(str(counts[state] or "")) for state in states])
    if len(by) > MOST_SETTINGS:
        shown.add_row(Text(f"and {len(by) - MOST_SETTINGS} more"))
    return shown


def _counted(
    rows: Sequence[Standing], names: Callable[[Standing], list[str]]
) -> dict[str, "Counter[State]"]:
    found: dict[str, Counter[State]] = {}
    for row in rows:
        for name in names(row):
            found.setdefault(name, Counter())[row.status.state] += 1
    return found


def _setting(swept: Mapping[str, str]) -> str:
    words = [f"{short(key)}={value}" for key, value in swept.items() if key != "seed"]
    return " ".join(words) or "all"


def _table(columns: Sequence[str]) -> Table:
    shown = Table(box=None, pad_edge=False)
    for name in columns:
        shown.add_column(name, no_wrap=name in ("run", "state", "epoch", "left"), overflow="fold")
    return shown


def table(rows: Sequence[Standing], wide: bool = True) -> Table:
    """Return the rows as a table; `wide` adds the reasons."""
    headline = rows[0].headline if rows else "metric"
    more = ("reason",) if wide else ()
    shown = _table(("run", "point", "state", "epoch", "left", headline, *more))
    for row in rows:
        status = row.status
        point = " ".join(f"{short(key)}={value}" for key, value in row.swept.items())
        epochs = f"{status.epoch}/{status.epochs}" if status.epochs else ""
        left = "" if row.left is None else f"{row.left / 60:.1f} min"
        reason = status.reason
        if status.state in (State.FAILED, State.LOST) and row.log:
            reason += f" (log: {row.log})"
        cells = [row.run, point, str(status.state), epochs, left, row.last]
        shown.add_row(*[Text(safe(cell)) for cell in (*cells, *([reason] if wide else []))])
    return shown


def failures(rows: Sequence[Standing], again: str) -> list[str]:
    """Return what came to nothing, grouped: how often, why, the log's end, and what to do.

    `again` is the command that submits the sweep again.
    """
    logs = {row.run: row.log for row in rows}
    bad = [(row.run, row.status) for row in rows if row.status.state in BAD]
    lines = []
    for group in causes.groups(bad):
        # A run that another sweep sent has its log there.
        first = next((run for run in group.runs if logs[run]), group.runs[0])
        more = f" and {len(group.runs) - 1} more" if len(group.runs) > 1 else ""
        lines.append(f"{len(group.runs)} {group.state} ({group.cause.name}): {safe(group.reason)}")
        end = tail_line(logs[first])
        lines.append(f"    {first}{more}" + (f"; its log ends: {end}" if end else ""))
        lines.append(f"    -> {_remedy(group, again)}")
    return lines


def tail_line(log: str) -> str:
    """Return the last line of a log that is none of submitit's or srun's, '' where none is."""
    lines = tail(Path(log)).split(" | ") if log else []
    return next((line for line in lines[::-1] if not line.startswith(("submitit ", "srun: "))), "")


def _remedy(group: causes.Group, again: str) -> str:
    cause, failed = group.cause, group.state is State.FAILED
    if group.state is State.DIVERGED:
        return cause.first
    words = [again, f"--retry-failed={cause.name}" if failed else "", cause.words]
    command = " ".join(word for word in words if word)
    return f"{cause.first}, then: {command}" if cause.first else command
