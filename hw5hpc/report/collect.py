"""Read a sweep's run folders into tables, whatever state each of them is in."""

import ast
import contextlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd

from hw5hpc.experiments import headline_of
from hw5hpc.report.looks import with_steps_to_cover
from hw5hpc.report.runs import News, RunRead
from hw5hpc.report.runs import read as read_run
from hw5hpc.report.tables import Tables
from hw5hpc.store import Outputs, RunFolder, StoreError, SweepFolder
from hw5hpc.text import safe, safe_value
from hw5hpc.tracking.describe import mode_at_submission
from hw5hpc.tracking.memory import url_of

TIMES = ("seconds", "train_seconds", "step_ms")


def collect(outputs: Outputs, sweep: SweepFolder) -> Tables:
    """Return the sweep's tables; a missing or damaged run is a row that says so.

    Raises:
        StoreError: nothing of this name was submitted.
    """
    record = safe_value(sweep.load())
    points = _points(sweep)
    runs = [str(run) for run in record.get("runs", [])]
    when, said = sweep.standing()
    news = {run: News(when, safe_value(one)) for run, one in said.items()}
    read = [read_run(outputs.run(run), points.get(run, {}), news.get(run)) for run in runs]
    keys = tuple(dict.fromkeys(key for one in read for key in one.config))
    origins = [one.origin for one in read if one.origin]
    tables = Tables(
        name=str(record.get("name", sweep.name)),
        experiment=str(record.get("experiment", "")),
        swept=tuple(str(key) for key in record.get("swept", [])),
        results=_results(read, keys),
        curves=_curves(read, keys),
        arrays={one.run: one.arrays for one in read},
        source="; ".join(dict.fromkeys(one.source for one in read if one.source)),
        config_keys=keys,
        class_names=next((one.class_names for one in read if one.class_names), ()),
        headline=headline_of(record),
        commits=tuple(dict.fromkeys(o.commit for o in origins if o.commit)),
        origins={one.run: (one.origin, one.job) for one in read if one.origin},
        links={one.run: _links(outputs.run(one.run), sweep, one.job) for one in read},
        mirror=safe(mode_at_submission(sweep)),
    )
    return with_steps_to_cover(tables)


def _links(run: RunFolder, sweep: SweepFolder, job: str) -> dict[str, str]:
    """What a reader may want to open of a run; the page is read where the report was written."""
    jobs = [job]
    with contextlib.suppress(OSError):
        # What was sent last explains more than what wrote the result, if it has a log already.
        jobs.insert(0, run.job())
    logs = [log for log in map(sweep.log_of, filter(None, jobs)) if log.is_file()]
    places = {"config": run.config_path, "folder": run.path, "W&B": run.path / "wandb"}
    found = {what: place for what, place in places.items() if place.exists()}
    found |= dict(zip(["log"], logs, strict=False))
    links = {what: _relative(place, sweep.report) for what, place in found.items()}
    address = url_of(run)
    # An offline run's folder, until it was sent.
    return links | ({"W&B": address} if re.match(r"https?://", address) else {})


def _relative(place: Path, start: Path) -> str:
    return quote(os.path.relpath(place, start), errors="surrogateescape")


def _points(sweep: SweepFolder) -> dict[str, dict[str, Any]]:
    """The swept values of each run as submitted, for runs whose own config is gone."""
    try:
        rows = sweep.points()
    except (StoreError, ValueError):
        return {}
    return {
        row["run"]: {key: _value(text) for key, text in row.items() if key and key != "run"}
        for row in rows
        if "run" in row
    }


def _value(text: str | None) -> Any:
    """Undo what the CSV file did to a value."""
    if not text:
        return None
    with contextlib.suppress(ValueError, SyntaxError):
        return ast.literal_eval(text)
    return text


def _results(read: Sequence[RunRead], keys: Sequence[str]) -> pd.DataFrame:
    metrics = list(dict.fromkeys(name for one in read for name in one.metrics))
    columns: dict[str, pd.Series[Any]] = {
        "run": _text([one.run for one in read]),
        "state": _text([one.state for one in read]),
        "reason": _text([one.reason for one in read]),
    }
    columns.update({key: _text([one.config.get(key) for one in read]) for key in keys})
    columns.update({name: _floats([one.metrics.get(name) for one in read]) for name in metrics})
    columns["seconds"] = _floats([one.facts.get("seconds") for one in read])
    columns["device"] = _text([one.facts.get("device", "") for one in read])
    columns["gpu_hours"] = _floats([one.facts.get("gpu_hours") for one in read])
    return pd.DataFrame(columns)


def _curves(read: Sequence[RunRead], keys: Sequence[str]) -> pd.DataFrame:
    begun = [one for one in read if one.looks]
    lengths = [len(one.looks["epoch"]) for one in begun]
    names = list(dict.fromkeys(["epoch", *(name for one in begun for name in one.looks)]))
    names.sort(key=TIMES.__contains__)
    texts: dict[str, list[Any]] = {"run": [one.run for one in begun]}
    texts |= {key: [one.config.get(key) for one in begun] for key in keys}
    absent = [np.full(length, np.nan) for length in lengths]
    columns: dict[str, pd.Series[Any]] = {
        name: _text(of).repeat(lengths).reset_index(drop=True) for name, of in texts.items()
    }
    for name in names:
        parts = [one.looks.get(name, nan) for one, nan in zip(begun, absent, strict=True)]
        values = np.concatenate([np.empty(0), *parts])
        whole = name in ("epoch", "step") and not np.isnan(values).any()
        columns[name] = pd.Series(values.astype(np.int64) if whole else values)
    return pd.DataFrame(columns)


def _text(values: list[Any]) -> "pd.Series[Any]":
    """A column that keeps each value as it is: an int beside a None stays an int."""
    return pd.Series(values, dtype=object)


def _floats(values: list[Any]) -> "pd.Series[Any]":
    return pd.Series([float("nan") if value is None else value for value in values], dtype=float)
