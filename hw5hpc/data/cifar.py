"""Read CIFAR-10 as torchvision's pickles (checksums verified) or as folders of images."""

import hashlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from hw5hpc.data import class_folders
from hw5hpc.data.arrays import Arrays
from hw5hpc.data.sets import DamagedDownload, ImageSet

FOLDER = "cifar-10-batches-py"


def _pickles(folder: Path) -> Path | None:
    found = (folder, folder / FOLDER)
    return next((p for p in found if (p / "data_batch_1").is_file()), None)


def recognised(folder: Path) -> bool:
    return _pickles(folder) is not None or class_folders.recognised(folder)


def read(folder: Path, images: ImageSet) -> tuple[Arrays, str]:
    """Return the arrays and which copy they are (see hw5hpc.data.sets.Reader).

    Raises:
        DataError: a file is missing, cut off, or not what its checksum says.
    """
    pickles = _pickles(folder)
    if pickles is None:
        return class_folders.read(folder, images)
    batches = [_read_pickle(pickles / name, md5) for name, md5 in images.md5.items()]
    pixels = [np.asarray(batch["data"], np.uint8).reshape(-1, *images.shape) for batch in batches]
    labels = [np.asarray(batch["labels"], np.int64) for batch in batches]
    arrays = np.concatenate(pixels[:-1]), np.concatenate(labels[:-1]), pixels[-1], labels[-1]
    return arrays, f"{images.title} (official, checksums verified)"


def _read_pickle(path: Path, checksum: str) -> dict[str, Any]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DamagedDownload(f"{path}: {error.strerror}") from error
    # Nothing is unpickled before it is known to be the official file.
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != checksum:
        raise DamagedDownload(f"{path}: its checksum is wrong (half downloaded?)")
    batch: dict[str, Any] = pickle.loads(content, encoding="latin1")
    return batch
