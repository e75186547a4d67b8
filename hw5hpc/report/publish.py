"""Send a sweep to W&B: its runs' histories, its summary, and a report, from the files alone."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from hw5hpc.errors import UserError
from hw5hpc.experiments import headline_of, rebuild
from hw5hpc.report.aggregate import aggregate
from hw5hpc.report.collect import collect
from hw5hpc.report.figures import FIGURES
from hw5hpc.report.summary import curves_table, means_table, summarise
from hw5hpc.report.tables import Tables
from hw5hpc.store import Outputs, RunFolder, SweepFolder
from hw5hpc.sweep import run_id
from hw5hpc.tracking import workspace
from hw5hpc.tracking.describe import words_of
from hw5hpc.tracking.mirror import Sent, export, one_line, send
from hw5hpc.tracking.mode import Choice, choose
from hw5hpc.tracking.pictures import pictures
from hw5hpc.tracking.session import place
from hw5hpc.tracking.summary import Content, Table, changed, send_summary
from hw5hpc.tracking.words import Words

WATCH_SECONDS = 15.0


@dataclass(frozen=True)
class Wanted:
    """What the user asked for; `online` sends although somebody said offline."""

    watch: bool = False
    online: bool = False
    offline: bool = False
    report: bool = False


def sync(outputs: Outputs, sweep: SweepFolder, wanted: Wanted) -> Iterator[Sent]:
    """Send what W&B does not have yet, and give what became of each run with news.

    With `watch`, look again until every run has ended and is sent.

    Raises:
        StoreError: nothing of this name was submitted.
        UserError: W&B is offline here, or a mode that it does not know.
    """
    words = words_of(sweep)
    if wanted.offline:
        for run in runs(outputs, sweep):
            yield export(run, sweep, words, place(words))
        return
    check(choose(words), wanted.online)
    while True:
        # Asked first: what a run writes until its end is sent after it has ended.
        over = _over(outputs, sweep)
        yield from _once(outputs, sweep, words)
        if not wanted.watch or over:
            break
        time.sleep(WATCH_SECONDS)
    yield from _finally(outputs, sweep, words, wanted.report)


def _once(outputs: Outputs, sweep: SweepFolder, words: Words) -> Iterator[Sent]:
    """Send each run; when W&B itself does not answer, the others are not waited for."""
    where, away = place(words), ""
    for run in runs(outputs, sweep):
        sent = Sent(run.id, problem=away) if away else send(run, sweep, words, where)
        if sent.away:
            away = "not tried, as W&B did not answer for the run before"
        yield sent


def _finally(outputs: Outputs, sweep: SweepFolder, words: Words, report: bool) -> Iterator[Sent]:
    """Send the sweep's summary, and on request write the W&B Report."""
    where, made = place(words), content(outputs, sweep)
    if changed(sweep, made, where):
        aggregate(outputs, sweep)
        made = content(outputs, sweep)
        yield send_summary(sweep, made, words.tags, where)
    if report:
        try:
            saved = workspace.save(made, sweep.name, where)
            yield Sent(f"{sweep.name} (report)", note=f"saved as {saved}")
        except Exception as error:
            yield Sent(f"{sweep.name} (report)", problem=one_line(error))


def content(outputs: Outputs, sweep: SweepFolder) -> Content:
    """Return what the sweep's report says now, with the figures that were drawn last.

    Raises:
        StoreError: nothing of this name was submitted.
    """
    tables = collect(outputs, sweep)
    drawn = [name for name in FIGURES if (sweep.report / f"{name}.png").exists()]
    summary = summarise(tables, drawn, ())
    columns, rows = means_table(tables)
    curves = [str(name) for name in curves_table(tables).select_dtypes("number")]
    files = [sweep.report / name for name in ("results.csv", "curves.csv", "summary.md")]
    return Content(
        title=summary.title,
        swept=tables.swept,
        facts={f"runs {state}": count for state, count in summary.states.items()},
        verdicts=[(one.sentence, one.verdict, one.numbers) for one in summary.verdicts],
        means=Table(columns, rows),
        metrics=_headline_first(headline_of(sweep.load()), curves),
        pictures=_pictured(tables),
        figures={name: sweep.report / f"{name}.png" for name in drawn},
        files=files,
    )


def _headline_first(headline: str, names: list[str]) -> list[str]:
    shown = [name for name in names if name not in ("epoch", "step", "seconds", "train_seconds")]
    return sorted(shown, key=lambda name: name != headline)


def _pictured(tables: Tables) -> list[str]:
    """The arrays that W&B gets as pictures."""
    found = [pictures({name: array for name, of in one.items() for array in of.values()})
             for one in tables.arrays.values()]  # fmt: skip
    return list(dict.fromkeys(name for made in found for name in made))


def told(sent: Sent) -> str:
    """Return a line about a run, '' when there is no news."""
    rows = f"{sent.rows} row{'s' * (sent.rows != 1)} sent" if sent.rows else ""
    parts = [rows, sent.note]
    parts.append(f"NOT SENT: {sent.problem}" if sent.problem else "")
    words = "; ".join(part for part in parts if part)
    address = f" {sent.url}" if sent.rows and sent.url else ""
    return f"{sent.run}: {words}{address}" if words else ""


def check(choice: Choice, anyway: bool) -> None:
    """Refuse to send where somebody said offline, or where there is no key or network.

    Raises:
        UserError: one line with the reason and what to do.
    """
    if choice.mode == "online" or (choice.said and anyway):
        return
    if choice.said:
        raise UserError(f"W&B is {choice}, so nothing is sent; --online sends all the same")
    raise UserError(f"W&B cannot be reached: {choice.reason}; nothing is sent")


def runs(outputs: Outputs, sweep: SweepFolder) -> list[RunFolder]:
    """Return the runs that the sweep's points need first, then the points' own."""
    points = [outputs.run(str(name)) for name in sweep.load().get("runs", [])]
    needed = [outputs.run(name) for run in points for name in _needed(run)]
    return list({run.id: run for run in (*needed, *points)}.values())


def _needed(run: RunFolder) -> list[str]:
    try:
        wanted = rebuild(*run.config()).prerequisites()
    except (UserError, ValueError):
        # Damaged, not there yet, or of the user's own making: the run itself will tell.
        return []
    return [run_id(experiment, config) for experiment, config in wanted.values()]


def _over(outputs: Outputs, sweep: SweepFolder) -> bool:
    """Whether no run will go on by itself."""
    going = ("queued", "running", "interrupted")
    return not any(run.status().state in going for run in runs(outputs, sweep))
