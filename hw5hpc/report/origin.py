"""Write into each figure and page what made it, and read it back: runs, code, data, jobs."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hw5hpc.errors import UserError
from hw5hpc.report.tables import Origin, Tables

KEY = "hw5hpc"
_PDF = re.compile(rb"/Subject\s*\(((?:\\.|[^\\)])*)\)", re.DOTALL)
_PNG = b"tEXt" + KEY.encode() + b"\0"
_HTML = re.compile(rb'<script type="application/json" id="made-from">(.*?)</script>', re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


@dataclass(frozen=True)
class Group:
    """Runs that share their code and data; `runs` gives each one's Slurm job, '' without."""

    origin: Origin
    runs: dict[str, str]


@dataclass(frozen=True)
class Record:
    """What made one figure or page."""

    sweep: str
    experiment: str
    what: str
    groups: tuple[Group, ...]

    def text(self) -> str:
        """Return the record as ASCII JSON in one line, the same for the same runs."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))


def record(tables: Tables, what: str) -> Record:
    """Return which runs stand behind a figure or page, runs of one code and data together."""
    groups: dict[Origin, dict[str, str]] = {}
    for run, (origin, job) in tables.origins.items():
        groups.setdefault(origin, {})[run] = job
    found = tuple(Group(origin, runs) for origin, runs in groups.items())
    return Record(tables.name, tables.experiment, what, found)


def read(path: Path) -> Record:
    """Return what made a figure (PNG, PDF) or a page (HTML).

    Raises:
        UserError: the file cannot be read, or no report of this program wrote it.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    text = _png(content) or _page(content) or _pdf(content)
    if text is None:
        raise UserError(f"{path}: no record of runs in it; give a report's PNG, PDF or index.html")
    try:
        return _parse(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path}: its record of runs is damaged") from error


def _png(content: bytes) -> bytes | None:
    start = content.find(_PNG)
    if start < 4:
        return None
    # A chunk is its length without the name, the name, the data (here: key, zero byte, text).
    end = start + 4 + int.from_bytes(content[start - 4 : start], "big")
    return content[start + len(_PNG) : end]


def _page(content: bytes) -> bytes | None:
    found = _HTML.search(content)
    return found[1] if found else None


def _pdf(content: bytes) -> bytes | None:
    found = _PDF.search(content)
    return _ESCAPED.sub(rb"\1", found[1]) if found else None


def _parse(raw: Mapping[str, Any]) -> Record:
    groups = tuple(Group(Origin(**one["origin"]), dict(one["runs"])) for one in raw["groups"])
    return Record(str(raw["sweep"]), str(raw["experiment"]), str(raw["what"]), groups)


def lines(found: Record) -> list[str]:
    """Return the record in words, one line each."""
    said = [f"{found.what} of sweep {found.sweep} ({found.experiment})"]
    for group in found.groups:
        origin = group.origin
        changed = ", with changes that are not committed" if origin.modified else ""
        said.append(f"  commit  {origin.commit or 'not known'}{changed}")
        said.append(f"  code    {origin.code or 'not known'}")
        said.append(f"  data    {_data(origin)}")
        said.append(f"  runs    {len(group.runs)}")
        said += [f"    {run}{f'  job {job}' if job else ''}" for run, job in group.runs.items()]
    return said


def _data(origin: Origin) -> str:
    digest = f" (SHA-256 {origin.data_sha256})" if origin.data_sha256 else ""
    return (origin.data or "none, or not known") + digest
