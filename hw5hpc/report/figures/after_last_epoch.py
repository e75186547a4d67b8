"""Draw measures of the samples after the last epoch, each between the two ends of its scale."""

from matplotlib.figure import Figure

from hw5hpc.report import drawing, lettering, style
from hw5hpc.report.figures import FigureEntry
from hw5hpc.report.tables import Tables

ACROSS = 4


def draw(tables: Tables, entry: FigureEntry) -> Figure:
    """Draw a panel for each measure; see FigureEntry.draw."""
    drawing.need(tables.results, entry.needs)
    across = min(ACROSS, len(entry.needs))
    figure, axes = style.grid(-(-len(entry.needs) // across), across, 3.6, 3.6)
    for one, column in zip(axes.flat, entry.needs, strict=False):
        drawing.spots(one, tables, column, drawing.final(tables, column))
        drawing.scale_ends(one, tables, column)
        drawing.whole_range(one, tables, column)
    for spare in axes.flat[len(entry.needs) :]:
        spare.set_visible(False)
    lettering.legend(figure, axes[0, -1])
    return style.finish(figure, tables, entry.title, shown=len(style.shown(tables)))
