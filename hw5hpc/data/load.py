"""Load a data set as uint8 tensors, whatever layout it has on disk."""

import gzip
import hashlib
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torchvision
from numpy.typing import NDArray
from torch import Tensor

from hw5hpc.data import cifar
from hw5hpc.data.find import (
    CACHE,
    MNIST_FILES,
    DataError,
    again,
    check_name,
    find,
    idx_file,
    places,
    require,
)

FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
DIGITS = tuple("0123456789")
TEXTURES = tuple(f"texture {18 * i}°" for i in range(10))


@dataclass(frozen=True)
class DataSet:
    """Images uint8 [N, C, H, W] and labels int64 [N], for training and for testing.

    `source` says in words which copy this is; `content` is the SHA-256 of all pixels and labels.
    """

    name: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    class_names: tuple[str, ...]
    source: str
    content: str = ""

    def to(self, device: torch.device) -> "DataSet":
        tensors = {k: v.to(device) for k, v in vars(self).items() if isinstance(v, Tensor)}
        return replace(self, **tensors)  # type: ignore[arg-type]


Arrays = tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.uint8], NDArray[np.int64]]


def load(
    name: str, root: str | None, limit: int | None, shape: tuple[int, int, int] | None = None
) -> DataSet:
    """Load a data set.

    Args:
        name: a key of DATASETS.
        root: where to look; None for the usual places.
        limit: keep this many training and at most as many test images, chosen by one fixed
            shuffle; a class may be missing from a very small choice.
        shape: convert to (channels, height, width): zero padding or a centre crop, grey by the
            mean of the channels, colour by repetition.

    Raises:
        DataError: the data are absent, cut off or damaged.
    """
    data = DATASETS[name](name, require(name, root))
    if not len(data.train_images) or not len(data.test_images):
        raise DataError(f"data.name {name!r}: no images in {data.source}")
    if limit is not None:
        data = _limited(data, limit)
    if shape is not None:
        data = replace(
            data,
            train_images=convert(data.train_images, shape),
            test_images=convert(data.test_images, shape),
        )
    return data


def _dataset(name: str, arrays: Arrays, classes: tuple[str, ...], source: str) -> DataSet:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    train, train_labels, test, test_labels = (torch.from_numpy(array) for array in arrays)
    content = digest.hexdigest()
    return DataSet(
        name, train, train_labels, test, test_labels, classes, source=source, content=content
    )


def _limited(data: DataSet, limit: int) -> DataSet:
    def choose(count: int) -> Tensor:
        return torch.randperm(count, generator=torch.Generator().manual_seed(0))[:limit]

    train, test = choose(len(data.train_images)), choose(len(data.test_images))
    return replace(
        data,
        train_images=data.train_images[train],
        train_labels=data.train_labels[train],
        test_images=data.test_images[test],
        test_labels=data.test_labels[test],
        source=f"{data.source}, {len(train)} training images",
    )


def convert(images: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Return uint8 images [N, C, H, W] in another shape (see load)."""
    channels, height, width = shape
    if images.shape[1] != channels:
        grey = (
            images.float().mean(1, keepdim=True).round().byte() if images.shape[1] > 1 else images
        )
        images = grey.expand(-1, channels, -1, -1)
    top, left = (height - images.shape[2]) // 2, (width - images.shape[3]) // 2
    bottom, right = height - images.shape[2] - top, width - images.shape[3] - left
    # Negative padding crops.
    return torch.nn.functional.pad(images, (left, right, top, bottom)).contiguous()


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read one idx file of unsigned bytes, gzipped or not (yann.lecun.com/exdb/mnist).

    Raises:
        DataError: it is cut off, damaged, or no such file at all.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: damaged or cut off ({error})") from error
    if len(content) < 4 or content[:3] != b"\0\0\x08":
        raise DataError(f"{path}: not an idx file of bytes")
    head = 4 + 4 * content[3]
    if len(content) < head:
        raise DataError(f"{path}: cut off after {len(content)} bytes")
    shape = tuple(np.frombuffer(content[4:head], ">u4").tolist())
    if len(content) - head != math.prod(shape):
        raise DataError(f"{path}: cut off: {len(content)} bytes do not hold {shape}")
    return np.frombuffer(content[head:], np.uint8).reshape(shape).copy()


def _load_idx(name: str, folder: Path | None) -> DataSet:
    assert folder is not None
    title, classes = IDX_NAMES[name]
    try:
        train, train_labels, test, test_labels = _read_idx_files(folder, len(classes))
    except DataError as error:
        raise DataError(f"{error}; {again(name)}") from error
    parts = (
        train[:, None],
        train_labels.astype(np.int64),
        test[:, None],
        test_labels.astype(np.int64),
    )
    return _dataset(name, parts, classes, f"{title} (idx files)")


def _read_idx_files(folder: Path, classes: int) -> list[NDArray[np.uint8]]:
    """Return MNIST_FILES' arrays, checked against each other."""
    arrays = []
    for stem in MNIST_FILES:
        path = idx_file(folder, stem)
        if path is None:
            raise DataError(f"{folder}: the file {stem}[.gz] is missing")
        arrays.append(read_idx(path))
    train, train_labels, test, test_labels = arrays
    if [array.ndim for array in arrays] != [3, 1, 3, 1]:
        raise DataError(f"{folder}: images and labels are mixed up")
    if len(train) != len(train_labels) or len(test) != len(test_labels):
        raise DataError(f"{folder}: as many images as labels are needed")
    largest = max(train_labels.max(initial=0), test_labels.max(initial=0))
    if largest >= classes:
        raise DataError(f"{folder}: label {largest} is none of {classes}")
    return arrays


IDX_NAMES = {"fashion_mnist": ("Fashion-MNIST", FASHION_CLASSES), "mnist": ("MNIST", DIGITS)}


def _load_cifar(name: str, folder: Path | None) -> DataSet:
    assert folder is not None
    arrays, source = cifar.read(folder)
    return _dataset(name, arrays, cifar.CLASSES, source)


def _make_textures(name: str, folder: Path | None) -> DataSet:
    """Gratings in ten directions with random frequency, phase, colour and noise; 3x32x32."""
    source = np.random.default_rng(0)
    labels = source.integers(0, 10, 12_000)
    angle = np.pi * labels / 10 + source.normal(0, 0.08, len(labels))
    frequency, phase = source.uniform(2, 5, len(labels)), source.uniform(0, 2 * np.pi, len(labels))
    y, x = np.mgrid[0:32, 0:32] / 32
    turned = np.cos(angle)[:, None, None] * x + np.sin(angle)[:, None, None] * y
    waves = np.sin(2 * np.pi * frequency[:, None, None] * turned + phase[:, None, None])
    colours = source.uniform(0.3, 1, (len(labels), 3, 1, 1))
    noisy = waves[:, None] * colours + source.normal(0, 0.6, (len(labels), 3, 32, 32))
    images = np.clip(127.5 + 60 * noisy, 0, 255).astype(np.uint8)
    arrays = (images[:10_000], labels[:10_000], images[10_000:], labels[10_000:])
    return _dataset(name, arrays, TEXTURES, "synthetic textures (made on the fly, no real images)")


DATASETS: dict[str, Callable[[str, Path | None], DataSet]] = {
    "cifar10": _load_cifar,
    "fashion_mnist": _load_idx,
    "mnist": _load_idx,
    "synthetic": _make_textures,
}

DOWNLOADS = {
    "cifar10": torchvision.datasets.CIFAR10,
    "fashion_mnist": torchvision.datasets.FashionMNIST,
    "mnist": torchvision.datasets.MNIST,
}


def fetch(name: str, root: str | None) -> Path:
    """Find a data set, or download it with torchvision (which verifies its checksums).

    Raises:
        DataError: the download failed.
    """
    check_name(name)
    found = find(name, root)
    if found is not None:
        return found
    target = places(root)[0] if root else CACHE.expanduser()
    try:
        DOWNLOADS[name](str(target), download=True)
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"{name}: not found here, and its download to {target} failed: {reason}"
        ) from error
    found = find(name, root)
    if found is None:
        raise DataError(f"{name}: downloaded to {target}, but not found there")
    return found
