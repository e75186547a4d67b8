"""Which folder is a sweep's: never another sweep's, and found by file, name or path."""

from pathlib import Path
from typing import Any

from hw5hpc.errors import UserError, brief, nearest
from hw5hpc.store import Outputs, StoreError, SweepFolder
from hw5hpc.sweep import Sweep

SHOWN_NAMES = 20


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
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise StoreError(f"{outputs.root}: no sweep {brief(word)}: {reason}") from error


def _find(outputs: Outputs, word: str) -> tuple[Outputs, SweepFolder]:
    path = Path(word)
    if (path / "sweep.json").is_file():
        folder = SweepFolder(path.absolute())
        return Outputs(folder.path.parents[1]), folder
    if path.suffix in (".yaml", ".yml") and not _record(outputs.sweep(word)):
        return outputs, _of_file(outputs, path)
    folder = outputs.sweep(word)
    if not _record(folder):
        hint = nearest(word, [other.name for other in outputs.sweeps()])
        raise StoreError(f"{folder.path}: no sweep was submitted here yet.{hint}")
    return outputs, folder


def _of_file(outputs: Outputs, path: Path) -> SweepFolder:
    mine = [folder for folder in outputs.sweeps() if _is_of(_record(folder), path)]
    plain = [folder for folder in mine if folder.name == _record(folder).get("base", path.stem)]
    for found in (plain, mine):
        if len(found) == 1:
            return found[0]
    if mine:
        names = [folder.name for folder in mine]
        more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
        raise UserError(
            f"{path} has several sweeps; give one by its name: "
            f"{', '.join(names[:SHOWN_NAMES])}{more}"
        )
    folder = outputs.sweep(path.stem)
    if path.exists() or not _record(folder):
        raise StoreError(f"{folder.path}: no sweep was submitted here yet from {path}")
    return folder


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
