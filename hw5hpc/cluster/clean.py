"""What takes room in an output folder, and what of it can go: never a run at work, nor a result."""

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from hw5hpc.cluster.recorded import jobs_of, needs, run_ids
from hw5hpc.node.known_jobs import KnownJobs
from hw5hpc.store import Outputs, RunFolder, StoreError, SweepFolder, holder
from hw5hpc.store.leftovers import passing, set_aside

# What a job of Slurm's leaves, by the job's id: ID or ID_TASK, and for some the rank after it.
JOB_FILES = (
    re.compile(r"(\d+(?:_\d+)?)_\d+_(?:result\.pkl|log\.out)"),
    re.compile(r"(\d+(?:_\d+)?)_(?:submitted\.pkl|deaths\.jsonl|submission\.sh)"),
)
REPLACED = re.compile(r"([\w.-]+)-\d+")


@dataclass(frozen=True)
class Room:
    """How much some files take."""

    bytes: int = 0
    files: int = 0

    def __add__(self, other: "Room") -> "Room":
        return Room(self.bytes + other.bytes, self.files + other.files)

    def __str__(self) -> str:
        return f"{human(self.bytes)} in {self.files:,} files"


class Folder:
    """An output folder as it is now, with Slurm's word on its jobs (None: it cannot be asked).

    `only` are the sweeps that are looked at: without any, everything is.
    """

    def __init__(
        self, outputs: Outputs, jobs: KnownJobs | None, only: Sequence[SweepFolder] = ()
    ) -> None:
        self.outputs, self._jobs, self._only = outputs, jobs, only
        self.all_sweeps = outputs.sweeps()
        self.sweeps = list(only) or self.all_sweeps
        if jobs is not None:
            jobs.add(run.sent() for run in self.runs)
            jobs.add(one for sweep in self.sweeps for row in sweep.submissions()
                     for one in jobs_of(row))  # fmt: skip
            jobs.refresh()

    @cached_property
    def runs(self) -> list[RunFolder]:
        """The runs that are looked at: those of the sweeps, or all that are there."""
        if self._only:
            return [self.outputs.run(name) for sweep in self._only for name in run_ids(sweep)]
        folder = self.outputs.root / "runs"
        found = sorted(folder.iterdir()) if folder.is_dir() else []
        mine = [path for path in found if path.is_dir() and not path.is_symlink()]
        return [RunFolder(path) for path in mine if path.name != "replaced"]

    @cached_property
    def wanted(self) -> set[str]:
        """The runs that some sweep has, and those that these need."""
        listed = {name for sweep in self.all_sweeps for name in run_ids(sweep)}
        return listed | {name for run in listed for name in needs(self.outputs.run(run))}

    def idle(self, run: RunFolder) -> bool:
        """Whether nobody is at work on a run; what Slurm does not tell may be."""
        job = run.job()
        return holder(run) is None and (not job or self.ended(job))

    @property
    def asks(self) -> bool:
        """Whether Slurm can be asked."""
        return self._jobs is not None and not self._jobs.trouble

    def ended(self, job: str) -> bool:
        return self._jobs is not None and self._jobs.alive(job) is False


def _has_result(run: RunFolder) -> bool:
    try:
        return run.result() is not None
    except StoreError:
        # Of another format: nobody here can tell.
        return True


def _replaced(folder: Folder) -> Iterator[Path]:
    """What --force ran again, once there is a newer result."""
    here = {run.id for run in folder.runs}
    for path in _inside(folder.outputs.root / "runs" / "replaced"):
        named = REPLACED.fullmatch(path.name)
        run = folder.outputs.run(named[1]) if named else None
        if run and run.id in here and _has_result(run):
            yield path


def _passing(folder: Folder) -> Iterator[Path]:
    for run in folder.runs:
        if _has_result(run) and holder(run) is None:
            yield from passing(run.path, run.artifacts)


def _set_aside(folder: Folder) -> Iterator[Path]:
    for run in folder.runs:
        if folder.idle(run):
            yield from set_aside(run.path)


def _strays(folder: Folder) -> Iterator[Path]:
    for run in folder.runs:
        if run.id not in folder.wanted and not _has_result(run) and folder.idle(run):
            yield run.path


def _job_files(folder: Folder) -> Iterator[Path]:
    """Pickles and scripts of jobs that have ended, and logs that no run's last job wrote."""
    last = {run.job() for run in folder.runs}
    reports = {row["report"] for sweep in folder.sweeps for row in sweep.submissions()[-1:]}
    for sweep in folder.sweeps:
        for path in _inside(sweep.logs):
            job, kept = _job_of(path.name), path.name.endswith("_log.out")
            if job and folder.ended(job) and not (kept and job in last | reports):
                yield path


def _job_of(name: str) -> str:
    found = [match[1] for pattern in JOB_FILES if (match := pattern.fullmatch(name))]
    return found[0] if found else ""


def _code(folder: Folder) -> Iterator[Path]:
    """Copies of the code that no job waits for and git has, or that made no result."""
    for sweep in folder.sweeps:
        rows = sweep.submissions()
        runs = [folder.outputs.run(name) for name in run_ids(sweep)]
        made = {str(run.provenance().get("code")) for run in runs if _has_result(run)}
        for copy in _inside(sweep.code):
            going = any(not folder.ended(sent.job) for row in rows
                        if row.get("code") == copy.name for sent in jobs_of(row))  # fmt: skip
            if not going and (copy.name not in made or _in_git(copy)):
                yield copy


def _in_git(copy: Path) -> bool:
    try:
        return (copy / "COMMIT").read_text().split("\n")[1] == "clean"
    except (OSError, IndexError):
        return False


# What can go, in the order in which it is shown.
KINDS: dict[str, Callable[[Folder], Iterator[Path]]] = {
    "results that --force has replaced": _replaced,
    "checkpoints and leftovers of finished runs": _passing,
    "damaged or unfit files that were set aside": _set_aside,
    "runs without a result that no sweep has": _strays,
    "files of jobs that have ended (logs of last jobs stay)": _job_files,
    "copies of the code that no job needs and git has": _code,
}


def leftovers(folder: Folder) -> dict[str, list[Path]]:
    """Return {kind: what can go}; the kinds without any are left out."""
    found = {kind: list(find(folder)) for kind, find in KINDS.items()}
    return {kind: paths for kind, paths in found.items() if paths}


def rooms(folder: Folder) -> dict[str, Room]:
    """Return {part of the output folder: what it takes}."""
    parts: dict[str, Iterable[Path]] = {
        "runs": (run.path for run in folder.runs),
        "runs that were replaced": [folder.outputs.root / "runs" / "replaced"],
        "logs": (sweep.logs for sweep in folder.sweeps),
        "code": (sweep.code for sweep in folder.sweeps),
        "reports": (sweep.report for sweep in folder.sweeps),
    }
    return {part: room(paths) for part, paths in parts.items()}


def room(paths: Iterable[Path]) -> Room:
    """Return what files, and folders with all that is in them, take; links are not followed."""
    return sum((_room(path) for path in paths), Room())


def _room(path: Path) -> Room:
    try:
        found = path.lstat()
        inside = list(os.scandir(path)) if path.is_dir() and not path.is_symlink() else []
    except OSError:
        return Room()
    return Room(found.st_blocks * 512, 1) + room(Path(entry.path) for entry in inside)


def remove(paths: Iterable[Path]) -> list[str]:
    """Remove files and folders; return a line for each that could not be removed."""
    problems = []
    for path in paths:
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            problems.append(f"{error.filename or path}: {error.strerror}")
    return problems


def human(size: int) -> str:
    """Return a number of bytes in the unit that fits.

    >>> human(999), human(1_500_000), human(20_000_000_000)
    ('999 B', '1.5 MB', '20.0 GB')
    """
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def _inside(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []


def told(folder: Folder) -> list[str]:
    """Return what takes room and what can go, in lines."""
    found = leftovers(folder)
    lines = [f"{folder.outputs.root}:"]
    lines += [f"  {part:<56}{taken}" for part, taken in rooms(folder).items() if taken.files]
    if not folder.asks:
        lines.append("Slurm cannot be asked: what a job might still need stays")
    lines.append("can go:" if found else "nothing can go")
    return lines + [f"  {kind:<56}{room(paths)}" for kind, paths in found.items()]


def agreed(found: Mapping[str, Sequence[Path]]) -> bool:
    """Ask whether to remove what was found; without a terminal the answer is no."""
    if not sys.stdin.isatty():
        print("nothing was removed: --yes removes it")
        return False
    whole = room(path for paths in found.values() for path in paths)
    return input(f"remove {whole}? [y/N] ").strip().lower() in ("y", "yes")
