"""Draw the coverage of the classes against epoch."""

from matplotlib.figure import Figure

from hw5hpc.report import drawing, style
from hw5hpc.report.tables import Tables

COLUMNS = ("classes_covered", "total_variation")


def draw(tables: Tables) -> Figure:
    """Draw classes covered and total variation; see FigureEntry.draw."""
    drawing.need(tables.curves, COLUMNS)
    figure, axes = style.grid(1, 2, 5, 3.6)
    drawing.lines(figure, axes[0], tables, COLUMNS)
    axes[0, 0].set_ylim(0, (len(tables.class_names) or 10) * 1.05)
    axes[0, 1].set_ylim(0, 1)
    return style.finish(figure, tables, "Coverage of the classes against epoch")
