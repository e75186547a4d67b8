"""Arrays as of an epoch, one NumPy file each: NAME.EPOCH.npy."""

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw5hpc.store import files
from hw5hpc.store.files import StoreError

NAME = re.compile(r"(.+)\.(\d{1,9})\.npy")


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
    for path in sorted(folder.glob("*.*.npy")):
        named = NAME.fullmatch(path.name)
        array = _read(path) if named else None
        if named and array is not None:
            found.setdefault(named[1], {})[int(named[2])] = array
    return found


def _read(path: Path) -> NDArray[Any] | None:
    # NumPy parses the header as Python text; what damage there makes it raise is not listed.
    with contextlib.suppress(Exception):
        content = io.BytesIO(files.read_bytes(path, files.TABLE_BYTES))
        array = np.load(content, allow_pickle=False)
        return array if isinstance(array, np.ndarray) else None
    return None
