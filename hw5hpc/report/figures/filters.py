"""Draw the first layer's filters, before and after training."""

from itertools import islice
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hw5hpc.report import drawing, names, style
from hw5hpc.report.figures import FigureEntry, NothingToDraw
from hw5hpc.report.tables import Tables

ROWS, COLUMNS, LIMIT = 4, 16, 8


def draw(tables: Tables, entry: FigureEntry) -> Figure:
    """Draw one 4 x 16 picture for the start and one for each setting; see FigureEntry.draw."""
    panels = _panels(tables)
    if not panels:
        raise NothingToDraw("no run has kept its filters yet")
    columns = 1 if len(panels) <= 4 else 2
    figure, axes = style.grid(-(-len(panels) // columns), columns, 8, 2.1)
    for spare in axes.flat[len(panels) :]:
        spare.set_visible(False)
    for one, (title, weights) in zip(axes.flat, panels, strict=False):
        shown = drawing.mosaic(stretch(weights), ROWS, COLUMNS, 1.0)
        drawing.picture(one, shown, "")
        one.set_title(title, fontsize=10)
    title = f"{entry.title}, single seed"
    rows = min(LIMIT, len(tables.compared))
    return style.finish(figure, tables, title, per_seed=False, shown=rows)


def _panels(tables: Tables) -> list[tuple[str, NDArray[Any]]]:
    """The start of the first run that kept it, then the last epoch of each setting."""
    first: list[tuple[str, NDArray[Any]]] = []
    last: list[tuple[str, NDArray[Any]]] = []
    for setting in style.spread(tables.compared, LIMIT):
        for run in islice(tables.with_array(setting, "filters"), 1):
            kept = tables.arrays[run]["filters"]
            if 0 in kept and not first:
                first.append(("at initialisation", kept[0]))
            if max(kept) > 0:
                name = f"{names.setting_name(tables, setting)}, after epoch {max(kept)}"
                last.append((name, kept[max(kept)]))
    return first + last


def stretch(weights: NDArray[Any]) -> NDArray[Any]:
    """Return filters [n, C, h, w] as images [n, h, w, 3], each from 0 to 1; a flat one is grey."""
    images = np.moveaxis(weights.astype(np.float64), 1, -1)
    if images.shape[-1] == 1:
        images = images.repeat(3, axis=-1)
    low = images.min(axis=(1, 2, 3), keepdims=True)
    span = images.max(axis=(1, 2, 3), keepdims=True) - low
    flat = ~(span > 0)
    shown = np.where(flat, 0.5, (images - low) / np.where(flat, 1, span))
    return np.nan_to_num(shown, nan=0.5)
