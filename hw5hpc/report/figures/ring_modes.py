"""Draw how well the ring's samples cover its modes against the training step."""

import math

from matplotlib.figure import Figure

from hw5hpc.report import drawing, style
from hw5hpc.report.figures import FigureEntry
from hw5hpc.report.tables import Tables


def _limits(modes: float) -> dict[str, tuple[float, float]]:
    return {
        "modes_covered": (-0.04 * modes, modes + 0.5),
        "high_quality_share": (0, 1.02),
        "kl_modes": (0, 1.05 * math.log(max(modes, 2))),
    }


def draw(tables: Tables, entry: FigureEntry) -> Figure:
    """Draw modes covered, the share of good samples and the KL over modes; see FigureEntry.draw."""
    modes = tables.largest("ring.modes", 8)
    limits = _limits(modes)
    x = "step" if "step" in tables.curves else "epoch"
    figure, axes = style.grid(1, len(limits), 4.4, 3.6)
    for one, column in zip(axes[0], limits, strict=True):
        drawing.curves(one, tables, column, x)
        one.set_ylim(limits[column])
    axes[0, 0].axhline(modes, color=style.GREY, linestyle=":", label="all modes")
    style.legend(figure, axes[0, 0])
    return style.finish(figure, tables, entry.title)
