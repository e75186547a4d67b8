"""Draw how real the samples look after the last epoch, each measure between its two ends."""

from matplotlib.figure import Figure

from hw5hpc.report import drawing, ends, style
from hw5hpc.report.tables import Tables

# {measure: the scale's largest value, 0 where it has none}
COLUMNS = {
    "frechet_distance": 0.0,
    "precision": 1.0,
    "recall": 1.0,
    "density": 0.0,
    "coverage": 1.0,
    "diversity": 0.0,
    "near_duplicates": 1.0,
}
ACROSS = 4


def draw(tables: Tables) -> Figure:
    """Draw a panel for each measure; see FigureEntry.draw."""
    drawing.need(tables.results, list(COLUMNS))
    figure, axes = style.grid(-(-len(COLUMNS) // ACROSS), ACROSS, 3.4, 3.1)
    for one, (column, largest) in zip(axes.flat, COLUMNS.items(), strict=False):
        drawing.spots(one, tables, column, drawing.final(tables, column))
        ends.draw(one, tables, column)
        bottom, top = one.get_ylim()
        top = max(top, 1.05 * largest)
        one.set_ylim(min(bottom, -0.03 * top), top)
    for spare in axes.flat[len(COLUMNS) :]:
        spare.set_visible(False)
    style.legend(figure, axes[0, 0])
    return style.finish(figure, tables, "Fidelity of the samples after the last epoch")
