"""Arrays as of an epoch: NAME.EPOCH.npy each while a run is at work, one file when it has ended."""

import contextlib
import io
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw5hpc.store import files
from hw5hpc.store.files import StoreError

NAME = re.compile(r"(.+)\.(\d{1,9})\.npy")
PACKED = "arrays.npz"


def file_name(name: str, epoch: int) -> str:
    return f"{name}.{epoch:05d}.npy"


def epoch_of(file: str) -> int | None:
    named = NAME.fullmatch(file)
    return int(named[2]) if named else None


def place(folder: Path, file: str) -> Path:
    """Return the file that holds an array: its own one, while there is one or nothing is packed."""
    alone, packed = folder / file, folder / PACKED
    return packed if packed.exists() and not alone.exists() else alone


def names(folder: Path) -> set[str]:
    """Return the names of the arrays' files, of packed ones those that they had."""
    found = {path.name for path in folder.glob("*.*.npy")}
    with contextlib.suppress(OSError, zipfile.BadZipFile):
        found |= set(zipfile.ZipFile(folder / PACKED).namelist())
    return found


def write(path: Path, array: NDArray[Any]) -> None:
    """Write an array.

    Raises:
        StoreError: it is larger than what is read again.
    """
    # Into memory first: NumPy's own error on a full disk does not say that it is full.
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    if content.tell() > files.TABLE_BYTES:
        raise StoreError(f"{path}: too large ({content.tell()} bytes) to be read again")
    files.write_atomic(path, lambda file: file.write(content.getbuffer()))


def read_all(folder: Path) -> dict[str, dict[int, NDArray[Any]]]:
    """Return {name: {epoch: array}}; a damaged file is left out."""
    found: dict[str, dict[int, NDArray[Any]]] = {}
    # The single ones first: they go only when all are packed.
    single = {path.name: _read(path) for path in sorted(folder.glob("*.*.npy"))}
    for name, array in sorted({**_read_packed(folder / PACKED), **single}.items()):
        named = NAME.fullmatch(name)
        if named and array is not None:
            found.setdefault(named[1], {})[int(named[2])] = array
    return found


def pack(folder: Path) -> None:
    """Put a folder's arrays into one file, as quotas count files; the same arrays, the same bytes.

    Where one is damaged or there is no room, all stay as they are: as good to read.
    """
    paths = [path for path in sorted(folder.glob("*.*.npy")) if NAME.fullmatch(path.name)]
    single = {path.name: _read(path) for path in paths}
    whole = {name: array for name, array in single.items() if array is not None}
    if len(paths) < 2 or len(whole) < len(paths):
        return
    # After a crash in the midst of this, some are only there.
    packed = _read_packed(folder / PACKED) | whole
    content = io.BytesIO()
    named: dict[str, Any] = {name.removesuffix(".npy"): packed[name] for name in sorted(packed)}
    np.savez(content, **named)
    if content.tell() > files.TABLE_BYTES:
        return
    with contextlib.suppress(OSError):
        files.write_atomic(folder / PACKED, lambda file: file.write(content.getbuffer()))
        for path in paths:
            path.unlink()


def _read_packed(path: Path) -> dict[str, NDArray[Any]]:
    with contextlib.suppress(Exception):
        content = io.BytesIO(files.read_bytes(path, files.TABLE_BYTES))
        with np.load(content, allow_pickle=False) as stored:
            return {f"{name}.npy": stored[name] for name in stored.files}
    return {}


def _read(path: Path) -> NDArray[Any] | None:
    # NumPy parses the header as Python text; what damage there makes it raise is not listed.
    with contextlib.suppress(Exception):
        content = io.BytesIO(files.read_bytes(path, files.TABLE_BYTES))
        array = np.load(content, allow_pickle=False)
        return array if isinstance(array, np.ndarray) else None
    return None
