"""Data sets in idx files: plain and gzipped ones are read, every kind of damage is named."""

import gzip
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from hw5hpc.data.idx import FILES
from hw5hpc.data.load import load
from hw5hpc.data.read import read
from hw5hpc.data.sets import DATA_SETS, DataError


def idx(array: NDArray[np.uint8], kind: int = 8) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, kind, array.ndim]) + sizes + array.tobytes()


def raw(root: Path, stem: str = FILES[0]) -> Path:
    return root / "MNIST" / "raw" / stem


def test_plain_idx_files(mnist: Path) -> None:
    data = load("mnist", str(mnist), None)
    assert data.train_images.shape == (5, 1, 28, 28)
    assert data.train_images.dtype == torch.uint8
    assert data.test_labels.dtype == torch.int64
    assert len(data.test_labels) == 3
    assert data.class_names == tuple("0123456789")
    assert "MNIST" in data.source


def test_gzipped_idx_files_hold_the_same(mnist: Path) -> None:
    plain = load("mnist", str(mnist), None)
    for stem in FILES:
        path = raw(mnist, stem)
        path.with_name(f"{stem}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert load("mnist", str(mnist), None).content == plain.content


@pytest.mark.parametrize("size", [0, 3, 10, 16, 500])
def test_a_cut_off_idx_file_is_refused(mnist: Path, size: int) -> None:
    path = raw(mnist)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DataError, match="remove its folder and run") as caught:
        load("mnist", str(mnist), None)
    assert str(path) in str(caught.value)
    assert "np." not in str(caught.value)


@pytest.mark.parametrize("size", [0, 5, 100])
def test_a_cut_off_gzip_file_is_refused(mnist: Path, size: int) -> None:
    path = raw(mnist)
    packed = path.with_name(f"{path.name}.gz")
    packed.write_bytes(gzip.compress(path.read_bytes())[:size])
    path.unlink()
    with pytest.raises(DataError, match="remove its folder and run"):
        load("mnist", str(mnist), None)


def test_a_damaged_gzip_file_is_refused(mnist: Path) -> None:
    path = raw(mnist)
    content = bytearray(gzip.compress(path.read_bytes()))
    content[50] ^= 255
    packed = path.with_name(f"{path.name}.gz")
    packed.write_bytes(content)
    path.unlink()
    with pytest.raises(DataError, match="damaged or cut off"):
        load("mnist", str(mnist), None)


@pytest.mark.parametrize("content", [b"<html>not found</html>", b"\0\0\x0d\x01\0\0\0\0"])
def test_a_wrong_magic_number_is_refused(mnist: Path, content: bytes) -> None:
    raw(mnist).write_bytes(content)
    with pytest.raises(DataError, match="not an idx file of bytes"):
        load("mnist", str(mnist), None)


def test_a_missing_idx_file_is_named(mnist: Path) -> None:
    raw(mnist, FILES[3]).unlink()
    with pytest.raises(DataError, match=FILES[3]):
        load("mnist", str(mnist), None)


def test_labels_in_place_of_images_are_refused(mnist: Path) -> None:
    raw(mnist).write_bytes(raw(mnist, FILES[1]).read_bytes())
    with pytest.raises(DataError, match="mixed up"):
        load("mnist", str(mnist), None)


def test_more_labels_than_images_are_refused(mnist: Path) -> None:
    raw(mnist, FILES[1]).write_bytes(idx(np.zeros(6, np.uint8)))
    with pytest.raises(DataError, match="as many images as labels"):
        load("mnist", str(mnist), None)


@pytest.mark.parametrize("stem", [FILES[1], FILES[3]])
def test_a_label_that_is_no_class_is_refused(mnist: Path, stem: str) -> None:
    """On a GPU it would end the process in a device-side assertion that names no file."""
    path = raw(mnist, stem)
    path.write_bytes(path.read_bytes()[:-1] + b"\x0a")
    with pytest.raises(DataError, match="label 10 is none of 10") as caught:
        load("mnist", str(mnist), None)
    assert str(path.parent) in str(caught.value)


def test_images_of_another_size_are_refused(mnist: Path) -> None:
    raw(mnist).write_bytes(idx(np.zeros((5, 32, 32), np.uint8)))
    with pytest.raises(DataError, match="grey images of 28x28 pixels in 1 channel, got 32x32"):
        load("mnist", str(mnist), None)


def test_a_copy_says_whether_its_checksums_are_the_official_ones(
    mnist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read("mnist", str(mnist)).source == "MNIST (idx files, not the official ones)"
    sums = {
        stem: hashlib.md5(raw(mnist, stem).read_bytes(), usedforsecurity=False).hexdigest()
        for stem in FILES
    }
    monkeypatch.setitem(DATA_SETS, "mnist", replace(DATA_SETS["mnist"], md5=sums))
    assert read("mnist", str(mnist)).source == "MNIST (official, checksums verified)"
    changed = bytearray(raw(mnist).read_bytes())
    changed[-1] ^= 1
    raw(mnist).write_bytes(changed)
    assert "not the official" in read("mnist", str(mnist)).source


@pytest.mark.data
def test_the_real_fashion_mnist_is_the_official_one(fashion_mnist: Path) -> None:
    """However it is packed: the checksums are those of what the .gz files hold."""
    copy = read("fashion_mnist", str(fashion_mnist))
    assert copy.source == "Fashion-MNIST (official, checksums verified)"
    assert len(copy.arrays[0]) == 60_000
