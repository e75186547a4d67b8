"""Fit words into figures: titles, legends and names of axes, in as many lines as that takes."""

import textwrap

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

# What the handle of a legend's entry and the gaps beside it take, in inches: five letters' heights.
LEGEND_KEY = 5 * 8 / 72
# The height of a line of it, and for how many lines a figure has room as it is.
LEGEND_LINE, LEGEND_LINES = 0.17, 2
# The width that an upright name takes, in inches.
UPRIGHT = 0.12


def head(figure: Figure, parts: list[str], notes: object) -> None:
    """Write the title's parts in one line if they fit, else one a line, and the notes below."""
    joined = " · ".join(parts)
    lines = [*([joined] if _fits(figure, joined, 12) else parts), *([str(notes)] if notes else [])]
    size = 12 if all(_fits(figure, line, 12) for line in lines) else 10
    wrapped = [part for line in lines for part in _wrap(figure, line, size)]
    figure.suptitle("\n".join(wrapped), fontsize=size)


def legend(figure: Figure, axes: Axes) -> None:
    """Put one legend below all axes, so that it never covers data."""
    handles, words = axes.get_legend_handles_labels()
    room = 0.97 * figure.get_figwidth()
    entries = [wrapped(figure, word, 8, room - LEGEND_KEY) for word in words]
    lines = [line for entry in entries for line in entry.splitlines()]
    widest = max((_points(figure, line, 8) / 72 for line in lines), default=0.0) + LEGEND_KEY
    columns = max(1, min(int(room / widest), 4, -(-len(words) // 2)))
    rows = -(-len(words) // columns) * max(
        (len(entry.splitlines()) for entry in entries), default=0
    )
    figure.set_figheight(figure.get_figheight() + LEGEND_LINE * max(rows - LEGEND_LINES, 0))
    figure.legend(
        handles, entries, loc="outside lower center", ncols=columns, fontsize=8, frameon=False
    )


def row_label(axes: Axes, words: str, height: float) -> None:
    """Name a row of pictures `height` inches high, in as many lines as that takes."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    axes.set_ylabel(wrapped(figure, words, 9, height), fontsize=9)


def break_names(figure: Figure) -> None:
    """Break the name of each vertical axis that is longer than the axis, as it is laid out now."""
    engine = figure.get_layout_engine()
    if engine:
        engine.execute(figure)
    for axes in figure.axes:
        axes.apply_aspect()
        name = " ".join(axes.get_ylabel().split())
        room = max(axes.get_position().height * figure.get_figheight(), 1.0)
        if name:
            axes.set_ylabel(wrapped(figure, name, float(axes.yaxis.label.get_fontsize()), room))


def thin(axes: Axes, width: float) -> None:
    """Of upright names below an axes `width` inches wide leave out those that would overlap."""
    names_below = axes.get_xticklabels()
    every = -(-len(names_below) // max(int(width / UPRIGHT), 1))
    if every > 1 and names_below[0].get_rotation() == 90:
        axes.set_xticks(
            axes.get_xticks()[::every], [one.get_text() for one in names_below][::every]
        )


def wrapped(figure: Figure, words: str, size: float, width: float) -> str:
    """Return the words in lines of at most `width` inches."""
    return "\n".join(_wrap(figure, words, size, width))


def _points(figure: Figure, text: str, size: float) -> float:
    """Return a line's width in points (1/72 inch)."""
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    font = FontProperties(size=size)
    width, _, _ = canvas.get_renderer().get_text_width_height_descent(text, font, ismath=False)
    return float(width) * 72 / figure.dpi


def _fits(figure: Figure, text: str, size: float) -> bool:
    return _points(figure, text, size) < 0.97 * 72 * figure.get_figwidth()


def _wrap(figure: Figure, text: str, size: float, width: float | None = None) -> list[str]:
    room = 72 * (0.97 * figure.get_figwidth() if width is None else width)
    if not text:
        return []
    letters = len(text)
    while (
        _points(
            figure,
            max(lines := textwrap.wrap(text, letters, break_on_hyphens=False), key=len),
            size,
        )
        > room
        and letters > 1
    ):
        letters -= 1
    return lines
