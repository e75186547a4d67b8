"""Draw each setting's last samples side by side, and below them how much they cover."""

import numpy as np
from matplotlib.figure import Figure

from hw5hpc.report import drawing, lettering, names, style
from hw5hpc.report.figures import FigureEntry, NothingToDraw
from hw5hpc.report.tables import Setting, Tables

SIDE, LIMIT, ACROSS = 8, 8, 4


def draw(tables: Tables, entry: FigureEntry) -> Figure:
    """Draw 8 x 8 samples a setting; see FigureEntry.draw."""
    runs = {one: next(iter(tables.with_array(one, "samples")), "") for one in tables.compared}
    drawn = [setting for setting, run in runs.items() if run]
    if not drawn:
        raise NothingToDraw("no run has kept samples yet")
    shown = style.spread(drawn, LIMIT)
    columns = min(ACROSS, len(shown))
    figure, axes = style.grid(int(np.ceil(len(shown) / columns)), columns, 2.3, 2.6)
    for cell, setting in zip(axes.flat, shown, strict=False):
        kept = tables.arrays[runs[setting]]["samples"]
        drawing.picture(cell, drawing.mosaic(kept[max(kept)], SIDE, SIDE, 255), "")
        cell.set_title(lettering.wrapped(figure, names.setting_name(tables, setting), 10, 2.2),
                       fontsize=10)  # fmt: skip
        cell.set_xlabel(_coverage(tables, setting), fontsize=9)
    for spare in axes.flat[len(shown) :]:
        spare.set_visible(False)
    title = f"{entry.title}, lowest seed"
    return style.finish(figure, tables, title, per_seed=False, shown=len(shown))


def _coverage(tables: Tables, setting: Setting) -> str:
    values = drawing.finals(tables, setting, "classes_covered")
    if not values:
        return "coverage not measured yet"
    # The seeds' own counts: an interval over so few whole numbers would say less.
    low, high, count = min(values), max(values), len(values)
    counts = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    classes = len(tables.class_names) or 10
    return f"{counts} of {classes} classes\n{names.seeds(count, count)}"
