"""Draw the training loss against epoch."""

from matplotlib.figure import Figure

from hw5hpc.report import drawing, looks, names, style
from hw5hpc.report.tables import Tables


def draw(tables: Tables) -> Figure:
    """Draw one line a setting; see FigureEntry.draw."""
    drawing.need(tables.curves, ["train_loss"])
    figure, axes = style.grid(1, 1, 7, 4)
    drawing.lines(figure, axes[0], tables, ["train_loss"])
    return style.finish(
        figure, tables, f"Training loss against {names.label(looks.axis(tables.curves))}"
    )
