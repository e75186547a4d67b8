"""Draw how well the ring's samples cover its modes against the training step."""

import math

from matplotlib.figure import Figure

from hw5hpc.report import drawing, style
from hw5hpc.report.tables import Tables


def _limits(modes: float) -> dict[str, tuple[float, float]]:
    return {
        "modes_covered": (-0.04 * modes, modes + 0.5),
        "high_quality_share": (0, 1.02),
        "kl_modes": (0, 1.05 * math.log(max(modes, 2))),
    }


def draw(tables: Tables) -> Figure:
    """Draw modes covered, the share of good samples and the KL over modes; see FigureEntry.draw."""
    drawing.need(tables.curves, ["modes_covered"])
    modes = tables.largest("ring.modes", 8)
    limits = _limits(modes)
    columns = [name for name in limits if name in tables.curves]
    x = "step" if "step" in tables.curves else "epoch"
    figure, axes = style.grid(1, len(columns), 4.4, 3.6)
    for one, column in zip(axes[0], columns, strict=True):
        drawing.curves(one, tables, column, x)
        one.set_ylim(limits[column])
    axes[0, 0].axhline(modes, color=style.GREY, linestyle=":", label="all modes")
    style.legend(figure, axes[0, 0])
    return style.finish(figure, tables, "Modes covered against step")
