"""Arrays as of an epoch: NAME.EPOCH.npy each while a run is at work, one file when it has ended."""

import contextlib
import io
import os
import re
import zipfile
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
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


def names(folder: Path) -> set[str]:
    """Return the names of the arrays' files, of packed ones those that they had."""
    return {*_alone(folder), *_packed(folder)}


def _alone(folder: Path) -> list[str]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if NAME.fullmatch(entry.name))
    return []


def _packed(folder: Path) -> list[str]:
    # As with a single file: what damage makes it raise is not listed.
    with contextlib.suppress(Exception):
        opened = files.open_regular(folder / PACKED, os.O_RDONLY)
        with os.fdopen(opened, "rb") as file, zipfile.ZipFile(file) as stored:
            return sorted(filter(NAME.fullmatch, stored.namelist()))
    return []


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

    def __init__(self, folder: Path, file_of: Mapping[int, str]) -> None:
        self._folder, self._file_of = folder, file_of

    @cached_property
    def _arrays(self) -> dict[int, NDArray[Any]]:
        # The single ones first: they go only when all are packed.
        read = {name: _read(self._folder / name) for name in self._file_of.values()}
        absent = [name for name, array in read.items() if array is None]
        read |= _read_packed(self._folder / PACKED, absent)
        arrays = {epoch: read[name] for epoch, name in self._file_of.items()}
        return {epoch: array for epoch, array in arrays.items() if array is not None}

    def __getitem__(self, epoch: int) -> NDArray[Any]:
        return self._arrays[epoch]

    def __iter__(self) -> Iterator[int]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)


def kept(folder: Path, without: Collection[str] = ()) -> dict[str, Kept]:
    """Return {name: its arrays}; `without` are names of files to leave out."""
    # The single ones first, as they go only when all are packed.
    alone = _alone(folder)
    packed = [] if PACKED in without else _packed(folder)
    found: dict[str, dict[int, str]] = {}
    for name in sorted({*alone, *packed} - set(without)):
        named = NAME.fullmatch(name)
        assert named
        found.setdefault(named[1], {})[int(named[2])] = name
    return {name: Kept(folder, file_of) for name, file_of in found.items()}


def pack(folder: Path) -> None:
    """Put a folder's arrays into one file, as quotas count files; the same arrays, the same bytes.

    Where one is damaged or there is no room, all stay as they are: as good to read.
    """
    paths = [folder / name for name in _alone(folder)]
    single = {path.name: _read(path) for path in paths}
    whole = {name: array for name, array in single.items() if array is not None}
    # After a crash in the midst of this, some are only there.
    there, before = os.path.lexists(folder / PACKED), _packed(folder)
    packed = _read_packed(folder / PACKED, before)
    damaged = len(whole) < len(paths) or len(packed) < max(len(before), there)
    if damaged or not paths or len(paths) + there < 2:
        return
    packed |= whole
    content = io.BytesIO()
    named: dict[str, Any] = {name.removesuffix(".npy"): packed[name] for name in sorted(packed)}
    np.savez(content, **named)
    if content.tell() > files.TABLE_BYTES:
        return
    with contextlib.suppress(OSError):
        files.write_atomic(folder / PACKED, lambda file: file.write(content.getbuffer()))
        for path in paths:
            path.unlink()


def _read_packed(path: Path, wanted: Collection[str]) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    if not wanted:
        return found
    with contextlib.suppress(Exception):
        content = io.BytesIO(files.read_bytes(path, files.TABLE_BYTES))
        with np.load(content, allow_pickle=False) as stored:
            for name in wanted:
                found[name] = stored[name.removesuffix(".npy")]
    return found


def _read(path: Path) -> NDArray[Any] | None:
    # NumPy parses the header as Python text; what damage there makes it raise is not listed.
    with contextlib.suppress(Exception):
        content = io.BytesIO(files.read_bytes(path, files.TABLE_BYTES))
        array = np.load(content, allow_pickle=False)
        return array if isinstance(array, np.ndarray) else None
    return None
