"""Draw how well the ring's samples cover its modes against the training step."""

import math

from matplotlib.figure import Figure

from hw5hpc.report import drawing, style
from hw5hpc.report.tables import Tables

MODES = 8
LIMITS = {
    "modes_covered": (-0.3, MODES + 0.5),
    "high_quality_share": (0, 1.02),
    "kl_modes": (0, 1.05 * math.log(MODES)),
}


def draw(tables: Tables) -> Figure:
    """Draw modes covered, the share of good samples and the KL over modes; see FigureEntry.draw."""
    drawing.need(tables.curves, ["modes_covered"])
    columns = [name for name in LIMITS if name in tables.curves]
    x = "step" if "step" in tables.curves else "epoch"
    figure, axes = style.grid(1, len(columns), 4.4, 3.6)
    for one, column in zip(axes[0], columns, strict=True):
        drawing.curves(one, tables, column, x)
        one.set_ylim(LIMITS[column])
    axes[0, 0].axhline(MODES, color=style.GREY, linestyle=":", label="all modes")
    style.legend(figure, axes[0, 0])
    return style.finish(figure, tables, "Modes covered against step")
