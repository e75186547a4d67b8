"""Write a sweep's report from whatever has finished so far."""

import io
import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from matplotlib.figure import Figure

from hw5hpc.report import markdown, page
from hw5hpc.report.collect import collect
from hw5hpc.report.figures import FIGURES, NothingToDraw, names_for
from hw5hpc.report.summary import curves_table, results_table, summarise, undrawn_figure
from hw5hpc.report.tables import Tables
from hw5hpc.store import Outputs, SweepFolder, files

log = logging.getLogger(__name__)

DPI = 150
# Dates and program versions would make two reports of the same runs differ.
UNDATED = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
}


@dataclass(frozen=True)
class ReportResult:
    """Where the page is, which figures were drawn, and sentences on what is missing."""

    index: Path
    figures: tuple[str, ...]
    missing: tuple[str, ...]


def aggregate(outputs: Outputs, sweep: SweepFolder) -> ReportResult:
    """Write the report: tables, figures, the summary, and the page last.

    Raises:
        StoreError: nothing of this name was submitted.
    """
    sweep.check_folders()
    tables = collect(outputs, sweep)
    files.write_text(sweep.report / "results.csv", results_table(tables).to_csv(index=False))
    files.write_text(sweep.report / "curves.csv", curves_table(tables).to_csv(index=False))
    asked = [str(name) for name in sweep.load().get("report") or []]
    drawn, undrawn = [], []
    for name in dict.fromkeys(asked or names_for(tables.experiment)):
        try:
            _write_figure(name, tables, sweep.report)
            drawn.append(name)
        except NothingToDraw as nothing:
            # Nobody misses a figure that was not asked for by name.
            undrawn += [undrawn_figure(name, str(nothing))] if asked else []
        except Exception as error:
            # One broken figure must not cost a finished sweep its whole report.
            log.exception("figure %s failed", name)
            undrawn.append(undrawn_figure(name, f"{type(error).__name__}: {error}"))
    _drop_stale(sweep.report, drawn)
    summary = summarise(tables, drawn, undrawn)
    files.write_text(sweep.report / "summary.md", markdown.text(summary))
    index = sweep.report / "index.html"
    files.write_text(index, page.html(summary))
    return ReportResult(index, summary.figures, summary.missing)


def _write_figure(name: str, tables: Tables, folder: Path) -> None:
    if name not in FIGURES:
        raise NothingToDraw("there is no figure of this name")
    figure = FIGURES[name].draw(tables)
    images = {kind: _image(figure, kind) for kind in UNDATED}
    for kind, image in images.items():
        files.write_atomic(folder / f"{name}.{kind}", partial(_put, image))


def _image(figure: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=DPI, metadata=UNDATED[kind])
    return buffer.getvalue()


def _put(image: bytes, file: BinaryIO) -> None:
    file.write(image)


def _drop_stale(folder: Path, drawn: list[str]) -> None:
    """Remove figures of an earlier report that this one does not show."""
    for name in FIGURES.keys() - set(drawn):
        for kind in UNDATED:
            files.discard(folder / f"{name}.{kind}")
