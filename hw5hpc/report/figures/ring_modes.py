"""Draw the modes that the ring's samples cover against the training step."""

from matplotlib.figure import Figure

from hw5hpc.report import drawing, style
from hw5hpc.report.tables import Tables

MODES = 8


def draw(tables: Tables) -> Figure:
    """Draw modes covered, and the share of good samples when it is there; see FigureEntry.draw."""
    drawing.need(tables.curves, ["modes_covered"])
    columns = [name for name in ("modes_covered", "high_quality_share") if name in tables.curves]
    x = "step" if "step" in tables.curves else "epoch"
    figure, axes = style.grid(1, len(columns), 5, 3.6)
    for one, column in zip(axes[0], columns, strict=True):
        drawing.curves(one, tables, column, x)
    axes[0, 0].set_ylim(-0.3, MODES + 0.5)
    axes[0, 0].axhline(MODES, color=style.GREY, linestyle=":", label="all modes")
    if len(columns) > 1:
        axes[0, 1].set_ylim(0, 1.02)
    style.legend(figure, axes[0, 0])
    return style.finish(figure, tables, "Modes covered against step")
