"""One run's directory: its config, status, metrics, checkpoints, artifacts and result."""

import contextlib
import errno
import io
import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from hw5hpc.errors import UserError
from hw5hpc.store import files
from hw5hpc.store.state import State, Status

FORMAT = 1
RESERVE_BYTES = 16384


class StoreError(UserError):
    """A run directory that cannot be read or written."""


def _other_format(path: Path, version: object) -> str:
    return f"{path}: format version {version}; this code reads {FORMAT}"


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
        self._reserve = path / "reserve"

    def create(self, experiment: str, config: Mapping[str, Any]) -> None:
        """Write config.yaml; one that cannot be read is left as it is, for its reader to name.

        The folder's name is the id, so a readable one differs only in what is no part of it, such
        as where the data lie: there the newest word counts.
        """
        target = self.path / "config.yaml"
        try:
            if target.exists() and self.config() == (experiment, dict(config)):
                return
        except StoreError:
            return
        for folder in (self.path, self.artifacts):
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
            raise StoreError(_other_format(path, version))
        return experiment, config

    def status(self) -> Status:
        """Return the status, set right by the result file."""
        raw = files.read_json(self.path / "status.json")
        try:
            status = Status.from_dict(raw) if isinstance(raw, dict) else Status()
            status = replace(status, metrics=files.numbers(status.metrics))
        except (TypeError, ValueError):
            status = Status(reason="status.json is damaged")
        try:
            result = self.result()
        except StoreError as error:
            return replace(status, reason=str(error))
        return status.beside(State(result["state"]) if result is not None else None)

    def set_status(self, status: Status) -> None:
        files.write_json(self.path / "status.json", asdict(status))

    def set_last_status(self, status: Status) -> None:
        """Write status.json; on a full disk or quota, in the room that `reserve_room` kept."""
        try:
            self.set_status(status)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            self.free_room()
            self.set_status(status)

    def reserve_room(self) -> None:
        """Keep a little room, so that a run can still say that the disk is full."""
        if not self._reserve.exists():
            with contextlib.suppress(OSError):
                files.write_text(self._reserve, "." * RESERVE_BYTES)

    def free_room(self) -> None:
        with contextlib.suppress(OSError):
            self._reserve.unlink(missing_ok=True)

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
        """Return the whole rows of metrics.jsonl, NaN and infinities as numbers again."""
        return list(map(files.numbers, files.read_json_lines(self.metrics_path)))

    def timing(self) -> list[dict[str, float]]:
        return list(map(files.numbers, files.read_json_lines(self.timing_path)))

    def drop_leftovers(self) -> None:
        """Remove what a worker that was killed left half written; for the claim's holder only."""
        patterns = [(self.path, ".checkpoint.*.tmp"), (self.artifacts, ".*.tmp")]
        for folder, pattern in patterns:
            for path in folder.glob(pattern):
                with contextlib.suppress(OSError):
                    path.unlink()

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
        # Into memory first: NumPy's own error on a full disk does not say that it is full.
        content = io.BytesIO()
        np.save(content, array, allow_pickle=False)
        files.write_atomic(path, lambda file: file.write(content.getbuffer()))

    def drop_arrays(self) -> None:
        """Remove the arrays of a run that starts anew: what begins again is one version's."""
        for path in self.artifacts.glob("*.*.npy"):
            with contextlib.suppress(OSError):
                path.unlink()

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
        """Return result.json, or None while there is none (or a damaged one).

        Raises:
            StoreError: it is of another format version, so it is neither used nor replaced.
        """
        path = self.path / "result.json"
        raw = files.read_json(path)
        if not isinstance(raw, dict):
            return None
        if raw.get("format", FORMAT) != FORMAT:
            raise StoreError(_other_format(path, raw["format"]))
        whole = isinstance(raw.get("metrics"), dict) and raw.get("state") in (
            "finished",
            "diverged",
        )
        return {**raw, "metrics": files.numbers(raw["metrics"])} if whole else None

    def set_result(self, result: Mapping[str, Any]) -> None:
        """Write result.json; from here on the run is finished (or diverged)."""
        files.write_json(self.path / "result.json", {"format": FORMAT, **result})

    def set_provenance(self, record: Mapping[str, Any]) -> None:
        files.write_json(self.path / "provenance.json", dict(record))

    def provenance(self) -> dict[str, Any]:
        return files.read_json(self.path / "provenance.json") or {}
