"""Read a sweep's run folders into tables, whatever state each of them is in."""

import ast
import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from hw5hpc.experiments import EXPERIMENTS
from hw5hpc.report.looks import with_steps_to_cover
from hw5hpc.report.tables import Arrays, Origin, Tables
from hw5hpc.store import Outputs, RunFolder, State, StoreError, SweepFolder
from hw5hpc.store.files import numbers
from hw5hpc.text import safe, safe_value
from hw5hpc.tracking.describe import mode_at_submission
from hw5hpc.tracking.memory import url_of

# A run whose folder was deleted, and one whose files contradict each other, are in no State.
MISSING, DAMAGED = "missing", "damaged"
# What a run is in while its own files cannot say whether its job is still there.
GOING = (State.QUEUED, State.RUNNING, State.INTERRUPTED)
TIMES = ("seconds", "train_seconds", "step_ms")
METRICS = "metrics.jsonl"


@dataclass(frozen=True)
class _News:
    """What Slurm said of a run's job, and when (seconds since 1970)."""

    when: float
    said: Mapping[str, str]

    def is_of(self, job: str, updated: float) -> bool:
        """Whether it is about this job, and newer than the run's own word."""
        return self.said.get("job") == job and self.when >= updated


@dataclass(frozen=True)
class _Read:
    """What one run's folder gave."""

    run: str
    state: str
    reason: str
    config: Mapping[str, Any]
    metrics: Mapping[str, float] = field(default_factory=dict)
    rows: Sequence[Mapping[str, float]] = ()
    arrays: dict[str, Arrays] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    class_names: tuple[str, ...] = ()
    origin: Origin | None = None
    job: str = ""


def collect(outputs: Outputs, sweep: SweepFolder) -> Tables:
    """Return the sweep's tables; a missing or damaged run is a row that says so.

    Raises:
        StoreError: nothing of this name was submitted.
    """
    record = safe_value(sweep.load())
    points = _points(sweep)
    runs = [str(run) for run in record.get("runs", [])]
    when, said = sweep.standing()
    news = {run: _News(when, safe_value(one)) for run, one in said.items()}
    read = [_read(outputs.run(run), points.get(run, {}), news.get(run)) for run in runs]
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
        headline=str(record.get("headline") or _headline(str(record.get("experiment")))),
        commits=tuple(dict.fromkeys(o.commit for o in origins if o.commit)),
        origins={one.run: (one.origin, one.job) for one in read if one.origin},
        links={one.run: _links(outputs.run(one.run), sweep, one.job) for one in read},
        mirror=safe(mode_at_submission(sweep)),
    )
    return with_steps_to_cover(tables)


def _headline(experiment: str) -> str:
    """The headline metric, which sweeps of earlier versions did not record."""
    return EXPERIMENTS[experiment].headline if experiment in EXPERIMENTS else ""


def _links(run: RunFolder, sweep: SweepFolder, job: str) -> dict[str, str]:
    """What a reader may want to open of a run; the page is read where the report was written."""
    jobs = [job]
    with contextlib.suppress(OSError):
        # What was sent last explains more than what wrote the result, if it has a log already.
        jobs.insert(0, run.job())
    logs = [log for log in map(sweep.log_of, filter(None, jobs)) if log.is_file()]
    places = {"config": run.path / "config.yaml", "folder": run.path, "W&B": run.path / "wandb"}
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


def _read(run: RunFolder, point: Mapping[str, Any], news: _News | None) -> _Read:
    """Read a run; a file that cannot be read at all counts as damage, never as an error."""
    if not run.path.is_dir():
        return _Read(run.id, MISSING, "its folder is not there", point)
    try:
        return _read_folder(run, point, news)
    except OSError as error:
        said = str(error) if isinstance(error, StoreError) else f"cannot be read: {error.strerror}"
        return _Read(run.id, DAMAGED, said.replace(f"{run.path}/", ""), point)


def _read_folder(run: RunFolder, point: Mapping[str, Any], news: _News | None) -> _Read:
    config, problem = _config(run, point)
    state, reason, result = _state(run, news)
    damaged = run.damage() if state in (State.FINISHED, State.DIVERGED) else {}
    rows, unread = _looks(run)
    provenance = safe_value(run.provenance())
    facts = provenance if isinstance(provenance, dict) else {}
    source = str(result.get("data_source") or facts.get("data_source") or "")
    return _Read(
        run=run.id,
        state=state,
        reason=safe(
            "; ".join(part for part in (reason, problem, unread, *_words(damaged)) if part)
        ),
        config=config,
        metrics=numbers(result.get("metrics")),
        rows=() if METRICS in damaged else rows,
        arrays=_whole(run.arrays(), damaged),
        facts=_facts(result, facts),
        source=source,
        class_names=_names(result.get("class_names")),
        origin=_origin(facts, source) if facts else None,
        job=str(facts.get("job") or ""),
    )


def _origin(facts: Mapping[str, Any], source: str) -> Origin:
    words = {key: str(facts.get(key) or "") for key in ("commit", "code", "data_sha256")}
    return Origin(**words, modified=bool(facts.get("modified")), data=source)


def _config(run: RunFolder, point: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    try:
        _, config = run.config()
        return {str(key): value for key, value in safe_value(config).items()}, ""
    except StoreError as error:
        return point, _named(error)
    except (ValueError, AttributeError):
        return point, "config.yaml is missing or damaged"


def _names(value: Any) -> tuple[str, ...]:
    return tuple(str(name) for name in value) if isinstance(value, list) else ()


def _words(damaged: Mapping[str, str]) -> list[str]:
    return [f"{name}: {what}" for name, what in damaged.items()]


def _whole(arrays: dict[str, Arrays], damaged: Mapping[str, str]) -> dict[str, Arrays]:
    """Leave out the arrays that are not what the run wrote."""
    return {
        name: {
            epoch: array
            for epoch, array in kept.items()
            if f"artifacts/{name}.{epoch:05d}.npy" not in damaged
        }
        for name, kept in arrays.items()
    }


def _named(error: StoreError) -> str:
    """The file's name without its folder: a report may be read where the folder is not."""
    path, _, problem = str(error).partition(": ")
    return f"{Path(path).name}: {problem}"


def _state(run: RunFolder, news: _News | None) -> tuple[str, str, Mapping[str, Any]]:
    """Return (state, reason, result); a result of another format is named, never used."""
    try:
        result = safe_value(run.result() or {})
    except StoreError as error:
        return DAMAGED, _named(error), {}
    status = run.status()
    if news and status.state in GOING and news.is_of(run.job(), status.updated):
        return str(news.said.get("state")), str(news.said.get("reason")), result
    reason = str(status.reason or result.get("reason") or "").replace(f"{run.path}/", "")
    if status.state is State.NEW and not reason:
        reason = "not started"
    return str(status.state), reason, result


def _facts(result: Mapping[str, Any], provenance: Mapping[str, Any]) -> dict[str, Any]:
    found = numbers(result)
    seconds, devices = found.get("seconds"), found.get("devices")
    spent = None if seconds is None or devices is None else seconds * devices / 3600
    device = result.get("device") or provenance.get("device") or ""
    return {"seconds": seconds, "device": str(device), "gpu_hours": spent}


def _looks(run: RunFolder) -> tuple[list[dict[str, float]], str]:
    """One row a look, with its timing, and why there are none ('': they were read).

    Of two rows for one step the later counts. Timings that name no step are those of whole epochs:
    each belongs to the epoch's first row.
    """
    try:
        rows, timing = _latest(run.metrics()), _latest(run.timing())
    except StoreError as error:
        return [], _named(error)
    ends: dict[float, _Key] = {}
    for key in sorted(rows, key=_order):
        ends.setdefault(rows[key]["epoch"], key)
    for epoch, key in ends.items():
        timing.setdefault(key, timing.get((epoch, None), {}))
    return [{**timing.get(key, {}), **rows[key]} for key in sorted(rows, key=_order)], ""


# (0, step) of a row that names its step, (epoch, None) of another.
_Key = tuple[float, float | None]


def _latest(rows: Sequence[dict[str, float]]) -> dict[_Key, dict[str, float]]:
    return {_key(row): row for row in rows if isinstance(row.get("epoch"), int)}


def _key(row: Mapping[str, float]) -> _Key:
    step = row.get("step")
    return (0, step) if isinstance(step, int) else (row["epoch"], None)


def _order(key: _Key) -> tuple[float, float]:
    return key[0], -1 if key[1] is None else key[1]


def _results(read: Sequence[_Read], keys: Sequence[str]) -> pd.DataFrame:
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


def _curves(read: Sequence[_Read], keys: Sequence[str]) -> pd.DataFrame:
    pairs = [(one, row) for one in read for row in one.rows]
    names = list(dict.fromkeys(["epoch", *(name for _, row in pairs for name in row)]))
    names.sort(key=TIMES.__contains__)
    columns = {"run": _text([one.run for one, _ in pairs])}
    columns.update({key: _text([one.config.get(key) for one, _ in pairs]) for key in keys})
    columns.update({name: _floats([row.get(name) for _, row in pairs]) for name in names})
    counts = [name for name in ("epoch", "step") if name in columns and columns[name].notna().all()]
    return pd.DataFrame(columns).astype(dict.fromkeys(counts, "int64"))


def _text(values: list[Any]) -> "pd.Series[Any]":
    """A column that keeps each value as it is: an int beside a None stays an int."""
    return pd.Series(values, dtype=object)


def _floats(values: list[Any]) -> "pd.Series[Any]":
    return pd.Series([float("nan") if value is None else value for value in values], dtype=float)
