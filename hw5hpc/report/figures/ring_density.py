"""Draw where the ring's samples lie: a row for each setting, a column for each step."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from hw5hpc.report import lettering, names, style
from hw5hpc.report.figures import FigureEntry, NothingToDraw
from hw5hpc.report.tables import Arrays, Tables

COLUMNS, BINS, LIMIT = 6, 100, 8


def draw(tables: Tables, entry: FigureEntry) -> Figure:
    """Draw the density of the lowest seed's samples; see FigureEntry.draw."""
    settings = style.spread(tables.compared, LIMIT)
    runs = [next(iter(tables.with_array(one, "samples")), "") for one in settings]
    kept = [_by_step(tables, run) for run in runs]
    steps = sorted({step for arrays in kept for step in arrays})
    if not steps:
        raise NothingToDraw("no run has kept samples yet")
    shown = [
        steps[i] for i in np.unique(np.linspace(0, len(steps) - 1, COLUMNS).round().astype(int))
    ]
    limit = _limit([array for arrays in kept for array in arrays.values()])
    figure, axes = style.grid(len(kept), len(shown), 1.7, 1.6)
    for row, (setting, arrays) in enumerate(zip(settings, kept, strict=True)):
        for cell, step in zip(axes[row], shown, strict=True):
            _density(cell, arrays.get(step), limit)
        lettering.row_label(axes[row, 0], names.setting_name(tables, setting), 1.55)
    for cell, step in zip(axes[0], shown, strict=True):
        cell.set_title(f"step {step:,}", fontsize=10)
    title = f"{entry.title}, single seed"
    return style.finish(figure, tables, title, per_seed=False, shown=len(settings))


def _by_step(tables: Tables, run: str) -> Arrays:
    """Key the samples by training step; the store keys them by epoch."""
    kept = tables.arrays.get(run, {}).get("samples", {})
    # The samples of an epoch are those of its end, the first row that has finished it.
    rows = tables.curves[tables.curves["run"] == run].drop_duplicates("epoch")
    steps = dict(zip(rows["epoch"], rows["step"], strict=True)) if "step" in rows else {}
    return {int(steps.get(epoch, epoch)): array for epoch, array in kept.items()}


def _limit(samples: list[NDArray[Any]]) -> float:
    """Half the width of every panel: stray samples of an early step must not set it."""
    reach = [float(np.nanpercentile(np.abs(array), 99)) for array in samples if array.size]
    return 1.25 * max(float(np.median(reach)), 1.0)


def _density(axes: Axes, points: NDArray[Any] | None, limit: float) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    if points is None:
        axes.text(0.5, 0.5, "not reached", ha="center", va="center", transform=axes.transAxes)
        return
    edges = np.linspace(-limit, limit, BINS + 1)
    counts, _, _ = np.histogram2d(points[:, 1], points[:, 0], bins=(edges, edges))
    # Without the root a collapsed generator's one spot would hide all weaker ones.
    density = np.sqrt(gaussian_filter(counts, 1.5))
    axes.imshow(density, origin="lower", cmap="viridis", extent=(-limit, limit, -limit, limit),
                interpolation="none")  # fmt: skip
