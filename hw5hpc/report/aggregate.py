"""Write a sweep's report from whatever has finished so far."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path

from hw5hpc.report import markdown, page, render, spreadsheet
from hw5hpc.report.collect import collect
from hw5hpc.report.figures import FIGURES, drawable
from hw5hpc.report.gallery import Undrawn, draw_all
from hw5hpc.report.summary import curves_table, results_table, summarise, undrawn_figure
from hw5hpc.store import Outputs, SweepFolder, files


@dataclass(frozen=True)
class ReportResult:
    """Where the page is, which figures were drawn, and sentences on what is missing."""

    index: Path
    figures: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Maker:
    """What made a report: a sentence for the page, and the id of the submission that it ends."""

    words: str = "Made by hand, not by a submission's report job."
    submission: str = ""


def warm_up() -> None:
    """Load what a report takes, for a caller who has the time before the runs have ended."""
    render.warm_up()
    page.template()


def aggregate(outputs: Outputs, sweep: SweepFolder, maker: Maker | None = None) -> ReportResult:
    """Write the report: tables, figures, the summary, and the page last.

    Raises:
        StoreError: nothing of this name was submitted.
    """
    sweep.check_folders()
    tables = collect(outputs, sweep)
    files.write_text(sweep.report / "results.csv", spreadsheet.text(results_table(tables)))
    files.write_text(sweep.report / "curves.csv", spreadsheet.text(curves_table(tables)))
    asked = [str(name) for name in sweep.load().get("report") or []]
    wanted = list(dict.fromkeys(asked or drawable(tables)))
    outcomes = list(zip(wanted, draw_all(wanted, tables, sweep.report), strict=True))
    drawn = [one for _, one in outcomes if isinstance(one, render.Drawn)]
    undrawn = [
        undrawn_figure(name, one.why)
        for name, one in outcomes
        # Nobody misses a figure that was not asked for by name.
        if isinstance(one, Undrawn) and (asked or one.broken)
    ]
    shown = [one.name for one in drawn]
    _drop_stale(sweep.report, shown)
    summary = summarise(tables, shown, undrawn)
    files.write_text(sweep.report / "summary.md", markdown.text(summary))
    index = sweep.report / "index.html"
    maker = maker or Maker()
    files.write_text(index, page.html(summary, drawn, maker.words))
    sweep.set_report_origin({**asdict(maker), "time": time.time()})
    return ReportResult(index, summary.figures, summary.missing)


def _drop_stale(folder: Path, drawn: list[str]) -> None:
    """Remove figures of an earlier report that this one does not show."""
    for name in FIGURES.keys() - set(drawn):
        for kind in render.KINDS:
            files.discard(folder / f"{name}.{kind}")
