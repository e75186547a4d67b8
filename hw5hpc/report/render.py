"""Draw one figure in every form that a report needs: PNG, PDF, and wide and narrow for the page."""

import io
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from hw5hpc.report import origin, rc, svg
from hw5hpc.report.figures import FIGURES, NothingToDraw
from hw5hpc.report.tables import Tables
from hw5hpc.store import files

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 150
# The height of a line of the title, in inches.
LINE = 0.22
KINDS = ("png", "pdf")


@dataclass(frozen=True)
class Drawn:
    """A figure as a page shows it; `alternative` is what a screen reader says."""

    name: str
    notes: str
    alternative: str
    wide: svg.Drawing
    narrow: svg.Drawing | None


def warm_up() -> None:
    """Import what drawing takes, earlier than for the first figure."""
    with rc.defaults():
        for module in (
            "figure",
            "backends.backend_agg",
            "backends.backend_pdf",
            "backends.backend_svg",
        ):
            import_module(f"matplotlib.{module}")


def draw(name: str, tables: Tables, folder: Path) -> Drawn:
    """Write name.png and name.pdf, and return the figure for the page.

    Raises:
        NothingToDraw: the tables lack what the figure needs.
    """
    if name not in FIGURES:
        raise NothingToDraw("there is no figure of this name")
    entry = FIGURES[name]
    figure = entry.draw(tables)
    with rc.defaults():
        _lay_out(figure)
        images = {kind: _image(figure, kind, tables, name) for kind in KINDS}
        alternative = " ".join(figure.get_suptitle().split())
        drawn = Drawn(
            name=name,
            notes=str(figure.get_label()),
            alternative=f"{alternative}. {entry.caption}",
            wide=_part(figure, f"{name}-wide"),
            narrow=_narrow(figure, entry.columns, f"{name}-narrow"),
        )
    for kind, image in images.items():
        files.write_atomic(folder / f"{name}.{kind}", partial(_put, image))
    return drawn


def _lay_out(figure: "Figure") -> None:
    """Find the places of all parts, once for several formats; each would do it twice over."""
    figure.set_dpi(DPI)
    figure.set_layout_engine("constrained")
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.execute(figure)
    figure.set_layout_engine(None)


def _image(figure: "Figure", kind: str, tables: Tables, name: str) -> bytes:
    made_from = origin.record(tables, name).text()
    # Dates and program versions would make two reports of the same runs differ.
    metadata = {
        "png": {"Software": None, origin.KEY: made_from},
        "pdf": {"CreationDate": None, "Producer": None, "Creator": None, "Subject": made_from},
    }
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=DPI, metadata=metadata[kind])
    return buffer.getvalue()


def _part(figure: "Figure", prefix: str) -> svg.Drawing:
    """The page has a heading of its own, so the title is left out."""
    lines = figure.get_suptitle().count("\n") + bool(figure.get_suptitle())
    figure.suptitle("")
    figure.set_figheight(figure.get_figheight() - LINE * lines)
    _lay_out(figure)
    buffer = io.BytesIO()
    undated = {"Date": None, "Creator": None}
    figure.savefig(buffer, format="svg", transparent=True, metadata=undated)
    return svg.embed(buffer.getvalue(), prefix)


def _narrow(figure: "Figure", columns: int | None, prefix: str) -> svg.Drawing | None:
    # With matplotlib loaded already, its settings hold here too.
    from hw5hpc.report.phone import narrow

    if columns is None:
        return None
    narrow(figure, columns)
    return _part(figure, prefix)


def _put(image: bytes, file: BinaryIO) -> None:
    file.write(image)
