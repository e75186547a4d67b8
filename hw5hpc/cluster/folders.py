"""Which folder is a sweep's: never another sweep's, and found by file, name or path."""

import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hw5hpc.cluster.profile import Profile, default_name, load
from hw5hpc.console import shown
from hw5hpc.errors import UserError, brief, nearest
from hw5hpc.store import Outputs, StoreError, SweepFolder
from hw5hpc.sweep import Sweep

SHOWN_NAMES = 20
SWEEPS = Path(__file__).resolve().parents[2] / "sweeps"
VARIABLE = "HW5HPC_OUT"
DEFAULT = Path("outputs")


def out(given: Path | None, profile: Callable[[], Profile]) -> Path:
    """Return the output folder: --out, else $HW5HPC_OUT, else the profile's `out`, else outputs/.

    Raises:
        UserError: the home folder in it is not known, or the profile cannot be used.
    """
    if given is not None:
        return given
    written = os.environ.get(VARIABLE) or profile().out
    try:
        return Path(os.path.expandvars(written)).expanduser() if written else DEFAULT
    except RuntimeError as error:
        raise UserError(f"output folder {written!r}: {error}") from error


def usual(profile: str) -> Path:
    """Return the output folder of a command that names none, for a profile's name ('': none)."""
    try:
        return out(None, lambda: load(profile or default_name(), {}, SWEEPS))
    except UserError:
        return DEFAULT


def file_of(word: Path) -> Path:
    """Return the sweep file that a word of the command line means: a path, or a bare name.

    Raises:
        UserError: there is no such file; names those that there are, and the nearest.
    """
    if word.is_file() or word.parent != Path() or word.suffix not in ("", ".yaml", ".yml"):
        return word
    places = (Path("sweeps"), SWEEPS)
    for place in places:
        if (found := place / f"{word.stem}.yaml").is_file():
            return found
    known = sorted({path.stem for place in places for path in place.glob("*.yaml")})
    raise UserError(
        f"{word}: no such sweep file; sweeps/ has {', '.join(known) or 'none'}."
        f"{nearest(word.stem, known)}"
    )


def check_own(sweep: Sweep, outputs: Outputs) -> None:
    """Refuse a sweep whose folder holds another one's report, or points that it would drop.

    The same file may always write to its folder again, edited or with more points.

    Raises:
        UserError: one line that says what to do.
    """
    folder = outputs.sweep(sweep.name)
    record = _record(folder)
    now, before = {point.id for point in sweep.points}, _words(record, "runs")
    if not record or now == set(before):
        return
    if not _is_of(record, sweep.path):
        raise UserError(
            f"{folder.path} is the folder of another sweep, {record.get('path')}; "
            "give this one a name of its own with --name NAME"
        )
    dropped, changes = set(before) - now, _words(record, "changes")
    if dropped and changes != list(sweep.changes):
        again = f"repeat {' '.join(changes)}" if changes else "leave out what you added"
        raise UserError(
            f"{folder.path} holds {len(dropped)} points that this call leaves out; {again}, "
            "or give this one a name of its own with --name NAME"
        )


def find(out: Path, word: str) -> tuple[Outputs, SweepFolder]:
    """Return the sweep that a word of the command line means, and the outputs that it is in.

    Args:
        out: the output folder.
        word: the sweep's name, its folder, or its file. A file means the sweep without overrides,
            where it has one, else its only one.

    Raises:
        UserError: there is no such sweep, or the file has several.
    """
    outputs = Outputs(out)
    try:
        return _find(outputs, word)
    except StoreError:
        raise
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise StoreError(f"{outputs.root}: no sweep {brief(word)}: {reason}") from error


def _find(outputs: Outputs, word: str) -> tuple[Outputs, SweepFolder]:
    path = Path(word)
    for place in (path.absolute(), *path.absolute().parents):
        # A report's page or a log means its sweep, too.
        if (sweep := SweepFolder(place)).sweep_path.is_file():
            return Outputs(place.parents[1]), sweep
    if path.suffix in (".yaml", ".yml") and not _record(outputs.sweep(word)):
        return outputs, _of_file(outputs, path)
    folder = outputs.sweep(word)
    if not _record(folder) and (file := _file(path)):
        return outputs, _of_file(outputs, file)
    if not _record(folder):
        raise StoreError(f"{folder.path}: no sweep was submitted here yet{_there(outputs, word)}")
    return outputs, folder


def _file(word: Path) -> Path | None:
    try:
        found = file_of(word)
    except UserError:
        return None
    return found if found.is_file() else None


def _of_file(outputs: Outputs, path: Path) -> SweepFolder:
    mine = [folder for folder in outputs.sweeps() if _is_of(_record(folder), path)]
    plain = [folder for folder in mine if folder.name == _record(folder).get("base", path.stem)]
    for found in (plain, mine):
        if len(found) == 1:
            return found[0]
    if mine:
        names = [folder.name for folder in mine]
        raise UserError(f"{path} has several sweeps; give one by its name: {_listed(names)}")
    folder = outputs.sweep(path.stem)
    if path.exists() or not _record(folder):
        raise StoreError(
            f"{folder.path}: no sweep was submitted here yet from {path}"
            f"{_there(outputs, path.stem)}"
        )
    return folder


def _there(outputs: Outputs, word: str) -> str:
    names = [other.name for other in outputs.sweeps()]
    return f"; {outputs.root} holds {_listed(names)}.{nearest(word, names)}" if names else "."


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return ", ".join(names[:SHOWN_NAMES]) + more


def again(outputs: Outputs, folder: SweepFolder) -> str:
    """Return the command that submits a sweep again as it was submitted last."""
    record, sent = _record(folder), folder.submissions()[-1:]
    words = [shown(Path(str(record.get("path", "")))), *_words(record, "typed")]
    profile = next((str(row.get("profile", "")) for row in sent), "")
    words += ["--cluster", profile] if profile not in ("", default_name()) else []
    words += [] if outputs.root == usual(profile).absolute() else ["--out", str(outputs.root)]
    return f"python jobs/submit.py {shlex.join(words)}"


def _record(folder: SweepFolder) -> dict[str, Any]:
    try:
        return folder.load()
    except StoreError:
        return {}


def _words(record: dict[str, Any], key: str) -> list[str]:
    raw = record.get(key)
    return [str(word) for word in raw] if isinstance(raw, list) else []


def _is_of(record: dict[str, Any], path: Path) -> bool:
    """Whether a folder's record is that of a sweep file."""
    return Path(str(record.get("path", ""))).resolve() == path.resolve()
