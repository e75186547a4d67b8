"""Draw the final test accuracy against the learning rate, diverged runs included."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hw5hpc.report import drawing, lettering, names, statistics, style
from hw5hpc.report.columns import SHARE
from hw5hpc.report.figures import FigureEntry, NothingToDraw
from hw5hpc.report.tables import Tables, settings_of

KEY = "optim.lr"


def draw(tables: Tables, entry: FigureEntry) -> Figure:
    """Draw a line for each setting of the other keys; see FigureEntry.draw."""
    if KEY not in tables.settings:
        raise NothingToDraw(f"the sweep does not vary {KEY}")
    drawing.need(tables.results, ["test_accuracy"])
    others = [key for key in tables.settings if key != KEY]
    groups = settings_of(tables.results, others)
    variants = list(dict.fromkeys(groups))
    figure, axes = style.grid(1, 1, 7, 4.2)
    for variant, look in zip(variants, style.palette(len(variants)), strict=True):
        rows = tables.results[[found == variant for found in groups]]
        words = ", ".join(names.value_name(k, v) for k, v in zip(others, variant, strict=True))
        _line(axes[0, 0], rows, words or "all runs", look)
    chance = 1 / (len(tables.class_names) or 10)
    _diverged(axes[0, 0], tables.results, chance)
    axes[0, 0].axhline(chance, color=style.GREY, linestyle=":", linewidth=1, label="chance level")
    axes[0, 0].set_xscale("log")
    style.tidy(axes[0, 0], KEY, "test_accuracy")
    lettering.legend(figure, axes[0, 0])
    return style.finish(figure, tables, entry.title)


def _line(axes: Axes, rows: pd.DataFrame, words: str, look: style.Look) -> None:
    finished = rows[rows["state"] == "finished"]
    points = statistics.along(finished, KEY, "test_accuracy", SHARE)
    xs, found = [at for at, _ in points], [one for _, one in points]
    counts = [one.n for one in found]
    name = f"{words} ({names.seeds(min(counts, default=0), max(counts, default=0))})"
    reach = np.transpose([one.reach for one in found]) if found else None
    axes.errorbar(xs, [one.mean for one in found], reach, fmt=f"{look.marker}-",
                  color=look.colour, capsize=4, markersize=6, label=name)  # fmt: skip


def _diverged(axes: Axes, results: pd.DataFrame, chance: float) -> None:
    counts = results.loc[results["state"] == "diverged", KEY].value_counts()
    if not len(counts):
        return
    axes.plot(counts.index.astype(float), [chance] * len(counts), "x", color="black", markersize=9,
              markeredgewidth=2, label="diverged runs (their number above)")  # fmt: skip
    for at, count in counts.items():
        axes.annotate(str(count), (float(str(at)), chance), xytext=(0, 7), fontsize=8, ha="center",
                      textcoords="offset points")  # fmt: skip
