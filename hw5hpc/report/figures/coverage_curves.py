"""Draw the coverage of the classes along training: by epoch or step, and by training time."""

import numpy as np
from matplotlib.figure import Figure

from hw5hpc.report import drawing, looks, names, style
from hw5hpc.report.drawing import TIME
from hw5hpc.report.ranges import possible
from hw5hpc.report.tables import Tables

COLUMNS = ("classes_covered", "total_variation")


def draw(tables: Tables) -> Figure:
    """Draw classes covered and total variation, a row for each axis; see FigureEntry.draw."""
    drawing.need(tables.curves, COLUMNS)
    xs = [looks.axis(tables.curves), *([TIME] if _timed(tables) else [])]
    figure, axes = style.grid(len(xs), len(COLUMNS), 5, 3.4)
    for row, x in zip(axes, xs, strict=True):
        for one, column in zip(row, COLUMNS, strict=True):
            drawing.curves(one, tables, column, x)
            high = possible(tables, column)[1]
            one.set_ylim(0, 1.05 * high if np.isfinite(high) else None)
    style.legend(figure, axes[0, 0])
    shown = " and ".join(names.label(x) for x in xs)
    return style.finish(figure, tables, f"Coverage of the classes against {shown}")


def _timed(tables: Tables) -> bool:
    """Whether training times were recorded, on one device: others cannot be compared."""
    recorded = TIME in tables.curves and np.isfinite(tables.curves[TIME]).any()
    return bool(recorded) and tables.results["device"].replace("", None).nunique() == 1
