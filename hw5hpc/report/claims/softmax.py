"""Claims of the softmax: no chance is involved, so one run of each setting decides."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from hw5hpc.report.claims.verdict import FAILS, HOLDS, NO_RUNS, OPEN, Ruling, Verdict, ruled
from hw5hpc.report.tables import Tables

# Each format's spacing of numbers at 1, and its largest number.
FORMATS = {
    "float16": (2.0**-10, 65504.0),
    "bfloat16": (2.0**-7, 3.38e38),
    "float32": (2.0**-23, 3.40e38),
    "float64": (2.0**-52, 1.79e308),
}
ROUNDINGS = 4


def overflow(tables: Tables) -> Iterator[Verdict]:
    """Judge whether subtracting the maximum removes every NaN and infinity."""
    results = _ended(tables)
    sentence = "Subtracting the maximum removes every overflow."
    if "shifted_error" not in results or results.empty:
        yield ruled(sentence, _no_runs("shifted_error"))
        return
    naive, shifted = (int(_broken(results, name).sum()) for name in ("naive", "shifted"))
    numbers = f"runs with NaN or infinities: naive {naive}, shifted {shifted}, of {len(results)}"
    verdict = FAILS if shifted else HOLDS if naive else OPEN
    settle = "offsets at which the naive form overflows" if verdict == OPEN else ""
    finding = (
        f"The naive softmax breaks in {naive} of {len(results)} runs, "
        f"with the maximum subtracted in {shifted}."
    )
    yield ruled(sentence, Ruling(verdict, numbers, settle), finding)


def invariant(tables: Tables) -> Ruling:
    """Rule on softmax(x + c) = softmax(x), to ROUNDINGS units of the number format.

    Measured against the softmax of the inputs as rounded, so that the rounding of x + c, which
    is no part of the softmax, does not count; offsets that the format cannot hold are left out.
    """
    results, offset = _ended(tables), "softmax.offset"
    if not {"shifted_stored_error", "softmax.dtype", offset} <= set(results):
        return _no_runs("shifted_stored_error")
    epsilon, largest = (
        results["softmax.dtype"].map({name: found[i] for name, found in FORMATS.items()})
        for i in (0, 1)
    )
    held = results[offset].astype(float) < largest.astype(float)
    units = (results["shifted_stored_error"].astype(float) / epsilon.astype(float))[held]
    if units.empty:
        return _no_runs("shifted_stored_error")
    numbers = f"largest error {units.max():.2g} units over {len(units)} of {len(results)} runs"
    broken = int(units.isna().sum())
    numbers += f", {broken} without a number" if broken else ""
    return Ruling(HOLDS if (units <= ROUNDINGS).all() else FAILS, numbers)


def _ended(tables: Tables) -> pd.DataFrame:
    return tables.results[tables.results["state"].isin(["finished", "diverged"])]


def _no_runs(column: str) -> Ruling:
    return Ruling(NO_RUNS, f"no run has recorded {column!r} yet", "runs that finish")


def _broken(results: pd.DataFrame, method: str) -> "pd.Series[bool]":
    broken = ~results[f"{method}_error"].astype(float).abs().lt(np.inf)
    for kind in ("nan", "inf"):
        broken |= results.get(f"{method}_{kind}", pd.Series(0, results.index)).fillna(0) > 0
    return broken
