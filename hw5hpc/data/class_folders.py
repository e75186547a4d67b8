"""Read a data set in folders of images, train/<class>/ and test/<class>/, decoded once."""

import hashlib
import io
import logging
import os
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw5hpc.data import image
from hw5hpc.data.arrays import Arrays, digest
from hw5hpc.data.find import cache
from hw5hpc.data.sets import DataError, ImageSet
from hw5hpc.store.files import write_atomic

log = logging.getLogger(__name__)

PARTS = ("train", "test")
# Stands in the name of what is kept; it changes with the rules by which images are read.
RULES = "2"
# From so many images on it takes a while.
MANY = 10_000

Listing = dict[str, list[Path]]


def recognised(folder: Path) -> bool:
    return (folder / "train").is_dir()


def read(folder: Path, images: ImageSet) -> tuple[Arrays, str]:
    """Return the arrays and which copy they are (see hw5hpc.data.sets.Reader).

    Every image is decoded and checked once. The outcome is kept beside the folder for downloads
    for as long as the files' names, sizes and times are the same.

    Raises:
        DataError: a class has no folder or no images, or a file that cannot be read right.
    """
    train, test = (_listing(folder / part, images.classes) for part in PARTS)
    files = [path for part in (train, test) for paths in part.values() for path in paths]
    kept = cache().parent / "decoded" / f"{_fingerprint(folder, files, images)}.npz"
    arrays = _kept(kept)
    if arrays is None:
        if len(files) >= MANY:
            log.warning("%s: decoding %s images, once", images.title, f"{len(files):,}")
        arrays = (*_decode(train, images.shape), *_decode(test, images.shape))
        _keep(kept, arrays)
    jpeg = any(path.suffix.lower() != ".png" for path in files)
    copy = ("JPEG copy, " if jpeg else "") + f"class folders, {_counts(train, test)}"
    return arrays, f"{images.title} ({copy})"


def _listing(folder: Path, classes: tuple[str, ...]) -> Listing:
    """Return each class's image files by name.

    Raises:
        DataError: a class has no folder, or no images.
    """
    found = {}
    for name in classes:
        if not (folder / name).is_dir():
            raise DataError(f"{folder}: the class folder {name!r} is missing")
        found[name] = _image_files(folder / name)
        if not found[name]:
            raise DataError(f"{folder / name}: no .png or .jpg images in this class folder")
    return found


def _image_files(folder: Path) -> list[Path]:
    """Return a folder's images; what systems leave behind (._x.jpg, Thumbs.db) is passed over."""
    try:
        with os.scandir(folder) as entries:
            named = [(entry.name, entry.is_dir(), entry.is_file()) for entry in entries]
    except OSError as error:
        raise DataError(f"{folder}: {error.strerror}") from error
    files = []
    for name, is_folder, is_file in sorted(named):
        path = folder / name
        suffix = path.suffix.lower()
        if name.startswith(".") or is_folder or suffix not in (*image.READ, *image.REFUSED):
            continue
        if suffix in image.REFUSED:
            raise DataError(f"{path}: {suffix} images are not read; .png and .jpg ones are")
        if not is_file:
            raise DataError(f"{path}: damaged image (a link to nowhere, or no file at all)")
        files.append(path)
    return files


def _counts(train: Listing, test: Listing) -> str:
    """Return in words how many images a class has; one that differs is named."""
    usual, test_usual = _usual(train), _usual(test)
    if not usual[1] and not test_usual[1]:
        return f"{usual[0]:,} + {test_usual[0]:,} images a class"
    return f"{_worded(*usual)} for training, {_worded(*test_usual)} for testing"


def _usual(listing: Listing) -> tuple[int, list[str]]:
    """Return the commonest count of images, and the classes that have another."""
    counts = {name: len(paths) for name, paths in listing.items()}
    ((usual, _),) = Counter(counts.values()).most_common(1)
    return usual, [f"{name} {count:,}" for name, count in counts.items() if count != usual]


def _worded(usual: int, others: list[str]) -> str:
    return f"{usual:,} images a class" + (f" but {' and '.join(others)}" if others else "")


def _fingerprint(folder: Path, files: list[Path], images: ImageSet) -> str:
    listed = hashlib.sha256(f"{RULES} {images.shape}\n".encode())
    for path in files:
        try:
            stat = path.stat()
        except OSError as error:
            raise DataError(f"{path}: {error.strerror}") from error
        line = f"{path.relative_to(folder)} {stat.st_size} {stat.st_mtime_ns}\n"
        listed.update(line.encode(errors="surrogateescape"))
    return listed.hexdigest()[:16]


def _decode(
    listing: Listing, shape: tuple[int, int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    files = [path for paths in listing.values() for path in paths]
    pixels = np.empty((len(files), *shape), np.uint8)
    for index, path in enumerate(files):
        pixels[index] = image.read(path, shape)
    counts = [len(paths) for paths in listing.values()]
    return pixels, np.repeat(np.arange(len(counts), dtype=np.int64), counts)


def _kept(path: Path) -> Arrays | None:
    """Return the decoded arrays of an earlier call, or None; a cut-off file counts as none."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays: Any = tuple(stored[name] for name in ("a", "b", "c", "d"))
            expected = str(stored["digest"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return arrays if expected == digest(arrays) else None


def _keep(path: Path, arrays: Arrays) -> None:
    buffer = io.BytesIO()
    named: dict[str, Any] = dict(zip(("a", "b", "c", "d"), arrays, strict=True))
    np.savez(buffer, digest=digest(arrays), **named)
    try:
        write_atomic(path, lambda file: file.write(buffer.getvalue()))
    except OSError:
        # Where nothing can be kept, it only costs time.
        return
