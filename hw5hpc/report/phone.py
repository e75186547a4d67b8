"""Lay a figure out anew for a phone: fewer panels side by side, text that can be read."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hw5hpc.report import lettering

# The width of a figure on a phone, in inches: its text is then as large as the page's small print.
PHONE = 4.2
ACROSS = 3
# Letters of a name below an axis that panels side by side have no room for.
LONG = 8


def narrow(figure: Figure, columns: int) -> None:
    """Lay a figure out anew for a phone: `columns` panels side by side, 0 for its own rows."""
    for spare in [one for one in figure.axes if not one.get_visible()]:
        spare.remove()
    if columns:
        side_by_side = columns if not any(map(_long_names, figure.axes)) else 1
        _restack(figure, figure.axes, side_by_side)
    else:
        _shrink(figure)
    for old in figure.legends[:]:
        words = {_letters(text.get_text()) for text in old.get_texts()}
        old.remove()
        for one in figure.axes:
            if words == {_letters(word) for word in one.get_legend_handles_labels()[1]}:
                lettering.legend(figure, one)
                break
    lettering.break_names(figure)


def _shrink(figure: Figure) -> None:
    """Keep the rows, and of many columns the first, a middle and the last."""
    spec = figure.axes[0].get_subplotspec()
    assert spec is not None
    rows, across, _, _ = spec.get_geometry()
    kept = list(range(across)) if across <= ACROSS else [0, across // 2, across - 1]
    table = [figure.axes[row * across : (row + 1) * across] for row in range(rows)]
    grid = figure.add_gridspec(rows, len(kept))
    width = (PHONE - 0.6) / len(kept)
    tall = max(_room(one, width) for one in figure.axes)
    for row, axes in enumerate(table):
        name = axes[0].get_ylabel().replace("\n", " ")
        axes[0].set_ylabel(lettering.wrapped(figure, name, 8, width), fontsize=8)
        for column, one in enumerate(axes):
            if column in kept:
                one.set_subplotspec(grid[row, kept.index(column)])
                one.title.set_fontsize(8)
            else:
                one.remove()
    figure.set_size_inches(PHONE, rows * tall + 0.1)


def _restack(figure: Figure, axes: list[Axes], columns: int) -> None:
    """Put the panels into rows of `columns`, each with its own names on the axes."""
    width = PHONE / columns
    tall = 0.0
    for one in axes:
        one.tick_params(labelbottom=one.xaxis.get_visible(), labelleft=True)
        if columns > 1 and not one.images and not one.get_title():
            # Beside so low a panel there is no room for its name.
            one.set_title(one.get_ylabel())
            one.set_ylabel("")
        lettering.thin(one, width - 0.6)
        room = width - 0.3 - _beside(one)
        size, room = (9, room) if columns == 1 else (8, room - 0.15)
        one.set_title(
            _wrapped(figure, one.get_title().replace("\n", " "), size, room), fontsize=size
        )
        one.set_xlabel(_wrapped(figure, one.get_xlabel(), size, room), fontsize=size)
        tall = max(tall, _room(one, width - _beside(one)))
    rows = -(-len(axes) // columns)
    legend = lettering.LEGEND_LINE * lettering.LEGEND_LINES if figure.legends else 0.0
    figure.set_size_inches(PHONE, rows * tall + legend)
    grid = figure.add_gridspec(rows, columns)
    for index, one in enumerate(axes):
        one.set_subplotspec(grid[index // columns, index % columns])


def _wrapped(figure: Figure, words: str, size: float, room: float) -> str:
    return "\n".join(
        lettering.wrapped(figure, line, size, room) for line in words.splitlines() if line.strip()
    )


def _letters(words: str) -> str:
    """The words without their breaks, which follow the figure's width."""
    return "".join(words.split())


def _long_names(axes: Axes) -> bool:
    """Whether what stands below an axis would not fit into half of a phone's width."""
    return any(len(tick.get_text()) > LONG for tick in axes.get_xticklabels())


def _beside(axes: Axes) -> float:
    """The width that the words at a picture's left take, in inches."""
    return 1.1 if axes.images and len(axes.get_yticks()) else 0.0


def _room(axes: Axes, width: float) -> float:
    """The height that a panel needs, in inches, its lines of text included."""
    lines = sum(len(text.splitlines()) for text in (axes.get_title(), axes.get_xlabel()))
    slanted = max((len(tick.get_text()) for tick in axes.get_xticklabels()), default=0) > 3
    words = 0.19 * lines + (0.75 if slanted else 0.25 if len(axes.get_xticks()) else 0.05)
    if not axes.images:
        # Panels side by side have their names above them, which makes them tall enough.
        return (0.62 if width > PHONE / 2 else 0.57) * width + words
    height, across = axes.images[0].get_size()
    return width * height / across + words
