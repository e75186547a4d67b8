"""One run's directory: its config, status, metrics, checkpoints, artifacts and result."""

import contextlib
import errno
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from hw5hpc.store import arrays, config_file, files, integrity, leftovers, metric_names, result_file
from hw5hpc.store.files import StoreError
from hw5hpc.store.state import State, Status

RESERVE_BYTES = 16384
# A Slurm job's id (of an array's task too), a user or a cluster.
WORD = re.compile(r"[\w.@+-]{1,64}")


@dataclass(frozen=True)
class Sent:
    """A Slurm job, who sent it, and to which cluster; '' for what is not known."""

    job: str
    user: str = ""
    cluster: str = ""


def _word(value: object) -> str:
    return value if isinstance(value, str) and WORD.fullmatch(value) else ""


class RunFolder:
    """The files of one run; `result.json` is written last, its existence means finished."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.id = path.name
        self.checkpoint = path / "checkpoint.pt"
        self.previous_checkpoint = path / "checkpoint.previous.pt"
        self.config_path = path / "config.yaml"
        self.metrics_path = path / "metrics.jsonl"
        self.timing_path = path / "timing.jsonl"
        self.artifacts = path / "artifacts"
        self.weights = self.artifacts / "weights.pt"
        self.claim_path = path / "claim.json"
        self._reserve = path / "reserve"

    def check_folders(self) -> None:
        """Raise StoreError when this run's folder, its artifacts or the folder above is a link."""
        files.refuse_links(self.path.parents[1], self.artifacts)

    def create(self, experiment: str, config: Mapping[str, Any]) -> None:
        """Make the folders and write config.yaml as `register` does, synced."""
        self.check_folders()
        self.artifacts.mkdir(parents=True, exist_ok=True)
        self.register(experiment, config, sync=True)

    def register(self, experiment: str, config: Mapping[str, Any], sync: bool = False) -> None:
        """Write config.yaml; one of another format is left as it is, for its reader to name.

        The folder's name is the id, so a readable one differs only in what is no part of it, such
        as where the data lie: there the newest word counts. Without `sync` the caller syncs.
        """
        text = config_file.text(experiment, config)
        # A link for its artifacts is the worker's to refuse: it holds up no other run of the sweep.
        files.refuse_links(self.path.parents[1], self.path)
        try:
            self.path.mkdir(parents=True)
        except FileExistsError:
            if config_file.keeps(self.config_path, text):
                return
        files.write_text(self.config_path, text, sync)

    def config(self) -> tuple[str, dict[str, Any]]:
        """Return (experiment, {dotted key: value}).

        Raises:
            StoreError: config.yaml is missing or damaged, or has another format version.
        """
        return config_file.read(self.config_path)

    def status(self) -> Status:
        """Return the status, set right by the result file; what is damaged is named as reason."""
        raw, problem = self._record("status.json")
        try:
            status = Status.from_dict(raw) if raw else Status(reason=problem)
        except (TypeError, ValueError):
            status = Status(reason=f"{self.path / 'status.json'}: damaged")
        try:
            result = self.result()
        except StoreError as error:
            return replace(status, reason=str(error))
        return status.beside(State(result["state"]) if result is not None else None)

    def _record(self, name: str) -> tuple[dict[str, Any], str]:
        """Return a file's JSON object ({}: none), and what is wrong with the file ('': nothing)."""
        path = self.path / name
        try:
            found = files.parse_json(files.read_bytes(path))
        except (FileNotFoundError, NotADirectoryError):
            return {}, ""
        except OSError as error:
            return {}, files.describe(path, error)
        return (found, "") if isinstance(found, dict) else ({}, f"{path}: damaged")

    def set_status(self, status: Status, sync: bool = True) -> None:
        files.write_json(self.path / "status.json", asdict(status), sync)

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
        if not os.path.lexists(self._reserve):
            with contextlib.suppress(OSError):
                files.write_text(self._reserve, "." * RESERVE_BYTES)

    def free_room(self) -> None:
        files.discard(self._reserve)

    def set_job(self, job: str, user: str = "", cluster: str = "", sync: bool = True) -> None:
        """Remember the Slurm job that was sent for this run (only submitters write this file).

        A run that was never begun is queued from here on. Without `sync` the caller syncs.
        """
        record = {key: value for key, value in asdict(Sent(job, user, cluster)).items() if value}
        files.write_json(self.path / "job.json", record, sync)
        if not os.path.lexists(self.path / "status.json"):
            # Its worker may write one at this moment, which has the later word.
            files.write_new_json(self.path / "status.json", asdict(Status().to(State.QUEUED)))

    def job(self) -> str:
        """Return the Slurm job sent last for this run, or ''."""
        return self.sent().job

    def sent(self) -> Sent:
        """Return the Slurm job sent last for this run, and who sent it where."""
        raw, _ = self._record("job.json")
        job, *who = (_word(raw.get(key)) for key in ("job", "user", "cluster"))
        return Sent(job, *who) if job else Sent("")

    def job_of(self, status: Status) -> str:
        """Return the job that had the run last; '' where a process without one had it later."""
        return "" if status.by_hand else self.job()

    def set_cancelled(self, reason: str) -> None:
        """Note with the job sent last that somebody ended it, and why; '' takes that back."""
        raw, _ = self._record("job.json")
        raw = {key: value for key, value in raw.items() if key != "cancelled"}
        noted = {"cancelled": reason} if reason else {}
        files.write_json(self.path / "job.json", raw | noted)

    def cancelled(self) -> str:
        """Return why the job sent last was cancelled, '' when it was not."""
        said = self._record("job.json")[0].get("cancelled")
        return said if isinstance(said, str) else ""

    def add_metrics(self, row: Mapping[str, float]) -> None:
        files.append_json_line(self.metrics_path, dict(row))

    def add_timing(self, row: Mapping[str, float]) -> None:
        """Append wall-clock facts; they live apart so that metrics.jsonl is reproducible."""
        files.append_json_line(self.timing_path, dict(row))

    def metrics(self) -> list[dict[str, float]]:
        """Return the whole rows of metrics.jsonl, NaN and infinities as numbers again.

        Raises:
            StoreError: something else than a file stands there.
        """
        rows = map(files.numbers, files.read_json_lines(self.metrics_path))
        return list(map(metric_names.now, rows))

    def timing(self) -> list[dict[str, float]]:
        """Return the whole rows of timing.jsonl; when it cannot be read, only times are missing."""
        try:
            rows = files.read_json_lines(self.timing_path)
        except OSError:
            rows = []
        return list(map(files.numbers, rows))

    def drop_leftovers(self) -> None:
        """Remove what a worker that was killed left half written; for the claim's holder only."""
        patterns = [(self.path, ".checkpoint.*.tmp"), (self.artifacts, ".*.tmp")]
        for folder, pattern in patterns:
            for path in folder.glob(pattern):
                files.discard(path)

    def tidy(self) -> None:
        """Remove what only a run at work needs; for a run that has its result and no holder."""
        for path in leftovers.passing(self.path, self.artifacts):
            files.discard(path)

    def stamp(self) -> tuple[int, ...]:
        """Return numbers that change when the state, the job or the result is written anew."""
        found = []
        for name in ("status.json", "job.json", "result.json"):
            try:
                found.append((self.path / name).lstat().st_mtime_ns)
            except OSError:
                found.append(0)
        return tuple(found)

    def metrics_size(self) -> int:
        """Return the length of metrics.jsonl in bytes, as a checkpoint remembers it."""
        return files.size(self.metrics_path)

    def cut_metrics(self, size: int) -> None:
        """Drop the rows written after the checkpoint that remembered `size`."""
        if self.metrics_size() > size:
            files.truncate(self.metrics_path, size)

    def add_array(self, name: str, epoch: int, array: NDArray[Any]) -> None:
        """Keep an array (samples, filters, a histogram) as of one epoch."""
        arrays.write(self.artifacts / arrays.file_name(name, epoch), array)

    def has_array_of(self, epoch: int) -> bool:
        return any(arrays.epoch_of(name) == epoch for name in arrays.names(self.artifacts))

    def drop_arrays(self) -> None:
        """Remove the arrays of a run that starts anew: what begins again is one version's."""
        for path in (*self.artifacts.glob("*.*.npy"), self.artifacts / arrays.PACKED):
            with contextlib.suppress(OSError):
                path.unlink()

    def arrays(self, without: Collection[str] = ()) -> dict[str, arrays.Kept]:
        """Return {name: {epoch: array}}, each name's read when they are first looked at.

        A damaged file is left out, and those of the names in `without`, relative to this folder.
        """
        return arrays.kept(self.artifacts, {Path(name).name for name in without})

    def result(self) -> dict[str, Any] | None:
        """Return result.json, or None while there is none (or a damaged one).

        Raises:
            StoreError: it is of another format version, or may not be read, so it is neither used
                nor replaced.
        """
        return result_file.read(self.path / "result.json")

    def set_result(self, result: Mapping[str, Any]) -> None:
        """Write result.json, with checksums of what belongs to it.

        From here on the run is finished (or diverged). Its arrays are one file by then.
        """
        arrays.pack(self.artifacts)
        record = {"format": files.FORMAT, "files": integrity.checksums(self.path), **result}
        files.write_json(self.path / "result.json", record)

    def damage(self, content: bool = True) -> dict[str, str]:
        """Return {file: what is wrong} for what belongs to the result and is not as it was written.

        Without `content` only existence and lengths are compared: cheap enough for every run of a
        plan. A result of before there were checksums, or none, says nothing.

        Raises:
            StoreError: as `result`.
        """
        result = self.result() or {}
        if "files" not in result:
            return {}
        return integrity.damage(self.path, result["files"], content)

    def set_provenance(self, record: Mapping[str, Any]) -> None:
        files.write_json(self.path / "provenance.json", dict(record))

    def provenance(self) -> dict[str, Any]:
        return self._record("provenance.json")[0]
