"""Draw how the samples' predicted labels spread over the classes."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hw5hpc.report import names, statistics, style
from hw5hpc.report.figures import NothingToDraw
from hw5hpc.report.tables import Setting, Tables

LIMIT = 12
INTERVAL = "95 % interval over seeds"
Shares = NDArray[np.float64]


def draw(tables: Tables) -> Figure:
    """Draw a panel for each setting; see FigureEntry.draw."""
    shares = {setting: _shares(tables, setting, "label_histogram") for setting in tables.compared}
    whole = {setting: found for setting, found in shares.items() if len(found)}
    drawn = {setting: whole[setting] for setting in style.spread(list(whole), LIMIT)}
    if not drawn:
        raise NothingToDraw("no run has kept a label histogram yet")
    real = np.concatenate(
        [_shares(tables, setting, "real_histogram") for setting in tables.compared]
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
    style.legend(figure, axes[0, 0])
    title = "Predicted labels of the samples after the last epoch"
    return style.finish(figure, tables, title, shown=len(drawn))


def _shares(tables: Tables, setting: Setting, name: str) -> Shares:
    """Return the last histogram of each finished run as shares, [runs, classes]."""
    ended = set(tables.finished(setting)["run"])
    runs = [run for run in tables.with_array(setting, name) if run in ended]
    last = [_last(tables.arrays[run][name]) for run in runs]
    counts = [counts for counts in last if counts.sum() > 0]
    if not counts:
        return np.empty((0, len(tables.class_names) or 10))
    return np.stack([one / one.sum() for one in counts])


def _last(arrays: dict[int, NDArray[Any]]) -> Shares:
    return arrays[max(arrays)].astype(np.float64)


def _bars(figure: Figure, axes: Axes, tables: Tables, setting: Setting, shares: Shares) -> None:
    look = style.looks(tables)[setting]
    found = [statistics.estimate(column) for column in shares.T]
    name = names.described(tables, setting, [len(shares)])
    axes.bar(range(len(found)), [one.mean for one in found], color=look.colour, alpha=0.75)
    axes.set_title(style.wrapped(figure, name, 10, 4.9), fontsize=10)
    if len(shares) > 1:
        # A share lies between 0 and 1; the t-interval knows nothing of that and is cut there.
        below = [one.mean - max(one.low, 0) for one in found]
        above = [min(one.high, 1) - one.mean for one in found]
        axes.errorbar(range(len(found)), [one.mean for one in found], [below, above], fmt="none",
                      ecolor="black", elinewidth=1, capsize=3, label=INTERVAL)  # fmt: skip


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
            one.set_ylabel(names.label("share"))
        if index + axes.shape[1] >= drawn:
            one.set_xlabel("class as the classifier labels it")
            one.tick_params("x", labelbottom=True)
