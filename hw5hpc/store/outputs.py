"""The output folder: runs shared by all sweeps, and one folder for each sweep."""

import csv
import io
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hw5hpc.store import files
from hw5hpc.store.run import RunFolder, StoreError


class SweepFolder:
    """The files of one sweep: its points, its submissions and its report."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self.report = path / "report"
        self.logs = path / "logs"
        self.code = path / "code"
        self.points_path = path / "points.csv"
        self.sweep_path = path / "sweep.json"

    def save(self, sweep: Mapping[str, Any], points: Sequence[Mapping[str, Any]]) -> None:
        """Record the sweep as resolved, and one row a point (`run` is the run id)."""
        files.write_json(self.sweep_path, dict(sweep))
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, list(points[0]))
        writer.writeheader()
        writer.writerows(points)
        files.write_text(self.points_path, buffer.getvalue())

    def load(self) -> dict[str, Any]:
        """Return the sweep as recorded at submission.

        Raises:
            StoreError: nothing of this name was submitted to this output folder.
        """
        record = files.read_json(self.sweep_path)
        if not isinstance(record, dict):
            raise StoreError(f"{self.path}: no sweep was submitted here yet")
        return record

    def points(self) -> list[dict[str, str]]:
        """Return the rows of points.csv: `run` and every swept key, as text."""
        try:
            return list(csv.DictReader(io.StringIO(self.points_path.read_text(encoding="utf-8"))))
        except OSError as error:
            raise StoreError(f"{self.points_path}: cannot be read: {error.strerror}") from error

    def log_of(self, job: str) -> Path:
        """Return where the output of a Slurm job (`ID` or `ID_TASK`) goes."""
        return self.logs / f"{job}_0_log.out"

    def add_submission(self, record: Mapping[str, Any]) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        files.append_json_line(self.path / "submissions.jsonl", dict(record))

    def submissions(self) -> list[dict[str, Any]]:
        return files.read_json_lines(self.path / "submissions.jsonl")


class Outputs:
    """The output folder of `--out`."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def run(self, run_id: str) -> RunFolder:
        return RunFolder(self.root / "runs" / run_id)

    def put_aside(self, run_id: str) -> None:
        """Move a run's folder out of the way, to runs/replaced/; nothing is deleted."""
        target = self.root / "runs" / "replaced" / f"{run_id}-{time.time_ns()}"
        target.parent.mkdir(parents=True, exist_ok=True)
        self.run(run_id).path.rename(target)

    def sweep(self, name: str) -> SweepFolder:
        return SweepFolder(self.root / "sweeps" / name)

    def sweeps(self) -> list[SweepFolder]:
        """Return the folders of all sweeps that were submitted here, by name."""
        found = self.root.glob("sweeps/*/sweep.json")
        return sorted((SweepFolder(path.parent) for path in found), key=lambda it: it.name)

    @property
    def existing(self) -> Path:
        """The output folder, or its nearest parent that exists."""
        folder = self.root
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        return folder

    def check_writable(self) -> None:
        """Raise StoreError when nothing can be written here; nothing stays behind.

        Raises:
            StoreError: the folder (or its nearest existing parent) is not a writable folder.
        """
        try:
            with tempfile.NamedTemporaryFile(dir=self.existing, prefix=".hw5hpc-") as probe:
                os.fsync(probe.fileno())
        except OSError as error:
            raise StoreError(f"--out {self.root}: cannot be written: {error.strerror}") from error
