"""Read a data set in MNIST's four idx files, gzipped or not (yann.lecun.com/exdb/mnist)."""

import gzip
import hashlib
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hw5hpc.data.arrays import Arrays
from hw5hpc.data.sets import DamagedDownload, ImageSet

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def recognised(folder: Path) -> bool:
    return any(_file(folder, stem) for stem in FILES)


def _file(folder: Path, stem: str) -> Path | None:
    return next((p for p in (folder / stem, folder / f"{stem}.gz") if p.is_file()), None)


def read(folder: Path, images: ImageSet) -> tuple[Arrays, str]:
    """Return the arrays and whether they are the official ones (see hw5hpc.data.sets.Reader).

    Raises:
        DamagedDownload: a file is missing, cut off, or not what its name says.
    """
    contents = {stem: _content(folder, stem) for stem in FILES}
    train, train_labels, test, test_labels = (_parse(*found) for found in contents.values())
    if [array.ndim for array in (train, train_labels, test, test_labels)] != [3, 1, 3, 1]:
        raise DamagedDownload(f"{folder}: images and labels are mixed up")
    arrays = (
        train[:, None],
        train_labels.astype(np.int64),
        test[:, None],
        test_labels.astype(np.int64),
    )
    sums = {stem: _md5(content) for stem, (_, content) in contents.items()} if images.md5 else {}
    return arrays, f"{images.title} ({_copy(sums, images)})"


def _copy(sums: dict[str, str], images: ImageSet) -> str:
    if not images.md5:
        return "idx files"
    official = sums == images.md5
    return "official, checksums verified" if official else "idx files, not the official ones"


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _content(folder: Path, stem: str) -> tuple[Path, bytes]:
    path = _file(folder, stem)
    if path is None:
        raise DamagedDownload(f"{folder}: the file {stem}[.gz] is missing")
    try:
        content = path.read_bytes()
        return path, gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError, zlib.error) as error:
        raise DamagedDownload(f"{path}: damaged or cut off ({error})") from error


def _parse(path: Path, content: bytes) -> NDArray[np.uint8]:
    """Return the array in an idx file of unsigned bytes."""
    if len(content) < 4 or content[:3] != b"\0\0\x08":
        raise DamagedDownload(f"{path}: not an idx file of bytes")
    head = 4 + 4 * content[3]
    if len(content) < head:
        raise DamagedDownload(f"{path}: cut off after {len(content)} bytes")
    shape = tuple(np.frombuffer(content[4:head], ">u4").tolist())
    if len(content) - head != math.prod(shape):
        raise DamagedDownload(f"{path}: cut off: {len(content)} bytes do not hold {shape}")
    return np.frombuffer(content[head:], np.uint8).reshape(shape).copy()
