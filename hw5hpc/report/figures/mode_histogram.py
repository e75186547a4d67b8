"""Draw how the samples' predicted labels spread over the classes."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hw5hpc.report import lettering, names, statistics, style
from hw5hpc.report.columns import SHARE, label
from hw5hpc.report.figures import FigureEntry, NothingToDraw
from hw5hpc.report.histograms import Shares, last_shares
from hw5hpc.report.tables import Setting, Tables

LIMIT = 12
INTERVAL = "95 % interval over seeds"


def draw(tables: Tables, entry: FigureEntry) -> Figure:
    """Draw a panel for each setting; see FigureEntry.draw."""
    shares = {
        setting: last_shares(tables, setting, "label_histogram") for setting in tables.compared
    }
    whole = {setting: found for setting, found in shares.items() if len(found)}
    drawn = {setting: whole[setting] for setting in style.spread(list(whole), LIMIT)}
    if not drawn:
        raise NothingToDraw("no run has kept a label histogram yet")
    real = np.concatenate(
        [last_shares(tables, setting, "real_histogram") for setting in tables.compared]
    )
    columns = min(2, len(drawn))
    rows = -(-len(drawn) // columns)
    figure, axes = style.grid(rows, columns, 5.4, 2.9, sharey=True, sharex=True)
    for one, (setting, found) in zip(axes.flat, drawn.items(), strict=False):
        _bars(figure, one, tables, setting, found)
        _references(one, real, found.shape[1])
    for spare in axes.flat[len(drawn) :]:
        spare.set_visible(False)
    _ticks(axes, tables, next(iter(drawn.values())).shape[1], len(drawn))
    axes[0, 0].set_ylim(0, min(1.02, axes[0, 0].get_ylim()[1]))
    lettering.legend(figure, axes[0, 0])
    return style.finish(figure, tables, entry.title, shown=len(drawn))


def _bars(figure: Figure, axes: Axes, tables: Tables, setting: Setting, shares: Shares) -> None:
    look = style.looks(tables)[setting]
    found = [statistics.estimate(column, SHARE) for column in shares.T]
    name = names.described(tables, setting, [len(shares)])
    means = [one.mean for one in found]
    axes.bar(range(len(found)), means, color=look.colour, alpha=0.75)
    axes.set_title(lettering.wrapped(figure, name, 10, 4.9), fontsize=10)
    if found[0].has_interval:
        reach = np.transpose([one.reach for one in found])
        axes.errorbar(range(len(found)), means, reach, fmt="none", ecolor="black",
                      elinewidth=1, capsize=3, label=INTERVAL)  # fmt: skip
    elif len(shares) > 1:
        axes.plot(range(len(found)), shares.T, "o", color="black", markersize=3)


def _references(axes: Axes, real: Shares, classes: int) -> None:
    if len(real):
        axes.plot(range(classes), real.mean(0), "_", color="black", markersize=14,
                  markeredgewidth=2, label="real test images, same classifier")  # fmt: skip
    axes.axhline(1 / classes, color=style.GREY, linestyle="--", linewidth=1, label="uniform")


def _ticks(axes: NDArray[Any], tables: Tables, classes: int, drawn: int) -> None:
    words = names.classes(tables, classes)
    for index, one in enumerate(axes.flat[:drawn]):
        one.set_xticks(range(classes), words, rotation=40, ha="right",
                       rotation_mode="anchor")  # fmt: skip
        one.spines[["top", "right"]].set_visible(False)
        if index % axes.shape[1] == 0:
            one.set_ylabel(label("share"))
        if index + axes.shape[1] >= drawn:
            one.set_xlabel("class as the classifier labels it")
            one.tick_params("x", labelbottom=True)
