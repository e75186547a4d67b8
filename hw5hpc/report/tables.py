"""The tidy tables that every figure, page and summary is made from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Setting = tuple[Any, ...]
Arrays = Mapping[int, NDArray[Any]]


@dataclass(frozen=True)
class Origin:
    """What a run was made from: the code's commit and hash, and the data with their hash."""

    commit: str = ""
    code: str = ""
    modified: bool = False
    data: str = ""
    data_sha256: str = ""


@dataclass(frozen=True)
class Tables:
    """One sweep's runs as tables.

    Attributes:
        name: the sweep's name.
        experiment: the experiment's name.
        swept: the keys that the sweep varies, `seed` included when it is one of them.
        results: one row a run: `run`, `state`, `reason`, every config key (dotted), every final
            metric, `seconds`, `device`, `gpu_hours`; runs without a result have NaN metrics.
        curves: one row a run and look (after every epoch, or more often): `run`, every config
            key, `epoch` (epochs finished), `step`, every metric of metrics.jsonl, and `seconds`,
            `train_seconds`, `step_ms` of timing.jsonl.
        arrays: {run: {array name: {epoch: array}}}.
        source: in words, which copy of the data was used.
        config_keys: the dotted config keys among the columns.
        class_names: the data set's classes in label order; empty when no run has ended yet.
        headline: the metric that is shown first, '' when the experiment names none.
        commits: the git commits that the runs were made from, each once.
        origins: {run: (what it was made from, its Slurm job or '')} of the runs that have begun.
        links: {run: {what is linked: path relative to the report, or address}}, only what is there.
        mirror: the mode of W&B when the sweep was submitted, and why; '' when it was not recorded.
    """

    name: str
    experiment: str
    swept: tuple[str, ...]
    results: pd.DataFrame
    curves: pd.DataFrame
    arrays: dict[str, Mapping[str, Arrays]] = field(default_factory=dict)
    source: str = ""
    config_keys: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    headline: str = ""
    commits: tuple[str, ...] = ()
    origins: dict[str, tuple[Origin, str]] = field(default_factory=dict)
    links: dict[str, dict[str, str]] = field(default_factory=dict)
    mirror: str = ""

    @property
    def classes(self) -> int:
        """How many classes the data have; ten where no run has named them yet."""
        return len(self.class_names) or 10

    @property
    def settings(self) -> list[str]:
        """The swept keys other than the seed: what is compared."""
        return [key for key in self.swept if key != "seed"]

    @cached_property
    def compared(self) -> list[Setting]:
        """The distinct settings in order of appearance; one empty setting when nothing varies."""
        return list(self._results_of)

    @cached_property
    def sizes(self) -> dict[Setting, int]:
        """How many runs each setting has, whatever their state."""
        return {setting: len(places) for setting, places in self._results_of.items()}

    def has(self, name: str) -> bool:
        """Whether any run has a value in this column, or kept an array of this name."""
        frames = (self.results, self.curves)
        columns = any(name in frame and frame[name].notna().any() for frame in frames)
        return columns or any(kept.get(name) for kept in self.arrays.values())

    def rows(self, frame: pd.DataFrame, setting: Setting) -> pd.DataFrame:
        """Return the rows of `results`, `curves` or a part of them that belong to a setting."""
        places = (
            self._results_of if frame is self.results
            else self._curves_of if frame is self.curves
            else _places(frame, self.settings)
        )  # fmt: skip
        return frame.iloc[places.get(setting, [])]

    # Each figure asks for each setting of both.
    @cached_property
    def _results_of(self) -> dict[Setting, NDArray[np.intp]]:
        return _places(self.results, self.settings)

    @cached_property
    def _curves_of(self) -> dict[Setting, NDArray[np.intp]]:
        return _places(self.curves, self.settings)

    def finished(self, setting: Setting) -> pd.DataFrame:
        """Return the results of a setting's finished runs."""
        rows = self.rows(self.results, setting)
        return rows[rows["state"] == "finished"]

    def count(self, setting: Setting, state: str) -> int:
        """Return how many of a setting's runs are in a state."""
        return int((self.rows(self.results, setting)["state"] == state).sum())

    def short_of(self, setting: Setting) -> int:
        """Return how many runs a setting has fewer than the one with most, whatever their state."""
        return max(self.sizes.values(), default=0) - self.sizes.get(setting, 0)

    def constant(self, key: str) -> Any:
        """Return the value of a config key that all runs share, else None."""
        values = set(settings_of(self.results, [key])) if key in self.results else set()
        return values.pop()[0] if len(values) == 1 else None

    def largest(self, key: str, default: float) -> float:
        """Return the largest number that any run has for a config key, `default` when none has."""
        if key not in self.results:
            return default
        found = pd.to_numeric(self.results[key], errors="coerce").max()
        return default if pd.isna(found) else float(found)

    def with_array(self, setting: Setting, name: str) -> Iterator[str]:
        """Yield a setting's runs that kept an array, the lowest seed first.

        To know it, a run's arrays of this name are read: who needs one run looks for no other.
        """
        rows = self.rows(self.results, setting)
        if "seed" in rows:
            rows = rows.sort_values("seed", kind="stable")
        return (run for run in rows["run"] if self.arrays.get(run, {}).get(name))


def _places(frame: pd.DataFrame, keys: list[str]) -> dict[Setting, NDArray[np.intp]]:
    """Return the numbers of the rows of each setting, the settings in order of appearance."""
    codes = np.zeros(len(frame), np.intp)
    for key in set(keys) & set(frame.columns):
        # -1 stands for an absent value.
        of_key, values = pd.factorize(frame[key])
        # Numbered anew each time: products of many keys' numbers would not fit.
        codes, _ = pd.factorize(codes * (len(values) + 1) + of_key + 1)
    order = np.argsort(codes, kind="stable")
    _, begins = np.unique(codes[order], return_index=True)
    groups = np.split(order, begins)[1:]
    firsts = settings_of(frame.iloc[[group[0] for group in groups]], keys)
    return dict(zip(firsts, groups, strict=True))


def settings_of(frame: pd.DataFrame, keys: list[str]) -> list[Setting]:
    """Return each row's values of the keys; an absent value is None, which equals itself."""
    if not keys:
        return [()] * len(frame)
    columns = [_values(frame, key) for key in keys]
    return list(zip(*columns, strict=True))


def _values(frame: pd.DataFrame, key: str) -> list[Any]:
    if key not in frame:
        return [None] * len(frame)
    column = frame[key]
    return column.astype(object).where(column.notna(), None).tolist()
