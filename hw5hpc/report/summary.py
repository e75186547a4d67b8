"""The words and rows that the page and the summary share."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from hw5hpc.report.claims import Verdict, judge
from hw5hpc.report.columns import label, possible
from hw5hpc.report.ends import ENDS, level
from hw5hpc.report.figures import FIGURES
from hw5hpc.report.names import setting_name
from hw5hpc.report.numbers import figures, interval
from hw5hpc.report.statistics import estimate
from hw5hpc.report.tables import Tables, settings_of

FACTS = ("run", "state", "reason", "seconds", "device", "gpu_hours")


@dataclass(frozen=True)
class Summary:
    """Everything a report says, as plain text and rows."""

    tables: Tables
    figures: tuple[str, ...]
    missing: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    undrawn: tuple[str, ...] = ()

    @property
    def states(self) -> dict[str, int]:
        """How many runs are in each state, most first."""
        counts = self.tables.results["state"].value_counts()
        return {str(state): int(count) for state, count in counts.items()}

    @property
    def title(self) -> str:
        synthetic = self.tables.constant("data.name") == "synthetic"
        return f"{self.tables.name}: {self.tables.experiment}" + (
            " (SYNTHETIC data)" if synthetic else ""
        )


def summarise(tables: Tables, figures: Sequence[str], undrawn: Sequence[str]) -> Summary:
    """Return what there is to say; `undrawn` holds a sentence for each figure left out."""
    missing = (*missing_runs(tables), *mixed_data(tables), *fewer_seeds(tables), *undrawn)
    return Summary(tables, tuple(figures), missing, tuple(judge(tables)), tuple(undrawn))


@dataclass(frozen=True)
class Missing:
    """Runs that lack a result for one reason; `words` says how many and why."""

    words: str
    members: tuple[str, ...]


def missing_groups(summary: Summary) -> list[Missing]:
    """Return mixed data, what has not finished (the most first), and what is not drawn."""
    groups: dict[tuple[str, str], list[str]] = {}
    tables = summary.tables
    for _, row in tables.results[tables.results["state"] != "finished"].iterrows():
        groups.setdefault((row["state"], row["reason"]), []).append(_named(tables, row))
    found = sorted(groups.items(), key=lambda item: -len(item[1]))
    runs = [Missing(_grouped(*key, len(members)), tuple(members)) for key, members in found]
    fewer = tuple(fewer_seeds(tables))
    if fewer:
        runs.append(Missing("settings with fewer seeds than others", fewer))
    count = len(summary.undrawn)
    figures = [Missing(f"{count} figure{'s' * (count != 1)} not drawn", summary.undrawn)]
    mixed = tuple(mixed_data(tables))
    data = [Missing("Data of different content in one sweep", mixed)] if mixed else []
    return [*data, *runs, *(figures if count else [])]


def _grouped(state: str, reason: str, count: int) -> str:
    return f"{count} run{'s' * (count != 1)} {state}" + (f": {reason}" if reason else "")


def _named(tables: Tables, row: "pd.Series[Any]") -> str:
    swept = ", ".join(f"{key} = {row.get(key)}" for key in tables.swept)
    return f"run {row['run']}" + (f" ({swept})" if swept else "")


def undrawn_figure(name: str, reason: str) -> str:
    """Return the sentence for a figure that could not be drawn."""
    title = FIGURES[name].title if name in FIGURES else name
    return f"figure {name} ({title}) is not drawn: {reason}"


def missing_runs(tables: Tables) -> list[str]:
    """Return a sentence for each run that has not finished, or whose files are damaged."""
    sentences = []
    results = tables.results
    for _, row in results[(results["state"] != "finished") | (results["reason"] != "")].iterrows():
        why = f": {row['reason']}" if row["reason"] else ""
        sentences.append(f"{_named(tables, row)} is {row['state']}{why}")
    return sentences


def mixed_data(tables: Tables) -> list[str]:
    """Return a sentence for each data set of which the finished runs saw more than one content."""
    sentences = []
    results = tables.results
    finished = results[results["state"].isin(["finished", "diverged"])]
    names = finished.get("data.name", pd.Series(dtype=object))
    for name in names.unique():
        runs = finished.loc[names == name, "run"]
        origins = [tables.origins[run][0] for run in runs if run in tables.origins]
        seen = Counter(one.data_sha256 for one in origins if one.data_sha256)
        if len(seen) > 1:
            parts = " and ".join(f"{n} from SHA-256 {sha[:12]}" for sha, n in seen.most_common())
            sentences.append(
                f"the runs on {name} were made from data of different content, which every mean "
                f"and comparison mixes: {parts} (--force runs all again on the data here now)"
            )
    return sentences


def fewer_seeds(tables: Tables) -> list[str]:
    """Return a sentence for each setting that has fewer seeds than the others."""
    return [
        f"{setting_name(tables, setting)} has {short} seed{'s' if short > 1 else ''} fewer than "
        "others, so its intervals are wider"
        for setting in tables.compared
        if (short := tables.short_of(setting))
    ]


def varying(tables: Tables) -> list[str]:
    """Return the swept keys, then every other config key that differs between runs."""
    rest = [
        key
        for key in tables.config_keys
        if key not in tables.swept and len(set(map(str, settings_of(tables.results, [key])))) > 1
    ]
    return [*(key for key in tables.swept if key in tables.results), *rest]


def metrics(tables: Tables) -> list[str]:
    """Return the final metrics' names: the headline first, the classifier's own measures last."""
    known = {*FACTS, *tables.config_keys}
    found = [str(name) for name in tables.results.columns if name not in known]
    first = tables.headline
    return sorted(found, key=lambda name: (name != first, name.startswith("classifier_")))


def _constant(tables: Tables) -> list[str]:
    """The metrics that are the same in all of several finished runs, the headline aside."""
    finished = tables.results[tables.results["state"] == "finished"]
    if len(finished) < 2:
        return []
    names = [name for name in metrics(tables) if name != tables.headline]
    return [name for name in names if finished[name].nunique(dropna=False) == 1
            and finished[name].notna().all()]  # fmt: skip


def common(tables: Tables) -> dict[str, str]:
    """Return the config keys and metrics, and their values, that all runs share."""
    vary = set(varying(tables))
    shared = [key for key in tables.config_keys if key not in vary]
    found = {key: _shown(settings_of(tables.results, [key])[0][0]) for key in shared}
    return found | {label(name): number(float(tables.results[name].dropna().iloc[0]))
                    for name in _constant(tables)}  # fmt: skip


def _shown(value: object) -> str:
    return "none" if value is None else str(value)


def results_table(tables: Tables) -> pd.DataFrame:
    """Return one row a run, what was swept first: the content of results.csv."""
    columns = ["run", "state", "reason", *varying(tables), *metrics(tables)]
    return tables.results[[*columns, "seconds", "device", "gpu_hours"]]


def shown_runs(tables: Tables) -> pd.DataFrame:
    """Return the rows of results.csv without the columns that say nothing: the page's table."""
    frame = results_table(tables).drop(columns=_constant(tables))
    frame = frame[[name for name in frame if not str(name).startswith(tuple(ENDS))]]
    empty = [name for name in ("reason", "device", "gpu_hours") if not frame[name].any()]
    return frame.drop(columns=empty)


def curves_table(tables: Tables) -> pd.DataFrame:
    """Return one row a run and look: the content of curves.csv."""
    shared = set(tables.config_keys) - set(varying(tables))
    return tables.curves[[name for name in tables.curves.columns if name not in shared]]


def means_table(tables: Tables) -> tuple[list[str], list[list[str]]]:
    """Return (header, rows): each setting's mean and 95 % interval of each final metric.

    The ends of the metrics' scales, real images and noise, come last: means over all runs.
    """
    constant = set(_constant(tables))
    measured = [name for name in metrics(tables) if tables.results[name].notna().any()]
    names = [name for name in measured if name not in constant and not name.startswith(tuple(ENDS))]
    ranges = [possible(tables, name) for name in names]
    most = max((len(tables.finished(setting)) for setting in tables.compared), default=0)
    rows = []
    for setting in tables.compared:
        finished = tables.finished(setting)
        cells = [_cell(finished[name], *one) for name, one in zip(names, ranges, strict=True)]
        rows.append([setting_name(tables, setting), _seeds(len(finished), most), *cells])
    for prefix, words in ENDS.items():
        found = [level(tables, prefix + name) for name in names]
        if any(value is not None for value in found):
            rows.append([words, "—", *map(number, found)])
    return ["setting", "n", *map(label, names)], rows


def _seeds(count: int, most: int) -> str:
    notes = ["single seed"] if count == 1 else []
    notes += [f"fewer than others: {most}"] if count < most else []
    return f"{count} ({', '.join(notes)})" if notes else str(count)


def _cell(values: "pd.Series[float]", low: float, high: float) -> str:
    """Mean and interval; its ends where the range cuts it, the values where they are too few."""
    found = estimate(values, (low, high))
    if found.n == 0:
        return "—"
    of = f" (n = {found.n})" if found.n < len(values) else ""
    if not found.has_interval:
        return " and ".join(figures(value) for value in values.dropna()) + of
    if found.half > 0 and (found.low <= low or found.high >= high):
        return f"{interval(found)}{of}"
    return f"{figures(found.mean)} ± {figures(found.half, 2)}{of}"


def number(value: object) -> str:
    """Return a table cell's text."""
    if value is None or value != value:
        return "—"
    return figures(value) if isinstance(value, float) else str(value)
