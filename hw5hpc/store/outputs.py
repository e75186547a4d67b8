"""The output folder: runs shared by all sweeps, and one folder for each sweep."""

import contextlib
import csv
import fcntl
import io
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hw5hpc.store import files
from hw5hpc.store.files import StoreError
from hw5hpc.store.run import RunFolder, Sent

# A name of a folder below runs/, and never a way out of it.
RUN_ID = re.compile(r"\w[\w.-]{0,63}")
AGAIN = "submitting the sweep again writes it anew"


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
        self.submissions_path = path / "submissions.jsonl"

    def check_folders(self) -> None:
        """Raise StoreError when this folder, one in it that is written to, or one above is a link.

        A frozen copy of the code counts too, as jobs run what it holds.
        """
        copies = self.code.iterdir() if self.code.is_dir() else ()
        files.refuse_links(self.path.parents[1], self.report, self.logs, self.code, *copies)

    def save(self, sweep: Mapping[str, Any], points: Sequence[Mapping[str, Any]]) -> None:
        """Record the sweep as resolved, and one row a point (`run` is the run id).

        Raises:
            StoreError: a folder is a link, or what was sent could not be recorded here later.
        """
        self.check_folders()
        files.size(self.submissions_path)
        files.write_json(self.sweep_path, dict(sweep))
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, list(points[0]))
        writer.writeheader()
        writer.writerows(points)
        files.write_text(self.points_path, buffer.getvalue())

    def load(self) -> dict[str, Any]:
        """Return the sweep as recorded at submission.

        Raises:
            StoreError: nothing of this name was submitted to this output folder, or its record is
                damaged; the next submission writes it anew.
        """
        try:
            content = files.read_bytes(self.sweep_path, files.TABLE_BYTES)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise StoreError(f"{self.path}: no sweep was submitted here yet") from error
        except OSError as error:
            raise StoreError(f"{files.describe(self.sweep_path, error)}; {AGAIN}") from error
        record: Any = files.parse_json(content)
        if not _whole(record):
            raise StoreError(f"{self.sweep_path}: damaged; {AGAIN}")
        return dict(record)

    def points(self) -> list[dict[str, str]]:
        """Return the rows of points.csv: `run` and every swept key, as text.

        Raises:
            StoreError: it is missing or damaged; the next submission writes it anew.
        """
        try:
            text = files.read_bytes(self.points_path, files.TABLE_BYTES).decode()
            rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
        except OSError as error:
            raise StoreError(f"{files.describe(self.points_path, error)}; {AGAIN}") from error
        except (ValueError, csv.Error):
            rows = []
        if not rows or not all(_is_point(row) for row in rows):
            raise StoreError(f"{self.points_path}: damaged; {AGAIN}")
        return rows

    def log_of(self, job: str) -> Path:
        """Return where the output of a Slurm job (`ID` or `ID_TASK`) goes."""
        return self.logs / f"{job}_0_log.out"

    def add_submission(self, record: Mapping[str, Any]) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        files.append_json_line(self.submissions_path, dict(record))

    def submissions(self) -> list[dict[str, Any]]:
        """Return what was sent, in its order; a damaged row is left out.

        Raises:
            StoreError: it cannot be read.
        """
        try:
            rows = files.read_json_lines(self.submissions_path)
        except OSError as error:
            raise StoreError(files.describe(self.submissions_path, error)) from error
        return [row for row in rows if isinstance(row, dict) and _is_submission(row)]

    def last_sent(self) -> list[Sent]:
        """Return the jobs of the last submission, the report last."""
        rows = self.submissions()
        if not rows:
            return []
        who = [str(rows[-1].get(key, "")) for key in ("user", "cluster")]
        jobs = [*rows[-1]["first"], *rows[-1]["rest"], rows[-1]["report"]]
        return [Sent(job, *who) for job in jobs]

    def set_standing(self, runs: Mapping[str, Mapping[str, str]]) -> None:
        """Keep what Slurm said last of runs that do not go on: {run: {job, state, reason}}."""
        self.check_folders()
        files.write_json(self.path / "standing.json", {"time": time.time(), "runs": dict(runs)})

    def standing(self) -> tuple[float, dict[str, dict[str, str]]]:
        """Return when Slurm was asked last (seconds since 1970, 0: never), and what it said."""
        try:
            record: Any = files.read_json(self.path / "standing.json")
            return float(record["time"]), {k: dict(v) for k, v in record["runs"].items()}
        except (OSError, TypeError, ValueError, KeyError, AttributeError):
            return 0.0, {}

    def set_report_origin(self, record: Mapping[str, Any]) -> None:
        """Note, once the page is written, which submission made it."""
        files.write_json(self.report / "made.json", dict(record))

    def report_origin(self) -> dict[str, Any]:
        """Return that note, {} where there is none."""
        try:
            record = files.read_json(self.report / "made.json")
        except OSError:
            return {}
        return record if isinstance(record, dict) else {}


def _is_submission(row: Mapping[str, Any]) -> bool:
    jobs = [row.get("first"), row.get("rest")]
    return isinstance(row.get("report"), str) and all(_texts(found) for found in jobs)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _whole(record: Any) -> bool:
    """Whether it is a sweep's record: its runs, and lists of texts where lists are expected."""
    if not isinstance(record, dict) or not record.get("runs") or not _texts(record["runs"]):
        return False
    more = [record.get(key, []) for key in ("swept", "report")]
    return all(map(RUN_ID.fullmatch, record["runs"])) and all(map(_texts, more))


def _is_point(row: Mapping[Any, Any]) -> bool:
    """csv gives None for what a row lacks or has too much."""
    return (
        None not in row
        and None not in row.values()
        and bool(RUN_ID.fullmatch(row.get("run") or ""))
    )


class Outputs:
    """The output folder of `--out`."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def run(self, run_id: str) -> RunFolder:
        return RunFolder(self.root / "runs" / run_id)

    def sync(self) -> None:
        """Make what was written without syncing last."""
        files.sync_filesystem(self.root)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Let one submitter at a time plan and send.

        Raises:
            StoreError: something else than a file stands in the lock's place.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with files.open_lock(self.root / "submit.lock") as file:
            # Where locks do not work at all, the claims still let one job train each run.
            with contextlib.suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def put_aside(self, run_id: str) -> Path:
        """Move a run's folder out of the way, to runs/replaced/, and return where it is now."""
        target = self.root / "runs" / "replaced" / f"{run_id}-{time.time_ns()}"
        files.refuse_links(self.root, target.parent)
        target.parent.mkdir(parents=True, exist_ok=True)
        self.run(run_id).path.rename(target)
        return target

    def put_back(self, run_id: str, aside: Path) -> None:
        """Undo `put_aside`; what was begun in its place is moved aside instead."""
        if self.run(run_id).path.exists():
            self.put_aside(run_id)
        aside.rename(self.run(run_id).path)

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
