"""Draw the softmax's error against the offset of its inputs, NaN and infinities marked."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hw5hpc.report import lettering, statistics, style
from hw5hpc.report.figures import FigureEntry, NothingToDraw
from hw5hpc.report.tables import Tables

X, KIND = "softmax.offset", "softmax.dtype"
PANELS = {"naive_error": "naive", "shifted_error": "maximum subtracted first"}
BROKEN = ("nan", "inf")


def draw(tables: Tables, entry: FigureEntry) -> Figure:
    """Draw a panel for each method, a line for each number format; see FigureEntry.draw."""
    results = tables.results
    missing = [name for name in (X, KIND, *PANELS) if name not in results]
    if missing:
        raise NothingToDraw(f"no run has recorded {missing[0]!r} yet")
    kinds = list(dict.fromkeys(results[KIND].dropna()))
    floor = _floor(results)
    figure, axes = style.grid(1, 2, 5.2, 4, sharey=True)
    for one, (column, method) in zip(axes[0], PANELS.items(), strict=True):
        for kind, look in zip(kinds, style.palette(len(kinds)), strict=True):
            _kind(one, results[results[KIND] == kind], column, str(kind), look, floor)
        _axes(one, results, column, method, floor)
    axes[0, 0].plot([], [], "x", color="black", label="NaN or infinite output")
    lettering.legend(figure, axes[0, 0])
    return style.finish(figure, tables, entry.title)


def _floor(results: pd.DataFrame) -> float:
    """A place below every positive error, where exact results are drawn."""
    errors = results[list(PANELS)].to_numpy(dtype=float).ravel()
    positive = errors[np.isfinite(errors) & (errors > 0)]
    return float(10.0 ** np.floor(np.log10(positive.min()) - 1)) if len(positive) else 1e-18


def _kind(
    axes: Axes, rows: pd.DataFrame, column: str, kind: str, look: style.Look, floor: float
) -> None:
    whole = rows[~_broken(rows, column)]
    points = statistics.along(whole, X, column)
    ys = [max(found.mean, floor) for _, found in points]
    axes.plot([at for at, _ in points], ys, f"{look.marker}-", color=look.colour, markersize=5,
              label=kind)  # fmt: skip
    bad = sorted(rows.loc[_broken(rows, column), X].astype(float).unique())
    # Crosses of several formats at one offset stand one below the other.
    height = 0.97 - 0.05 * style.PALETTE.index(look.colour)
    (crosses,) = axes.plot(bad, [height] * len(bad), "x", color=look.colour, markersize=7,
                           markeredgewidth=2, transform=axes.get_xaxis_transform(),
                           clip_on=False)  # fmt: skip
    # The layout would reserve room for them as if they stood outside the axes.
    crosses.set_in_layout(False)


def _broken(rows: pd.DataFrame, column: str) -> "pd.Series[bool]":
    """A finished run whose error is no number, or that counted NaN or infinite outputs."""
    method = column.removesuffix("_error")
    counts = [rows[f"{method}_{kind}"] for kind in BROKEN if f"{method}_{kind}" in rows]
    ended = rows["state"].isin(["finished", "diverged"])
    broken: pd.Series[bool] = ended & ~np.isfinite(rows[column].astype(float))
    for count in counts:
        broken |= count.fillna(0) > 0
    return broken


def _axes(axes: Axes, results: pd.DataFrame, column: str, method: str, floor: float) -> None:
    offsets = results[X].dropna().astype(float)
    positive = offsets[offsets > 0]
    axes.set_xscale(
        "symlog", linthresh=float(positive.min()) if len(positive) else 1.0, linscale=0.4
    )
    axes.set_yscale("log")
    axes.set_ylim(floor / 3, 1e3)
    axes.axhline(floor, color=style.GREY, linestyle=":", linewidth=1, label="drawn here: no error")
    style.tidy(axes, X, column)
    axes.set_title(method, fontsize=10)
