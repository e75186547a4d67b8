"""One run's directory: its config, status, metrics, checkpoints, artifacts and result."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from hw5hpc.errors import UserError
from hw5hpc.store import files
from hw5hpc.store.state import State, Status

FORMAT = 1


class StoreError(UserError):
    """A run directory that cannot be read or written."""


class RunFolder:
    """The files of one run; `result.json` is written last, its existence means finished."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.id = path.name
        self.checkpoint = path / "checkpoint.pt"
        self.previous_checkpoint = path / "checkpoint.previous.pt"
        self.metrics_path = path / "metrics.jsonl"
        self.timing_path = path / "timing.jsonl"
        self.artifacts = path / "artifacts"
        self.weights = self.artifacts / "weights.pt"
        self.claim_path = path / "claim.json"
        self.logs = path / "logs"

    def create(self, experiment: str, config: Mapping[str, Any]) -> None:
        """Write config.yaml once; an existing one is left as it is."""
        target = self.path / "config.yaml"
        if target.exists():
            return
        for folder in (self.path, self.logs, self.artifacts):
            folder.mkdir(parents=True, exist_ok=True)
        record = {"format": FORMAT, "experiment": experiment, "config": dict(config)}
        files.write_text(target, yaml.safe_dump(record, sort_keys=True))

    def config(self) -> tuple[str, dict[str, Any]]:
        """Return (experiment, {dotted key: value}).

        Raises:
            StoreError: config.yaml is missing or damaged, or has another format version.
        """
        path = self.path / "config.yaml"
        try:
            record = yaml.safe_load(path.read_text(encoding="utf-8"))
            version, experiment, config = (
                record[key] for key in ("format", "experiment", "config")
            )
        except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
            raise StoreError(f"{path}: missing or damaged ({type(error).__name__})") from error
        if version != FORMAT:
            raise StoreError(f"{path}: format version {version}; this code reads {FORMAT}")
        return experiment, config

    def status(self) -> Status:
        """Return the status; the result file outranks a status that a crash left behind."""
        raw = files.read_json(self.path / "status.json")
        try:
            status = Status.from_dict(raw) if isinstance(raw, dict) else Status()
        except (TypeError, ValueError):
            status = Status(reason="status.json is damaged")
        result = self.result()
        if result is not None and not status.state.done:
            return Status(**{**asdict(status), "state": State(result["state"])})
        return status

    def set_status(self, status: Status) -> None:
        files.write_json(self.path / "status.json", asdict(status))

    def set_job(self, job: str) -> None:
        """Remember the Slurm job that was sent for this run (only submitters write this file)."""
        files.write_json(self.path / "job.json", {"job": job})

    def job(self) -> str:
        """Return the Slurm job sent last for this run, or ''."""
        record = files.read_json(self.path / "job.json")
        return str(record.get("job", "")) if isinstance(record, dict) else ""

    def add_metrics(self, row: Mapping[str, float]) -> None:
        files.append_json_line(self.metrics_path, dict(row))

    def add_timing(self, row: Mapping[str, float]) -> None:
        """Append wall-clock facts; they live apart so that metrics.jsonl is reproducible."""
        files.append_json_line(self.timing_path, dict(row))

    def metrics(self) -> list[dict[str, float]]:
        return files.read_json_lines(self.metrics_path)

    def timing(self) -> list[dict[str, float]]:
        return files.read_json_lines(self.timing_path)

    def metrics_size(self) -> int:
        """Return the length of metrics.jsonl in bytes, as a checkpoint remembers it."""
        return self.metrics_path.stat().st_size if self.metrics_path.exists() else 0

    def cut_metrics(self, size: int) -> None:
        """Drop the rows written after the checkpoint that remembered `size`."""
        if self.metrics_size() > size:
            os.truncate(self.metrics_path, size)

    def add_array(self, name: str, epoch: int, array: NDArray[Any]) -> None:
        """Keep an array (samples, filters, a histogram) as of one epoch."""
        path = self.artifacts / f"{name}.{epoch:05d}.npy"
        files.write_atomic(path, lambda file: np.save(file, array, allow_pickle=False))

    def arrays(self) -> dict[str, dict[int, NDArray[Any]]]:
        """Return {name: {epoch: array}}; a damaged file is left out."""
        found: dict[str, dict[int, NDArray[Any]]] = {}
        for path in sorted(self.artifacts.glob("*.*.npy")):
            name, epoch = path.stem.rsplit(".", 1)
            try:
                found.setdefault(name, {})[int(epoch)] = np.load(path, allow_pickle=False)
            except (ValueError, OSError, EOFError):
                continue
        return found

    def result(self) -> dict[str, Any] | None:
        raw = files.read_json(self.path / "result.json")
        whole = isinstance(raw, dict) and {"state", "metrics"} <= raw.keys()
        return raw if whole else None

    def set_result(self, result: Mapping[str, Any]) -> None:
        """Write result.json; from here on the run is finished (or diverged)."""
        files.write_json(self.path / "result.json", {"format": FORMAT, **result})

    def set_provenance(self, record: Mapping[str, Any]) -> None:
        files.write_json(self.path / "provenance.json", dict(record))

    def provenance(self) -> dict[str, Any]:
        return files.read_json(self.path / "provenance.json") or {}
