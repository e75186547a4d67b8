"""Lay a figure out anew for a phone: fewer panels side by side, text that can be read."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hw5hpc.report import style

# The width of a figure on a phone, in inches: its text is then as large as the page's small print.
PHONE = 4.2


def narrow(figure: Figure, columns: int) -> None:
    """Lay a figure out anew for a phone: `columns` panels side by side, 0 for as many as before."""
    axes = [one for one in figure.axes if one.get_visible()]
    for spare in set(figure.axes) - set(axes):
        spare.remove()
    width, height = figure.get_size_inches()
    if columns:
        _restack(figure, axes, columns)
    else:
        figure.set_size_inches(PHONE, height * PHONE / width)
        for one in axes:
            one.title.set_fontsize(8)
            one.set_ylabel(style.wrapped(figure, one.get_ylabel().replace("\n", " "), 8,
                                   _panel_height(one) * PHONE / width), fontsize=8)  # fmt: skip
    for old in figure.legends[:]:
        words = {text.get_text() for text in old.get_texts()}
        old.remove()
        for one in axes:
            if words == set(one.get_legend_handles_labels()[1]):
                style.legend(figure, one)
                break


def _restack(figure: Figure, axes: list[Axes], columns: int) -> None:
    """Put the panels into rows of `columns`, each with its own names on the axes."""
    width = figure.get_figwidth()
    wide = axes[0].get_position().width * width * 1.15
    tall = max(_panel_height(one) for one in axes) + 0.7
    rows = -(-len(axes) // columns)
    shrunk = min(1.0, PHONE / columns / wide)
    figure.set_size_inches(PHONE, rows * max(tall * shrunk, 1.9 / columns) + 0.4)
    grid = figure.add_gridspec(rows, columns)
    for index, one in enumerate(axes):
        one.set_subplotspec(grid[index // columns, index % columns])
        one.tick_params(labelbottom=one.xaxis.get_visible(), labelleft=True)
        if one.get_title():
            one.set_title(style.wrapped(figure, one.get_title().replace("\n", " "), 9,
                                  PHONE / columns - 0.3), fontsize=9)  # fmt: skip


def _panel_height(axes: Axes) -> float:
    figure = axes.get_figure(root=True)
    assert figure is not None
    return float(axes.get_position().height * figure.get_figheight())
