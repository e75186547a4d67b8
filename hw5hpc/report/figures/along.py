"""Draw columns along training, a panel for each: losses, accuracies."""

from matplotlib.figure import Figure

from hw5hpc.report import drawing, style
from hw5hpc.report.figures import FigureEntry
from hw5hpc.report.tables import Tables


def draw(tables: Tables, entry: FigureEntry) -> Figure:
    """Draw one line a setting; see FigureEntry.draw."""
    count = len(entry.needs)
    figure, axes = style.grid(1, count, 5 if count > 1 else 7, 3.6 if count > 1 else 4)
    drawing.lines(figure, axes[0], tables, entry.needs)
    shown = len(style.shown(tables))
    return style.finish(figure, tables, entry.title, shown=shown, bands=True)
