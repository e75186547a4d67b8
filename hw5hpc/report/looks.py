"""Pick each run's look at an epoch, a step or a training time, and what follows from all looks."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pandas as pd

from hw5hpc.report.tables import Tables

# What counts what a generator covers, by experiment.
COVERED = {"gan": "classes_covered", "ring": "modes_covered"}


def within_epochs(curves: pd.DataFrame) -> bool:
    """Whether some run was looked at within an epoch, so that epochs no longer name a look."""
    return bool(curves.duplicated(["run", "epoch"]).any())


def axis(curves: pd.DataFrame) -> str:
    """Return the column that a curve is drawn against: `epoch`, or `step` where looks need it."""
    return "step" if "step" in curves and within_epochs(curves) else "epoch"


def after_epoch(curves: pd.DataFrame, epoch: int) -> pd.DataFrame:
    """Return each run's look right after an epoch; later ones within the next do not count."""
    return curves[curves["epoch"] == epoch].drop_duplicates("run")


def at_or_before(curves: pd.DataFrame, x: str, limit: float) -> pd.DataFrame:
    """Return each run's last look at most at `limit` of the column x (`step`, `train_seconds`)."""
    return curves[curves[x] <= limit].drop_duplicates("run", keep="last")


def shared_step(curves: pd.DataFrame, limit: float) -> int | None:
    """Return the last step up to `limit` at which every run was looked at; None when none is."""
    counts = curves.loc[curves["step"] <= limit].groupby("step")["run"].nunique()
    shared = counts.index[counts == curves["run"].nunique()]
    return int(max(shared)) if len(shared) else None


def reached(curves: pd.DataFrame, x: str) -> float:
    """Return the largest value of the column x that every run has reached."""
    return float(curves.groupby("run")[x].max().min())


def held(
    curves: pd.DataFrame, x: str, column: str, ended: Collection[str], points: int = 100
) -> pd.DataFrame:
    """Return `run`, x and the column at common values of x, each run's last look before them.

    x never falls along a run. Times differ from run to run; for a mean over runs they are read at
    the same ones, up to the largest that all of the `ended` runs have reached (all runs, while none
    has ended). A run that stopped before says nothing about what came later.
    """
    seen = curves[curves[x].notna() & curves[column].notna()]
    if seen.empty:
        return seen[["run", x, column]]
    whole = seen[seen["run"].isin(ended)]
    end = reached(seen if whole.empty else whole, x)
    begin = min(float(seen.groupby("run")[x].min().max()), end)
    common, parts = np.linspace(begin, end, points), []
    for run, rows in seen.groupby("run", sort=False):
        own = rows[x].to_numpy()
        # Before its first look, and after its last, a run says nothing.
        at = common[(common >= own[0]) & (common <= own[-1])]
        values = rows[column].to_numpy()[np.searchsorted(own, at, side="right") - 1]
        parts.append(pd.DataFrame({"run": run, x: at, column: values}))
    return pd.concat(parts, ignore_index=True)


def with_steps_to_cover(tables: Tables) -> Tables:
    """Add `steps_to_cover` to the results of a GAN's finished runs.

    The step of the first look from which on all classes (of the ring: modes) were covered at
    every look to the end; NaN when not even the last look covered all.
    """
    column = COVERED.get(tables.experiment)
    if column is None or column not in tables.curves or "step" not in tables.curves:
        return tables
    whole = tables.largest("ring.modes", 8) if column == "modes_covered" else tables.classes
    ended = tables.results.loc[tables.results["state"] == "finished", "run"]
    looks = tables.curves[tables.curves["run"].isin(ended) & tables.curves[column].notna()]
    steps = {run: _covered_from(rows, column, whole) for run, rows in looks.groupby("run")}
    column_of_steps = tables.results["run"].map(steps).astype(float)
    return replace(tables, results=tables.results.assign(steps_to_cover=column_of_steps))


def _covered_from(rows: pd.DataFrame, column: str, whole: float) -> float:
    short = np.flatnonzero((rows[column] < whole).to_numpy())
    later = rows["step"].to_numpy()[short[-1] + 1 :] if len(short) else rows["step"].to_numpy()
    return float(later[0]) if len(later) else float("nan")
