"""Draw the GAN's samples: a row for each setting, a column for each stage."""

from typing import Any

from matplotlib.figure import Figure
from numpy.typing import NDArray

from hw5hpc.report import drawing, lettering, names, style
from hw5hpc.report.figures import FigureEntry, NothingToDraw
from hw5hpc.report.tables import Arrays, Tables

SIDE, LIMIT = 8, 8


def draw(tables: Tables, entry: FigureEntry) -> Figure:
    """Draw 8 x 8 samples a cell; see FigureEntry.draw."""
    shown = style.spread(tables.compared, LIMIT)
    runs = [next(iter(tables.with_array(one, "samples")), None) for one in shown]
    kept: list[Arrays] = [tables.arrays[run]["samples"] if run else {} for run in runs]
    epochs = [epoch for arrays in kept for epoch in arrays]
    if not epochs:
        raise NothingToDraw("no run has kept samples yet")
    columns = drawing.stages(epochs)
    figure, axes = style.grid(len(kept), len(columns), 2.9, 2.68)
    seeds = dict(zip(tables.results["run"], tables.results.get("seed", []), strict=False))
    for row, (setting, run) in enumerate(zip(shown, runs, strict=True)):
        for cell, epoch in zip(axes[row], columns, strict=True):
            drawing.picture(cell, _tiles(kept[row].get(epoch)), f"epoch {epoch}\nnot reached")
        named = names.setting_name(tables, setting)
        words = f"{named} (seed {seeds[run]})" if run in seeds else named
        lettering.row_label(axes[row, 0], words, 2.6)
    for cell, epoch in zip(axes[0], columns, strict=True):
        cell.set_title(f"after epoch {epoch}", fontsize=10)
    title = f"{entry.title}, single seed"
    return style.finish(figure, tables, title, per_seed=False, shown=len(shown))


def _tiles(images: NDArray[Any] | None) -> NDArray[Any] | None:
    return None if images is None else drawing.mosaic(images, SIDE, SIDE, 255)
