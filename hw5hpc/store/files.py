"""Write files so that a crash at any moment leaves the old or the new content, never a mixture."""

import json
import math
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def write_atomic(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let `write` fill a temporary file beside `path`, sync it, and rename it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the renames in a folder last through a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8; what cannot be (a file name of another encoding) as its code: \\udcff."""
    write_atomic(path, lambda file: file.write(text.encode(errors="backslashreplace")))


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(valid(value), indent=2, sort_keys=True) + "\n")


def valid(value: Any) -> Any:
    """Return a value that strict JSON can hold: NaN and infinities as strings."""
    if isinstance(value, float) and not math.isfinite(value):
        return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
    if isinstance(value, Mapping):
        return {key: valid(item) for key, item in value.items()}
    return [valid(item) for item in value] if isinstance(value, list | tuple) else value


def numbers(row: Any) -> dict[str, float]:
    """Return the numbers of a row, undoing `valid`; whatever else stands in it is dropped."""
    if not isinstance(row, Mapping):
        return {}
    read = {str(key): _NOT_FINITE.get(str(value), value) for key, value in row.items()}
    return {key: value for key, value in read.items() if isinstance(value, int | float)}


def read_json(path: Path) -> Any | None:
    """Return the content, or None when the file is missing or is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def append_json_line(path: Path, value: Any) -> None:
    """Append one row in a single write; a torn last line of an earlier crash is closed first."""
    row = (json.dumps(valid(value), sort_keys=True) + "\n").encode()
    with path.open("ab+") as file:
        if file.tell() and not _ends_with_newline(file):
            row = b"\n" + row
        file.write(row)
        file.flush()
        os.fsync(file.fileno())


def _ends_with_newline(file: BinaryIO) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def read_json_lines(path: Path) -> list[Any]:
    """Return the rows that are whole; a torn line is left out."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_bytes().splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows
