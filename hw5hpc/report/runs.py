"""Read one run's folder, whatever state it is in; what cannot be read is named, never an error."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw5hpc.report.tables import Arrays, Origin
from hw5hpc.store import RunFolder, State, StoreError
from hw5hpc.store.files import numbers
from hw5hpc.text import safe, safe_value

# A run whose folder was deleted, and one whose files contradict each other, are in no State.
MISSING, DAMAGED = "missing", "damaged"
# What a run is in while its own files cannot say whether its job is still there.
GOING = (State.QUEUED, State.RUNNING, State.INTERRUPTED)


@dataclass(frozen=True)
class News:
    """What Slurm said of a run's job, and when (seconds since 1970)."""

    when: float
    said: Mapping[str, str]

    def is_of(self, job: str, updated: float) -> bool:
        """Whether it is about this job, and newer than the run's own word."""
        return self.said.get("job") == job and self.when >= updated


# {column: its value at each look, NaN for none}; as rows of Python numbers they take ten times the
# memory.
Looks = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True)
class RunRead:
    """What one run's folder gave."""

    run: str
    state: str
    reason: str
    config: Mapping[str, Any]
    metrics: Mapping[str, float] = field(default_factory=dict)
    looks: Looks = field(default_factory=dict)
    arrays: Mapping[str, Arrays] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    class_names: tuple[str, ...] = ()
    origin: Origin | None = None
    job: str = ""


def read(run: RunFolder, point: Mapping[str, Any], news: News | None) -> RunRead:
    """Read a run; a file that cannot be read at all counts as damage, never as an error."""
    if not run.path.is_dir():
        return RunRead(run.id, MISSING, "its folder is not there", point)
    try:
        return _read_folder(run, point, news)
    except OSError as error:
        said = str(error) if isinstance(error, StoreError) else f"cannot be read: {error.strerror}"
        return RunRead(run.id, DAMAGED, said.replace(f"{run.path}/", ""), point)


def _read_folder(run: RunFolder, point: Mapping[str, Any], news: News | None) -> RunRead:
    config, problem = _config(run, point)
    state, reason, result = _state(run, news)
    damaged = run.damage() if state in (State.FINISHED, State.DIVERGED) else {}
    looks, unread = _looks(run)
    provenance = safe_value(run.provenance())
    facts = provenance if isinstance(provenance, dict) else {}
    source = str(result.get("data_source") or facts.get("data_source") or "")
    return RunRead(
        run=run.id,
        state=state,
        reason=safe(
            "; ".join(part for part in (reason, problem, unread, *_words(damaged)) if part)
        ),
        config=config,
        metrics=numbers(result.get("metrics")),
        looks={} if run.metrics_path.name in damaged else looks,
        arrays=run.arrays(without=damaged),
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


def _named(error: StoreError) -> str:
    """The file's name without its folder: a report may be read where the folder is not."""
    path, _, problem = str(error).partition(": ")
    return f"{Path(path).name}: {problem}"


def _state(run: RunFolder, news: News | None) -> tuple[str, str, Mapping[str, Any]]:
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


def _looks(run: RunFolder) -> tuple[Looks, str]:
    """Each look with its timing, in their order, and why there are none ('': they were read).

    Of two rows for one step the later counts. Timings that name no step are those of whole epochs:
    each belongs to the epoch's first row.
    """
    try:
        rows, timing = _latest(run.metrics()), _latest(run.timing())
    except StoreError as error:
        return {}, _named(error)
    ends: dict[float, _Key] = {}
    for key in sorted(rows, key=_order):
        ends.setdefault(rows[key]["epoch"], key)
    for epoch, key in ends.items():
        timing.setdefault(key, timing.get((epoch, None), {}))
    return _columns([{**timing.get(key, {}), **rows[key]} for key in sorted(rows, key=_order)]), ""


def _columns(rows: Sequence[Mapping[str, float]]) -> Looks:
    nan = float("nan")
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: np.array([row.get(name, nan) for row in rows], float) for name in names}


# (0, step) of a row that names its step, (epoch, None) of another.
_Key = tuple[float, float | None]


def _latest(rows: Sequence[dict[str, float]]) -> dict[_Key, dict[str, float]]:
    return {_key(row): row for row in rows if isinstance(row.get("epoch"), int)}


def _key(row: Mapping[str, float]) -> _Key:
    step = row.get("step")
    return (0, step) if isinstance(step, int) else (row["epoch"], None)


def _order(key: _Key) -> tuple[float, float]:
    return key[0], -1 if key[1] is None else key[1]
