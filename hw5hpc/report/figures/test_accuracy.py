"""Draw the test accuracy against epoch."""

from matplotlib.figure import Figure

from hw5hpc.report import drawing, looks, names, style
from hw5hpc.report.tables import Tables


def draw(tables: Tables) -> Figure:
    """Draw one line a setting; see FigureEntry.draw."""
    drawing.need(tables.curves, ["test_accuracy"])
    figure, axes = style.grid(1, 1, 7, 4)
    drawing.lines(figure, axes[0], tables, ["test_accuracy"])
    return style.finish(
        figure, tables, f"Test accuracy against {names.label(looks.axis(tables.curves))}"
    )
