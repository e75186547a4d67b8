"""Draw the confusion matrix of each setting."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hw5hpc.report import lettering, names, style
from hw5hpc.report.figures import FigureEntry, NothingToDraw
from hw5hpc.report.tables import Setting, Tables

LIMIT = 8


def draw(tables: Tables, entry: FigureEntry) -> Figure:
    """Draw a matrix for each setting; see FigureEntry.draw."""
    found = {setting: _matrices(tables, setting) for setting in tables.compared}
    whole = {setting: matrices for setting, matrices in found.items() if matrices}
    drawn = {setting: whole[setting] for setting in style.spread(list(whole), LIMIT)}
    if not drawn:
        raise NothingToDraw("no finished run has kept a confusion matrix yet")
    columns = min(2, len(drawn))
    figure, axes = style.grid(-(-len(drawn) // columns), columns, 5.6, 5.2)
    for one, (setting, matrices) in zip(axes.flat, drawn.items(), strict=False):
        name = names.described(tables, setting, [len(matrices)])
        _matrix(one, tables, np.mean(matrices, axis=0))
        one.set_title(lettering.wrapped(figure, name, 10, 5.2), fontsize=10)
    for spare in axes.flat[len(drawn) :]:
        spare.set_visible(False)
    return style.finish(
        figure,
        tables,
        entry.title,
        shown=len(drawn),
    )


def _matrices(tables: Tables, setting: Setting) -> list[NDArray[Any]]:
    ended = set(tables.finished(setting)["run"])
    kept = [tables.arrays[run]["confusion"] for run in tables.with_array(setting, "confusion")
            if run in ended]  # fmt: skip
    return [percent(arrays[max(arrays)]) for arrays in kept]


def percent(counts: NDArray[Any]) -> NDArray[Any]:
    """Return each row as percent of its sum; a class without images stays at zero."""
    total = counts.sum(axis=1, keepdims=True)
    shares: NDArray[Any] = 100 * counts / np.maximum(total, 1)
    return shares


def _matrix(axes: Axes, tables: Tables, shares: NDArray[Any]) -> None:
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100, interpolation="none")
    classes = len(shares)
    words = names.classes(tables, classes)
    axes.set_xticks(range(classes), words, rotation=40, ha="right", rotation_mode="anchor",
                    fontsize=8)  # fmt: skip
    axes.set_yticks(range(classes), words, fontsize=8)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    for (row, column), share in np.ndenumerate(shares):
        colour = "#ffffff" if share > 55 else style.ON_PICTURE
        axes.text(column, row, f"{share:.0f}", ha="center", va="center", color=colour, fontsize=7)
