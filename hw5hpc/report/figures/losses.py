"""Draw the losses along training."""

from matplotlib.figure import Figure

from hw5hpc.report import drawing, looks, names, style
from hw5hpc.report.figures import NothingToDraw
from hw5hpc.report.tables import Tables

COLUMNS = ("loss_discriminator", "loss_generator", "train_loss")


def draw(tables: Tables) -> Figure:
    """Draw each loss that the experiment has; see FigureEntry.draw."""
    columns = [name for name in COLUMNS if name in tables.curves]
    if not columns:
        raise NothingToDraw("no run has recorded a loss yet")
    figure, axes = style.grid(1, len(columns), 5, 3.6)
    drawing.lines(figure, axes[0], tables, columns)
    return style.finish(figure, tables, f"Losses against {names.label(looks.axis(tables.curves))}")
