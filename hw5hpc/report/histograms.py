"""How the labels of a setting's samples spread over the classes at the end, as shares."""

import numpy as np
from numpy.typing import NDArray

from hw5hpc.report.tables import Setting, Tables

Shares = NDArray[np.float64]


def last_shares(tables: Tables, setting: Setting, name: str) -> Shares:
    """Return the last histogram of each finished run as shares, [runs, classes]; lowest seed first.

    `name` is the array's: `label_histogram` of the samples, `real_histogram` of the test images.
    """
    ended = set(tables.finished(setting)["run"])
    runs = [run for run in tables.with_array(setting, name) if run in ended]
    kept = [tables.arrays[run][name] for run in runs]
    last = [arrays[max(arrays)].astype(np.float64) for arrays in kept]
    counts = [one for one in last if one.sum() > 0]
    if not counts:
        return np.empty((0, tables.classes))
    return np.stack([one / one.sum() for one in counts])
