"""The words and rows that the page and the summary share."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from hw5hpc.report.claims import Verdict, judge
from hw5hpc.report.figures import FIGURES
from hw5hpc.report.statistics import estimate
from hw5hpc.report.style import label, setting_name
from hw5hpc.report.tables import Tables, settings_of

FACTS = ("run", "state", "reason", "seconds", "device", "gpu_hours")


@dataclass(frozen=True)
class Summary:
    """Everything a report says, as plain text and rows."""

    tables: Tables
    figures: tuple[str, ...]
    missing: tuple[str, ...]
    verdicts: tuple[Verdict, ...]

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
    missing = (*missing_runs(tables), *undrawn)
    return Summary(tables, tuple(figures), missing, tuple(judge(tables)))


def undrawn_figure(name: str, reason: str) -> str:
    """Return the sentence for a figure that could not be drawn."""
    title = FIGURES[name].title if name in FIGURES else name
    return f"figure {name} ({title}) is not drawn: {reason}"


def missing_runs(tables: Tables) -> list[str]:
    """Return a sentence for each run that has not finished, or whose files are damaged."""
    sentences = []
    results = tables.results
    for _, row in results[(results["state"] != "finished") | (results["reason"] != "")].iterrows():
        swept = ", ".join(f"{key} = {row.get(key)}" for key in tables.swept)
        why = f": {row['reason']}" if row["reason"] else ""
        sentences.append(f"run {row['run']} ({swept}) is {row['state']}{why}")
    return sentences


def varying(tables: Tables) -> list[str]:
    """Return the swept keys, then every other config key that differs between runs."""
    rest = [
        key
        for key in tables.config_keys
        if key not in tables.swept and len(set(map(str, settings_of(tables.results, [key])))) > 1
    ]
    return [*(key for key in tables.swept if key in tables.results), *rest]


def metrics(tables: Tables) -> list[str]:
    """Return the final metrics' names."""
    known = {*FACTS, *tables.config_keys}
    return [str(name) for name in tables.results.columns if name not in known]


def common(tables: Tables) -> dict[str, str]:
    """Return the config keys, and their values, that all runs share."""
    vary = set(varying(tables))
    shared = [key for key in tables.config_keys if key not in vary]
    return {key: _shown(settings_of(tables.results, [key])[0][0]) for key in shared}


def _shown(value: object) -> str:
    return "none" if value is None else str(value)


def results_table(tables: Tables) -> pd.DataFrame:
    """Return one row a run, what was swept first: the content of results.csv."""
    columns = ["run", "state", "reason", *varying(tables), *metrics(tables)]
    return tables.results[[*columns, "seconds", "device", "gpu_hours"]]


def curves_table(tables: Tables) -> pd.DataFrame:
    """Return one row a run and epoch: the content of curves.csv."""
    shared = set(common(tables))
    return tables.curves[[name for name in tables.curves.columns if name not in shared]]


def means_table(tables: Tables) -> tuple[list[str], list[list[str]]]:
    """Return (header, rows): each setting's mean and 95 % interval of each final metric."""
    names = [name for name in metrics(tables) if tables.results[name].notna().any()]
    rows = []
    for setting in tables.compared:
        finished = tables.finished(setting)
        cells = [_cell(finished[name]) for name in names]
        single = " (single seed)" if len(finished) == 1 else ""
        rows.append([setting_name(tables, setting), f"{len(finished)}{single}", *cells])
    return ["setting", "n", *map(label, names)], rows


def _cell(values: "pd.Series[float]") -> str:
    found = estimate(values)
    if found.n == 0:
        return "—"
    return f"{found.mean:.4g} ± {found.half:.2g}" if found.n > 1 else f"{found.mean:.4g}"


def number(value: object) -> str:
    """Return a table cell's text."""
    if value is None or value != value:
        return "—"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
