"""Draw coverage at the end against the ratio of the two learning rates, a line for each depth."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hw5hpc.report import drawing, lettering, names, statistics, style
from hw5hpc.report.columns import possible
from hw5hpc.report.figures import FigureEntry, NothingToDraw
from hw5hpc.report.tables import Tables

DEPTH = "gan.unroll_steps"
RATES = ("optim.lr", "optim.lr_discriminator")
COLUMNS = (("classes_covered", "total_variation"), ("modes_covered", "kl_modes"))
RATIO = "generator's learning rate over the discriminator's"


def draw(tables: Tables, entry: FigureEntry) -> Figure:
    """Draw a panel for each measure; see FigureEntry.draw."""
    others = [key for key in tables.settings if key not in (*RATES, DEPTH)]
    if others:
        raise NothingToDraw(f"the sweep varies {', '.join(others)} too")
    columns = next((pair for pair in COLUMNS if all(map(tables.has, pair))), COLUMNS[0])
    drawing.need(tables.results, [*RATES, *columns])
    results = tables.results[tables.results["state"] == "finished"]
    # Rounded, for 1e-3 / 1e-4 and 2e-3 / 2e-4 differ in their last digit.
    ratios = (results[RATES[0]].astype(float) / results[RATES[1]].astype(float)).round(9)
    if ratios.nunique() < 2:
        raise NothingToDraw("the ratio of the learning rates does not vary")
    figure, axes = style.grid(1, len(columns), 5, 3.8)
    for one, column in zip(axes[0], columns, strict=True):
        _panel(one, tables, results.assign(ratio=ratios), column)
    lettering.legend(figure, axes[0, 0])
    return style.finish(figure, tables, entry.title)


def _panel(axes: Axes, tables: Tables, results: pd.DataFrame, column: str) -> None:
    within = possible(tables, column)
    depths = list(dict.fromkeys(results[DEPTH])) if DEPTH in results else [0]
    for place, (depth, look) in enumerate(zip(depths, style.palette(len(depths)), strict=True)):
        rows = results[results[DEPTH] == depth] if DEPTH in results else results
        # Beside each other, for seeds of two depths often cover the same number of classes.
        shift = 1.12 ** (place - (len(depths) - 1) / 2)
        points = statistics.along(rows, "ratio", column, within)
        counts = [found.n for _, found in points]
        name = f"{names.value_name(DEPTH, depth)} ({names.seeds(min(counts), max(counts))})"
        axes.plot([at for at, _ in points], [found.mean for _, found in points], look.line,
                  color=look.colour, marker=look.marker, markersize=6, label=name)  # fmt: skip
        axes.plot(rows["ratio"] * shift, rows[column], look.marker, color=look.colour, alpha=0.45,
                  markersize=5, markeredgewidth=0)  # fmt: skip
    _scale(axes, sorted(results["ratio"].unique()))
    style.tidy(axes, RATIO, column)
    if np.isfinite(within[1]):
        axes.set_ylim(-0.03 * within[1], 1.05 * within[1])


def _scale(axes: Axes, ratios: list[float]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(ratios, [f"{ratio:g}" for ratio in ratios])
    axes.minorticks_off()
