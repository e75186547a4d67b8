"""The few ways of drawing that several figures share."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from hw5hpc.report import lettering, looks, statistics, style
from hw5hpc.report.columns import label, possible
from hw5hpc.report.ends import ENDS, level
from hw5hpc.report.figures import NothingToDraw
from hw5hpc.report.numbers import power
from hw5hpc.report.tables import Setting, Tables

TIME = "train_seconds"
# Of the height of an axes: so many points fit one above the other.
ROOM = 60
# Seeds of one setting: so many stand side by side, each this far from the last; up to FEW are big.
SLOTS, SLOT, FEW = 10, 0.045, 12
# The slots that a point and the number of seeds it stands for take.
COUNTED = 4


def need(frame: pd.DataFrame, columns: Sequence[str]) -> None:
    """Raise NothingToDraw unless every column is there and holds a finite number."""
    for name in columns:
        if name not in frame or not np.isfinite(frame[name].astype(float)).any():
            raise NothingToDraw(f"no run has recorded {name!r} yet")


def lines(figure: Figure, axes: Sequence[Axes], tables: Tables, columns: Sequence[str]) -> None:
    """Draw one column an axes along training, and one legend for all."""
    need(tables.curves, columns)
    x = looks.axis(tables.curves)
    for one, column in zip(axes, columns, strict=True):
        curves(one, tables, column, x)
    lettering.legend(figure, axes[0])


def curves(axes: Axes, tables: Tables, column: str, x: str = "epoch") -> None:
    """Draw a metric along training: a mean line and a 95 % band for each setting.

    Where there are too few seeds for an interval, their own points stand beside the line.
    """
    within = possible(tables, column)
    for setting, look in style.shown(tables).items():
        rows = tables.rows(tables.curves, setting)
        read = rows
        if x == TIME:
            read = looks.held(rows, x, column, set(tables.finished(setting)["run"]))
        points = statistics.along(read, x, column, within)
        name = style.legend_name(tables, setting, [found.n for _, found in points])
        _line(axes, points, look, name, bands=len(tables.compared) <= style.MANY)
        bare = [at for at, found in points if found.n > 1 and not found.has_interval]
        if bare:
            # Times are each run's own, so there the points stand at no common ones.
            seen = rows if x == TIME else rows[rows[x].isin(bare)]
            axes.plot(seen[x], seen[column], ".", color=look.colour, alpha=0.6, markersize=4)
        _crosses(axes, tables, setting, rows, (x, column), look)
    style.factors(axes, tables)
    style.tidy(axes, x, column)
    if x != TIME:
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
        if tables.curves[x].nunique() == 1:
            # Around a single place the ticks would be fractions of an epoch.
            axes.set_xlim(tables.curves[x].iloc[0] - 1, tables.curves[x].iloc[0] + 1)
    if "loss" in column:
        _widen(axes, tables.curves[column])


def _widen(axes: Axes, values: "pd.Series[float]") -> None:
    """One loss that ran away must not press all others flat."""
    finite = values[np.isfinite(values)]
    if finite.min() > 0 and finite.max() > 50 * finite.median():
        axes.set_yscale("log")
        style.plain_powers(axes)


def _line(
    axes: Axes,
    points: Sequence[tuple[float, statistics.Estimate]],
    look: style.Look,
    name: str,
    bands: bool,
) -> None:
    xs = [at for at, _ in points]
    marker = look.marker if len(points) <= 12 else ""
    means = [found.mean for _, found in points]
    axes.plot(xs, means, look.line, color=look.colour, marker=marker, markersize=4, label=name)
    low, high = [found.low for _, found in points], [found.high for _, found in points]
    if bands and np.isfinite(low).any():
        axes.fill_between(xs, low, high, color=look.colour, alpha=0.18, linewidth=0)


def _crosses(
    axes: Axes,
    tables: Tables,
    setting: Setting,
    rows: pd.DataFrame,
    names: tuple[str, str],
    look: style.Look,
) -> None:
    """Mark where each diverged run was last seen with a finite value."""
    x, column = names
    results = tables.rows(tables.results, setting)
    for run in results.loc[results["state"] == "diverged", "run"]:
        seen = rows[(rows["run"] == run) & np.isfinite(rows[column])]
        if len(seen):
            last = seen.iloc[-1]
            axes.plot([last[x]], [last[column]], "x", color=look.colour, markersize=8, zorder=5)


def spots(
    axes: Axes, tables: Tables, column: str, values: Mapping[Setting, Sequence[float]]
) -> None:
    """Draw for each setting its seeds as faint points, and their mean with a 95 % interval.

    Settings stand side by side, whatever their values.
    """
    within = possible(tables, column)
    every = [value for found in values.values() for value in found if np.isfinite(value)]
    step = (max(every) - min(every)) / ROOM if every else 0.0
    for at, (setting, look) in enumerate(style.shown(tables).items()):
        found = statistics.estimate(values[setting], within)
        name = style.legend_name(tables, setting, [found.n])
        _seeds(axes, at - 0.12, values[setting], step, look)
        reach = [[one] for one in found.reach] if found.has_interval else None
        axes.errorbar([at], [found.mean], reach, fmt=look.marker, color=look.colour, capsize=5,
                      markersize=8, linewidth=1.8, label=name)  # fmt: skip
    keys = tables.settings
    style.factors(axes, tables)
    style.tidy(axes, ",\n".join(map(label, keys)) or "all runs", column)
    _ticks(axes, tables)
    axes.margins(x=0.12 if len(values) < style.MANY else 0.03)


def _seeds(
    axes: Axes, right: float, values: Sequence[float], step: float, look: style.Look
) -> None:
    """Draw each value once, side by side where they would cover each other, left of `right`."""
    places = beside([value for value in values if np.isfinite(value)], step)
    small = len(values) > FEW
    axes.plot([right - SLOT * place for place, _, _ in places], [at for _, at, _ in places],
              look.marker if not small else "o", color=look.colour, alpha=0.6 if small else 0.35,
              markersize=2.2 if small else 5, markeredgewidth=0)  # fmt: skip
    for place, at, count in places:
        if count > 1:
            axes.annotate(f"×{count}", (right - SLOT * place, at), (-3, 0), ha="right",
                          textcoords="offset points", va="center", fontsize=6.5,
                          color=style.GREY)  # fmt: skip


def beside(values: Sequence[float], step: float) -> list[tuple[int, float, int]]:
    """Return (slot, value, count) of points that do not cover each other.

    Values closer than `step` take slots 0, 1, … side by side. More equal values than there are
    slots are one point, beside the others, that stands for `count` of them.
    """
    rows: dict[int, list[float]] = {}
    for value in sorted(values):
        rows.setdefault(round(value / step) if step else 0, []).append(value)
    found: list[tuple[int, float, int]] = []
    for row in rows.values():
        counts = Counter(row)
        single = [at for at in row if counts[at] <= SLOTS]
        found += [(slot % SLOTS, at, 1) for slot, at in enumerate(single)]
        many = [(at, count) for at, count in counts.items() if count > SLOTS]
        free = min(len(single), SLOTS)
        found += [(free + COUNTED * i, at, count) for i, (at, count) in enumerate(many)]
    return found


def _ticks(axes: Axes, tables: Tables) -> None:
    words = [", ".join(map(_short, setting)) for setting in style.shown(tables)]
    axes.set_xticks(range(len(words)), words)
    if len(words) > style.MANY:
        axes.tick_params("x", rotation=90, labelsize=7)
        spec, figure = axes.get_subplotspec(), axes.get_figure(root=True)
        assert spec is not None and figure is not None
        lettering.thin(axes, 0.7 * figure.get_figwidth() / spec.get_gridspec().ncols)
    elif len(tables.settings) > 1:
        for tick in axes.get_xticklabels():
            tick.set(rotation=30, ha="right", rotation_mode="anchor")


def _short(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return power(value) if isinstance(value, float) else str(value)


def final(tables: Tables, column: str) -> dict[Setting, list[float]]:
    """Return each drawn setting's final values of a metric, one a finished run that has it."""
    return {setting: finals(tables, setting, column) for setting in style.shown(tables)}


def finals(tables: Tables, setting: Setting, column: str) -> list[float]:
    """Return a setting's final values of a metric, one a finished run that has it."""
    if column not in tables.results:
        return []
    found: list[float] = tables.finished(setting)[column].dropna().tolist()
    return found


def mosaic(images: NDArray[Any], rows: int, columns: int, fill: float) -> NDArray[Any]:
    """Return images [n, H, W] or [n, H, W, 3] as one picture with one pixel of `fill` between."""
    images = images[: rows * columns]
    height, width = images.shape[1:3]
    shape = (rows * (height + 1) + 1, columns * (width + 1) + 1, *images.shape[3:])
    picture = np.full(shape, fill, dtype=images.dtype)
    for index, image in enumerate(images):
        top, left = 1 + index // columns * (height + 1), 1 + index % columns * (width + 1)
        picture[top : top + height, left : left + width] = image
    return picture


def picture(axes: Axes, image: NDArray[Any] | None, absent: str) -> None:
    """Show an image without ticks, or say why there is none."""
    axes.set_xticks([])
    axes.set_yticks([])
    if image is None:
        axes.set_facecolor((0.5, 0.5, 0.5, 0.15))
        axes.text(0.5, 0.5, absent, ha="center", va="center", transform=axes.transAxes, fontsize=8)
        return
    axes.spines[:].set_visible(False)
    axes.imshow(image, cmap="gray", vmin=0, vmax=255 if image.dtype == np.uint8 else 1,
                interpolation="none")  # fmt: skip


def stages(epochs: Sequence[int]) -> list[int]:
    """Return the first, a middle and the last of the epochs, each once."""
    ordered = sorted(set(epochs))
    return sorted({ordered[0], ordered[len(ordered) // 2], ordered[-1]})


def whole_range(axes: Axes, tables: Tables, column: str) -> None:
    """Let the axis reach over all that a column can be; an open end stays where it is."""
    high = possible(tables, column)[1]
    top = high if np.isfinite(high) else axes.get_ylim()[1]
    axes.set_ylim(-0.03 * top, 1.05 * top)


def scale_ends(axes: Axes, tables: Tables, column: str) -> None:
    """Draw the ends as dotted lines, named on the right, outside of the data.

    The upper one's name stands above its line and the lower one's below, so they never collide.
    """
    found = {words: level(tables, prefix + column) for prefix, words in ENDS.items()}
    ends = sorted((at, words) for words, at in found.items() if at is not None)
    for index, (at, words) in enumerate(ends):
        axes.axhline(at, color=style.GREY, linestyle=":", linewidth=1.2)
        side = "bottom" if index == len(ends) - 1 else "top"
        axes.annotate(words.split()[0], (1, at), xycoords=("axes fraction", "data"),
                      xytext=(3, 0), textcoords="offset points", ha="left", va=side, fontsize=8,
                      color=style.GREY)  # fmt: skip
