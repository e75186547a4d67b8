"""One look for all figures: colours, axis labels, legends and titles."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from hw5hpc.data.sets import DATA_SETS
from hw5hpc.report.tables import Setting, Tables

# Okabe and Ito's colour-blind-safe palette; its yellow is left out, it fades on white.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", "-.", ":")
GREY = "#666666"

LABELS: dict[str, str] = {
    "epoch": "epoch",
    "step": "training step",
    "train_seconds": "training time (s)",
    "steps_to_cover": "steps until all stay covered",
    "seed": "seed",
    "loss_generator": "generator loss (nats)",
    "loss_discriminator": "discriminator loss (nats)",
    "train_loss": "training loss (nats)",
    "test_loss": "test loss (nats)",
    "train_accuracy": "training accuracy (share)",
    "test_accuracy": "test accuracy (share)",
    "classes_covered": "classes covered (count)",
    "entropy": "label entropy (nats)",
    "total_variation": "total variation from uniform (0 to 1)",
    "kl_uniform": "KL from uniform (nats)",
    "step_ms": "time of a step (ms)",
    "classifier_accuracy": "classifier's test accuracy (share)",
    "frechet_distance": "Fréchet distance (squared)",
    "precision": "precision (share of samples)",
    "recall": "recall (share of real images)",
    "density": "density (real images: near 1)",
    "coverage": "coverage (share of real images)",
    "diversity": "diversity within a class (relative)",
    "near_duplicates": "near-duplicates (share of samples)",
    "modes_covered": "modes covered (count)",
    "high_quality_share": "high-quality samples (share)",
    "kl_modes": "KL over modes (nats)",
    "error_naive": "largest absolute error, naive",
    "error_shifted": "largest absolute error, shifted",
    "stored_error_naive": "largest error on the stored inputs, naive",
    "stored_error_shifted": "largest error on the stored inputs, shifted",
    "nan_naive": "NaN outputs, naive (count)",
    "nan_shifted": "NaN outputs, shifted (count)",
    "inf_naive": "infinite outputs, naive (count)",
    "inf_shifted": "infinite outputs, shifted (count)",
    "share": "share of samples",
    "gan.unroll_steps": "unrolled discriminator steps",
    "model.batch_norm": "batch norm",
    "model.batch_norm_momentum": "batch norm's momentum",
    "model.batch_norm_eps": "batch norm's epsilon",
    "optim.lr": "learning rate",
    "optim.lr_discriminator": "discriminator's learning rate",
    "optim.eps": "Adam's epsilon",
    "softmax.offset": "offset added to every input",
    "softmax.dtype": "number format",
}

DATA_TITLES = {name: images.title for name, images in DATA_SETS.items()}


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


def label(key: str) -> str:
    """Return an axis label with its unit; an unlisted key stands for itself."""
    return LABELS.get(key, key)


def value_name(key: str, value: Any) -> str:
    """Return one setting's value in words."""
    if key == "gan.unroll_steps":
        return f"{value} unrolled step{'' if value == 1 else 's'}"
    if key == "model.batch_norm":
        return "with batch norm" if value else "without batch norm"
    if key == "model.batch_norm_placement":
        return f"batch norm {str(value).replace('_relu', ' ReLU')}"
    text = f"{value:.3g}" if isinstance(value, float) else str(value)
    return f"{label(key)} {text}"


def setting_name(tables: Tables, setting: Setting) -> str:
    """Return a setting in words."""
    pairs = zip(tables.settings, setting, strict=True)
    return ", ".join(value_name(key, value) for key, value in pairs) or "all runs"


def seeds(lowest: int, highest: int) -> str:
    """Return how many seeds stand behind a mean; a single one is called so."""
    if highest == 0:
        return "no values"
    if lowest != highest:
        return f"n = {lowest} to {highest} seeds"
    return "single seed" if highest == 1 else f"n = {highest} seeds"


def legend_name(tables: Tables, setting: Setting, counts: Sequence[int]) -> str:
    """Return a legend entry, '' where settings are crowded and `factors` makes the legend."""
    return "" if crowded(tables) else described(tables, setting, counts)


def described(tables: Tables, setting: Setting, counts: Sequence[int]) -> str:
    """Return the setting in words, its n, and its diverged runs."""
    words = seeds(min(counts, default=0), max(counts, default=0))
    diverged = tables.count(setting, "diverged")
    lost = f", {diverged} diverged (×)" if diverged else ""
    return f"{setting_name(tables, setting)} ({words}{lost})"


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


def factors(axes: Axes, tables: Tables) -> None:
    """Where settings are crowded, give the legend an entry a value instead of one a setting."""
    if not crowded(tables):
        return
    main, colours, lines = _factors(tables.compared)
    for value, colour in colours.items():
        axes.plot([], [], color=colour, linewidth=3, label=value_name(tables.settings[main], value))
    keys = _without(tuple(tables.settings), main)
    for rest, (marker, line) in lines.items():
        words = ", ".join(value_name(key, value) for key, value in zip(keys, rest, strict=True))
        if words:
            axes.plot([], [], line, marker=marker, color=GREY, label=words)


def legend(figure: Figure, axes: Axes) -> None:
    """Put one legend below all axes, so that it never covers data."""
    handles, names = axes.get_legend_handles_labels()
    # A handle and the gaps beside it take five letters' heights.
    widest = max((_points(figure, name, 8) for name in names), default=1.0) + 5 * 8
    room = 0.97 * 72 * figure.get_figwidth()
    columns = max(1, min(int(room / widest), 4, -(-len(names) // 2)))
    size = 8 * min(1.0, room / widest)
    figure.legend(
        handles, names, loc="outside lower center", ncols=columns, fontsize=size, frameon=False
    )


def finish(figure: Figure, tables: Tables, title: str, per_seed: bool = True) -> Figure:
    """Add the title, with the data set, and the notes that a reader must not miss.

    `per_seed` is whether what is drawn stands for several seeds, where there are several.
    """
    notes = "; ".join(_notes(tables, per_seed))
    parts = [part for part in (title, _data(tables)) if part]
    joined = " · ".join(parts)
    lines = [*([joined] if _fits(figure, joined, 12) else parts), *([notes] if notes else [])]
    size = 12 if all(_fits(figure, line, 12) for line in lines) else 10
    wrapped = [part for line in lines for part in _wrap(figure, line, size)]
    figure.suptitle("\n".join(wrapped), fontsize=size)
    return figure


def _points(figure: Figure, text: str, size: float) -> float:
    """Return a line's width in points (1/72 inch)."""
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    font = FontProperties(size=size)
    width, _, _ = canvas.get_renderer().get_text_width_height_descent(text, font, ismath=False)
    return float(width) * 72 / figure.dpi


def _fits(figure: Figure, text: str, size: float) -> bool:
    return _points(figure, text, size) < 0.97 * 72 * figure.get_figwidth()


def _wrap(figure: Figure, text: str, size: float) -> list[str]:
    letters = len(text)
    while not _fits(figure, max(lines := textwrap.wrap(text, letters), key=len), size):
        letters -= 1
    return lines


def _data(tables: Tables) -> str:
    if tables.source:
        return tables.source
    name, limit = tables.constant("data.name"), tables.constant("data.limit")
    shown = str(DATA_TITLES.get(str(name), name)) if name else ""
    return shown + (f", {limit:,} training images" if limit else "")


def _notes(tables: Tables, per_seed: bool) -> list[str]:
    states = tables.results["state"]
    ended = int(states.isin(["finished", "diverged"]).sum())
    notes = [f"{ended} of {len(states)} runs have ended"] if ended < len(states) else []
    failed, diverged = int((states == "failed").sum()), int((states == "diverged").sum())
    notes += [f"{failed} failed"] if failed else []
    notes += [f"{diverged} diverged"] if diverged else []
    if not per_seed or "seed" not in tables.results:
        return notes
    counts = [len(tables.rows(tables.results, one)) for one in tables.compared]
    if max(counts, default=0) == 1:
        return [*notes, "single seed: no interval"]
    return [*notes, seeds(min(counts), max(counts))] if crowded(tables) else notes
