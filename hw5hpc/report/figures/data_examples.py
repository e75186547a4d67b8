"""Draw a few images of each class of the data set."""

import numpy as np
from matplotlib.figure import Figure

from hw5hpc.report import drawing, names, style
from hw5hpc.report.figures import FigureEntry, NothingToDraw
from hw5hpc.report.tables import Tables


def draw(tables: Tables, entry: FigureEntry) -> Figure:
    """Draw a row for each class; see FigureEntry.draw."""
    runs = (run for one in tables.compared for run in tables.with_array(one, "examples"))
    run = next(runs, "")
    if not run:
        raise NothingToDraw("no run has kept examples of the data yet")
    kept = tables.arrays[run]["examples"]
    images = np.moveaxis(kept[min(kept)], 2, -1)
    classes, count, height, width, channels = images.shape
    flat = images.reshape(-1, height, width, *([channels] if channels == 3 else []))
    figure, axes = style.grid(1, 1, 5.5, 5.1)
    drawing.picture(axes[0, 0], drawing.mosaic(flat, classes, count, 255), "")
    middles = [1 + index * (height + 1) + height / 2 for index in range(classes)]
    axes[0, 0].set_yticks(middles, names.classes(tables, classes))
    axes[0, 0].tick_params(length=0)
    return style.finish(figure, tables, entry.title, per_seed=False)
