"""Draw what one training step costs, for each setting."""

from matplotlib.figure import Figure

from hw5hpc.report import drawing, lettering, style
from hw5hpc.report.figures import FigureEntry
from hw5hpc.report.tables import Tables


def draw(tables: Tables, entry: FigureEntry) -> Figure:
    """Draw milliseconds a step; see FigureEntry.draw."""
    drawing.need(tables.curves, ["step_ms"])
    medians = tables.curves.groupby("run")["step_ms"].median().dropna().to_dict()
    values = {
        setting: [
            medians[run] for run in tables.rows(tables.results, setting)["run"] if run in medians
        ]
        for setting in style.shown(tables)
    }
    figure, axes = style.grid(1, 1, max(6, 0.6 * len(values)), 4)
    drawing.spots(axes[0, 0], tables, "step_ms", values)
    axes[0, 0].set_ylim(0, 1.1 * axes[0, 0].get_ylim()[1])
    lettering.legend(figure, axes[0, 0])
    devices = ", ".join(sorted({str(name) for name in tables.results["device"] if name}))
    title = entry.title + (f" on {devices}" if devices else "")
    return style.finish(figure, tables, title, shown=len(values))
