"""Read a data set whole, without torch, and check it against its row in the table."""

from dataclasses import dataclass
from pathlib import Path

from hw5hpc.data.arrays import Arrays, digest
from hw5hpc.data.find import again, require
from hw5hpc.data.sets import DamagedDownload, DataError, ImageSet, choose


@dataclass(frozen=True)
class Copy:
    """A data set as it was read.

    `source` says in words which copy this is; `content` is the SHA-256 of all pixels and labels.
    """

    images: ImageSet
    arrays: Arrays
    source: str
    content: str


_kept: dict[tuple[str, str | None], Copy] = {}


def keep(name: str, root: str | None) -> None:
    """Read a data set once for the rest of this process, and for those that it forks.

    Raises:
        DataError: as `read`.
    """
    if (name, root) not in _kept:
        _kept[name, root] = read(name, root)


def read(name: str, root: str | None) -> Copy:
    """Read a data set, or return the one that was kept.

    Args:
        name: a key of DATA_SETS.
        root: where to look; None for the usual places.

    Raises:
        DataError: the data are absent, cut off or damaged.
    """
    if (name, root) in _kept:
        return _kept[name, root]
    images = choose(name)
    folder = require(name, root)
    try:
        arrays, source = (
            images.load_maker().make()
            if folder is None
            else images.load_reader().read(folder, images)
        )
        _check(arrays, images, folder or Path(images.maker))
    except DamagedDownload as error:
        raise DataError(f"{error}; {again(name)}" if images.download else str(error)) from error
    return Copy(images, arrays, source, digest(arrays))


def _check(arrays: Arrays, images: ImageSet, where: Path) -> None:
    """A label that is no class would end a GPU's process in an assertion that names no file."""
    for pixels, labels in (arrays[:2], arrays[2:]):
        if len(pixels) != len(labels):
            raise DamagedDownload(f"{where}: as many images as labels are needed")
        if not len(pixels):
            raise DamagedDownload(f"{where}: no images in one of its parts")
        if pixels.shape[1:] != images.shape:
            raise DamagedDownload(f"{where}: {_needed(images)}, got {_size(pixels.shape[1:])}")
        for label in (labels.min(), labels.max()):
            if not 0 <= label < len(images.classes):
                raise DamagedDownload(f"{where}: label {label} is none of {len(images.classes)}")


def _needed(images: ImageSet) -> str:
    return f"{images.title} has {images.kind} images of {_size(images.shape)}"


def _size(shape: tuple[int, ...]) -> str:
    """Return (channels, height, width) in words."""
    return f"{shape[2]}x{shape[1]} pixels in {shape[0]} channel{'s' if shape[0] > 1 else ''}"
