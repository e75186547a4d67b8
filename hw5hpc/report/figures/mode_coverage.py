"""Draw how many classes the samples cover after the last epoch, for each setting."""

import numpy as np
from matplotlib.figure import Figure

from hw5hpc.report import drawing, ends, style
from hw5hpc.report.tables import Tables

LIMITS = {"classes_covered": 10.0, "entropy": float(np.log(10)), "total_variation": 0.9}


def draw(tables: Tables) -> Figure:
    """Draw classes covered, entropy and total variation; see FigureEntry.draw."""
    drawing.need(tables.results, list(LIMITS))
    figure, axes = style.grid(1, len(LIMITS), 3.8, 4)
    for one, (column, largest) in zip(axes[0], LIMITS.items(), strict=True):
        drawing.spots(one, tables, column, drawing.final(tables, column))
        ends.draw(one, tables, column)
        one.set_ylim(-0.03 * largest, 1.05 * largest)
    style.legend(figure, axes[0, 1])
    return style.finish(figure, tables, "Coverage of the classes after the last epoch")
