"""Draw the coverage of the classes along training: by epoch or step, and by training time."""

import numpy as np
from matplotlib.figure import Figure

from hw5hpc.report import drawing, lettering, looks, style
from hw5hpc.report.drawing import TIME
from hw5hpc.report.figures import FigureEntry
from hw5hpc.report.tables import Tables


def draw(tables: Tables, entry: FigureEntry) -> Figure:
    """Draw classes covered and total variation, a row for each axis; see FigureEntry.draw."""
    columns = entry.needs
    drawing.need(tables.curves, columns)
    xs = [looks.axis(tables.curves), *([TIME] if _timed(tables) else [])]
    figure, axes = style.grid(len(xs), len(columns), 5, 3.4)
    for row, x in zip(axes, xs, strict=True):
        for one, column in zip(row, columns, strict=True):
            drawing.curves(one, tables, column, x)
            drawing.whole_range(one, tables, column)
    lettering.legend(figure, axes[0, 0])
    shown = len(style.shown(tables))
    return style.finish(figure, tables, entry.title, shown=shown, bands=True)


def _timed(tables: Tables) -> bool:
    """Whether training times were recorded, on one device: others cannot be compared."""
    recorded = TIME in tables.curves and np.isfinite(tables.curves[TIME]).any()
    return bool(recorded) and tables.results["device"].replace("", None).nunique() == 1
