"""One look for all figures: colours, axis labels, legends and titles."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from hw5hpc.report import lettering, names
from hw5hpc.report.columns import label
from hw5hpc.report.numbers import ten_to
from hw5hpc.report.tables import Setting, Tables

# Okabe and Ito's colour-blind-safe palette; its yellow is left out, it fades on white.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
# Of more settings the bands would hide the lines, and names below an axis stand upright.
MANY = 12
LINES = ("-", "--", "-.", ":")
GREY = "#666666"
# So many settings can be followed in one picture, and a page holds them; tables hold all.
MOST = 32
# Ink on the light parts of a picture: unlike black it stays dark on a dark page.
ON_PICTURE = "#111111"


@dataclass(frozen=True)
class Look:
    """How a setting is drawn, the same in every figure of a report."""

    colour: str
    marker: str
    line: str = "-"


def looks(tables: Tables) -> dict[Setting, Look]:
    """Return the look of every setting; above seven, colours follow the key with most values."""
    settings = tables.compared
    if not crowded(tables):
        return dict(zip(settings, palette(len(settings)), strict=True))
    main, colours, lines = _factors(settings)
    found = {}
    for setting in settings:
        marker, line = lines[_without(setting, main)]
        found[setting] = Look(colours[setting[main]], marker, line)
    return found


def shown(tables: Tables) -> dict[Setting, Look]:
    """Return the looks of the settings that a figure draws: all, or MOST of them.

    Of many, a few values of the key with most values, each with all values of the other keys.
    """
    every = looks(tables)
    if len(every) <= MOST:
        return every
    main, colours, lines = _factors(list(every))
    values = spread(list(colours), max(MOST // len(lines), 2))
    chosen = [setting for setting in every if setting[main] in values]
    return {setting: every[setting] for setting in spread(chosen, MOST)}


def crowded(tables: Tables) -> bool:
    """Whether there are more settings than colours that can be told apart."""
    return len(tables.compared) > len(PALETTE)


def _factors(settings: list[Setting]) -> tuple[int, dict[Any, str], dict[Setting, tuple[str, str]]]:
    """Return the index of the key with most values, its values' colours, the others' lines."""
    values = [list(dict.fromkeys(column)) for column in zip(*settings, strict=True)]
    main = max(range(len(values)), key=lambda index: len(values[index]))
    count = len(values[main])
    colours = {
        value: to_hex(colormaps["viridis"](i / count)) for i, value in enumerate(values[main])
    }
    rest = dict.fromkeys(_without(setting, main) for setting in settings)
    lines = {one: (MARKERS[i % len(MARKERS)], LINES[i % len(LINES)]) for i, one in enumerate(rest)}
    return main, colours, lines


def palette(count: int) -> list[Look]:
    """Return looks for a few things of one kind; they repeat after seven."""
    return [
        Look(PALETTE[i % len(PALETTE)], MARKERS[i % len(MARKERS)], LINES[i % len(LINES)])
        for i in range(count)
    ]


def _without(setting: Setting, index: int) -> Setting:
    return setting[:index] + setting[index + 1 :]


def legend_name(tables: Tables, setting: Setting, counts: Sequence[int]) -> str:
    """Return a legend entry, '' where settings are crowded and `factors` makes the legend."""
    return "" if crowded(tables) else names.described(tables, setting, counts)


def spread(settings: Sequence[Setting], limit: int) -> list[Setting]:
    """Return at most `limit` settings, evenly spread from the first to the last."""
    if len(settings) <= limit:
        return list(settings)
    return [settings[round(i * (len(settings) - 1) / (limit - 1))] for i in range(limit)]


def grid(
    rows: int, columns: int, width: float, height: float, **options: Any
) -> tuple[Figure, Any]:
    """Return a figure of rows x columns axes (an array), each about width x height inches."""
    figure = Figure(figsize=(columns * width, rows * height + 0.8), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def tidy(axes: Axes, x: str, y: str) -> None:
    """Label the axes (by key) and take away what is not data."""
    axes.set_xlabel(label(x))
    axes.set_ylabel(label(y))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)
    plain_powers(axes)


def plain_powers(axes: Axes) -> None:
    """Write the ticks of logarithmic axes without formulas: 10⁻³."""
    for axis in (axes.xaxis, axes.yaxis):
        if axis.get_scale() in ("log", "symlog"):
            axis.set_major_formatter(FuncFormatter(lambda value, _: _power(value)))
            axis.set_minor_formatter(NullFormatter())


def _power(value: float) -> str:
    exponent = round(math.log10(abs(value))) if value else 0
    if not value or not math.isclose(abs(value), 10.0**exponent) or exponent in (0, 1):
        return f"{value:.3g}"
    return ("−" if value < 0 else "") + ten_to(exponent)


def factors(axes: Axes, tables: Tables) -> None:
    """Where settings are crowded, give the legend an entry a value instead of one a setting."""
    if not crowded(tables):
        return
    main, colours, lines = _factors(tables.compared)
    drawn = shown(tables)
    for value in dict.fromkeys(setting[main] for setting in drawn):
        colour = colours[value]
        words = names.value_name(tables.settings[main], value)
        axes.plot([], [], color=colour, linewidth=3, label=words)
    keys = _without(tuple(tables.settings), main)
    for rest in dict.fromkeys(_without(setting, main) for setting in drawn):
        marker, line = lines[rest]
        pairs = zip(keys, rest, strict=True)
        words = ", ".join(names.value_name(key, value) for key, value in pairs)
        if words:
            axes.plot([], [], line, marker=marker, color=GREY, label=words)


def finish(
    figure: Figure,
    tables: Tables,
    title: str,
    per_seed: bool = True,
    shown: int | None = None,
    bands: bool = False,
) -> Figure:
    """Add the title, with the data set and the length, and the notes that a reader must not miss.

    `per_seed` is whether what is drawn stands for several seeds, where there are several; `shown`
    how many of the settings are drawn, where that may be fewer than there are; `bands` whether its
    lines have bands where they are few. The notes are the figure's label too, for a page that has
    a heading of its own.
    """
    some = shown is not None and shown < len(tables.compared)
    chosen = [f"{shown} of {len(tables.compared):,} settings shown"] if some else []
    if bands and len(tables.compared) > MANY:
        chosen.append(f"no bands, as more than {MANY} settings would hide each other")
    figure.set_label("; ".join([*chosen, *_notes(tables, per_seed)]))
    parts = [part for part in (title, _data(tables), _length(tables)) if part]
    lettering.head(figure, parts, figure.get_label())
    lettering.break_names(figure)
    return figure


def _data(tables: Tables) -> str:
    if tables.source:
        return tables.source
    name, limit = tables.constant("data.name"), tables.constant("data.limit")
    shown = str(names.DATA_TITLES.get(str(name), name)) if name else ""
    return shown + (f", {limit:,} training images" if limit else "")


def _length(tables: Tables) -> str:
    """Return how long the runs trained, where all did alike: '10 epochs, 4,690 steps'."""
    epochs = tables.constant("train.epochs")
    if not epochs:
        return ""
    length = f"{epochs:,} epoch{'' if epochs == 1 else 's'}"
    ended = set(tables.results.loc[tables.results["state"] == "finished", "run"])
    curves = tables.curves[tables.curves["run"].isin(ended)] if len(tables.curves) else None
    if curves is None or "step" not in curves:
        return length
    last = set(curves.groupby("run")["step"].max().dropna().astype(int))
    return f"{length}, {last.pop():,} steps" if len(last) == 1 else length


def _notes(tables: Tables, per_seed: bool) -> list[str]:
    states = tables.results["state"]
    ended = int(states.isin(["finished", "diverged"]).sum())
    notes = [f"{ended} of {len(states)} runs have ended"] if ended < len(states) else []
    failed, diverged = int((states == "failed").sum()), int((states == "diverged").sum())
    notes += [f"{failed} failed"] if failed else []
    notes += [f"{diverged} diverged"] if diverged else []
    if not per_seed or "seed" not in tables.results:
        return notes
    counts = tables.sizes.values()
    if max(counts, default=0) == 1:
        return [*notes, "single seed: no interval"]
    if not crowded(tables):
        return notes
    # Where legends have no room for it; a run that failed is behind no mean.
    whole = [len(tables.finished(one)) for one in tables.compared]
    said = f"{names.seeds(min(whole), max(whole))} of a setting finished"
    return [*notes, said] if max(whole) else notes
