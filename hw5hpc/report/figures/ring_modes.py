"""Draw how well the ring's samples cover its modes against the training step."""

from matplotlib.figure import Figure

from hw5hpc.report import drawing, lettering, style
from hw5hpc.report.figures import FigureEntry
from hw5hpc.report.tables import Tables


def draw(tables: Tables, entry: FigureEntry) -> Figure:
    """Draw modes covered, the share of good samples and the KL over modes; see FigureEntry.draw."""
    x = "step" if "step" in tables.curves else "epoch"
    figure, axes = style.grid(1, len(entry.needs), 4.4, 3.6)
    for one, column in zip(axes[0], entry.needs, strict=True):
        drawing.curves(one, tables, column, x)
        drawing.whole_range(one, tables, column)
    axes[0, 0].axhline(
        tables.largest("ring.modes", 8), color=style.GREY, linestyle=":", label="all modes"
    )
    lettering.legend(figure, axes[0, 0])
    shown = len(style.shown(tables))
    return style.finish(figure, tables, entry.title, shown=shown, bands=True)
