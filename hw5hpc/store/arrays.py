"""Arrays as of an epoch, one NumPy file each: NAME.EPOCH.npy."""

import contextlib
import io
import os
import re
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
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


class Kept(Mapping[int, NDArray[Any]]):
    """The arrays of one name: {epoch: array}, read when they are first looked at.

    A thousand runs keep gigabytes, of which a report draws a few pictures. A damaged file is left
    out, so even their number is known only then.
    """

    def __init__(self, folder: Path, names: Mapping[int, str]) -> None:
        self._folder, self._names = folder, names

    @cached_property
    def _arrays(self) -> dict[int, NDArray[Any]]:
        read = {epoch: _read(self._folder / name) for epoch, name in self._names.items()}
        return {epoch: array for epoch, array in read.items() if array is not None}

    def __getitem__(self, epoch: int) -> NDArray[Any]:
        return self._arrays[epoch]

    def __iter__(self) -> Iterator[int]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)


def kept(folder: Path, without: Collection[str] = ()) -> dict[str, Kept]:
    """Return {name: its arrays}; `without` are names of files to leave out."""
    found: dict[str, dict[int, str]] = {}
    for name in _names(folder):
        named = NAME.fullmatch(name)
        if named and name not in without:
            found.setdefault(named[1], {})[int(named[2])] = name
    return {name: Kept(folder, names) for name, names in found.items()}


def _names(folder: Path) -> list[str]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries)
    return []


def _read(path: Path) -> NDArray[Any] | None:
    # NumPy parses the header as Python text; what damage there makes it raise is not listed.
    with contextlib.suppress(Exception):
        content = io.BytesIO(files.read_bytes(path, files.TABLE_BYTES))
        array = np.load(content, allow_pickle=False)
        return array if isinstance(array, np.ndarray) else None
    return None
