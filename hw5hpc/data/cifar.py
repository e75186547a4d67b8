"""Read CIFAR-10 as torchvision's pickles (checksums verified) or as folders of images."""

import hashlib
import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hw5hpc.data.find import CACHE, CIFAR_FOLDER, DataError, again
from hw5hpc.store.files import write_atomic

CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
# As torchvision.datasets.CIFAR10 lists them.
CHECKSUMS = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
Arrays = tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.uint8], NDArray[np.int64]]


def read(folder: Path) -> tuple[Arrays, str]:
    """Return the arrays and, in words, which copy they are.

    Raises:
        DataError: a file is missing, cut off, or not what its checksum says.
    """
    for pickles in (folder, folder / CIFAR_FOLDER):
        if (pickles / "data_batch_1").is_file():
            return _read_pickles(pickles), "CIFAR-10 (official, checksums verified)"
    return _read_folders(folder)


def _read_pickles(folder: Path) -> Arrays:
    batches = [_read_pickle(folder / name, checksum) for name, checksum in CHECKSUMS.items()]
    images = [np.asarray(batch["data"], np.uint8).reshape(-1, 3, 32, 32) for batch in batches]
    labels = [np.asarray(batch["labels"], np.int64) for batch in batches]
    return np.concatenate(images[:-1]), np.concatenate(labels[:-1]), images[-1], labels[-1]


def _read_pickle(path: Path, checksum: str) -> dict[str, Any]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; {again('cifar10')}") from error
    # Nothing is unpickled before it is known to be the official file.
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != checksum:
        raise DataError(f"{path}: its checksum is wrong (half downloaded?); {again('cifar10')}")
    batch: dict[str, Any] = pickle.loads(content, encoding="latin1")
    return batch


def _read_folders(folder: Path) -> tuple[Arrays, str]:
    files = {part: _image_files(folder / part) for part in ("train", "test")}
    listing = hashlib.sha256()
    for path in (*files["train"], *files["test"]):
        stat = path.stat()
        listing.update(f"{path.relative_to(folder)} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    cache = CACHE.expanduser().parent / "decoded" / f"{listing.hexdigest()[:16]}.npz"
    arrays = _cached(cache)
    if arrays is None:
        arrays = (*_decode(files["train"]), *_decode(files["test"]))
        _save(cache, arrays)
    copy = "JPEG copy, " if files["train"][0].suffix.lower() != ".png" else ""
    return arrays, f"CIFAR-10 ({copy}class folders)"


def _image_files(folder: Path) -> list[Path]:
    missing = [name for name in CLASSES if not (folder / name).is_dir()]
    if missing:
        raise DataError(f"{folder}: the class folder {missing[0]!r} is missing")
    kinds = (".png", ".jpg", ".jpeg")
    files = [
        path
        for name in CLASSES
        for path in sorted((folder / name).iterdir())
        if path.suffix.lower() in kinds
    ]
    if not files:
        raise DataError(f"{folder}: no .png or .jpg images in its class folders")
    return files


def _decode(files: list[Path]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    images = np.empty((len(files), 3, 32, 32), np.uint8)
    labels = np.array([CLASSES.index(path.parent.name) for path in files], np.int64)
    for index, path in enumerate(files):
        try:
            with Image.open(path) as picture:
                pixels = np.asarray(picture.convert("RGB"))
        # To Pillow a broken PNG is a SyntaxError or a ValueError, and a size of gigapixels a bomb.
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise DataError(f"{path}: damaged image ({error})") from error
        if pixels.shape != (32, 32, 3):
            raise DataError(
                f"{path}: 32x32 pixels are needed, got {pixels.shape[1]}x{pixels.shape[0]}"
            )
        images[index] = pixels.transpose(2, 0, 1)
    return images, labels


def _cached(cache: Path) -> Arrays | None:
    """Return the decoded arrays of an earlier call, or None; a cut-off cache counts as none."""
    try:
        with cache.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = tuple(stored[name] for name in ("a", "b", "c", "d"))
            digest = str(stored["digest"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return arrays if digest == _digest(arrays) else None


def _digest(arrays: Any) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _save(cache: Path, arrays: Arrays) -> None:
    buffer = io.BytesIO()
    named = dict(zip(("a", "b", "c", "d"), arrays, strict=True))
    np.savez(buffer, digest=_digest(arrays), **named)  # type: ignore[arg-type]
    try:
        write_atomic(cache, lambda file: file.write(buffer.getvalue()))
    except OSError:
        # A cache that cannot be written only costs time.
        return
