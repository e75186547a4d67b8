"""Write a sweep's report from whatever has finished so far."""

import logging
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from hw5hpc.report import markdown, page, render, spreadsheet
from hw5hpc.report.collect import collect
from hw5hpc.report.figures import FIGURES, NothingToDraw, drawable
from hw5hpc.report.summary import curves_table, results_table, summarise, undrawn_figure
from hw5hpc.store import Outputs, SweepFolder, files

log = logging.getLogger(__name__)


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
    drawn: list[render.Drawn] = []
    undrawn: list[str] = []
    for name in dict.fromkeys(asked or drawable(tables)):
        try:
            drawn.append(render.draw(name, tables, sweep.report))
        except NothingToDraw as nothing:
            # Nobody misses a figure that was not asked for by name.
            undrawn += [undrawn_figure(name, str(nothing))] if asked else []
        except Exception as error:
            # One broken figure must not cost a finished sweep its whole report.
            log.exception("figure %s failed", name)
            undrawn.append(undrawn_figure(name, f"{type(error).__name__}: {error}"))
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
