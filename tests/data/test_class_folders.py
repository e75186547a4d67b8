"""Data sets in class folders: decoded once, counted, and what cannot be read is named."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hw5hpc.data import class_folders
from hw5hpc.data.load import load
from hw5hpc.data.sets import DATA_SETS, DataError

CLASSES = DATA_SETS["cifar10"].classes


@pytest.fixture(params=["png", "jpg"])
def folders(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """CIFAR-10 as class folders: two training images and one test image of each class."""
    root, source = tmp_path / "cifar10", np.random.default_rng(1)
    for part, count in (("train", 2), ("test", 1)):
        for name in CLASSES:
            (root / part / name).mkdir(parents=True)
            for index in range(count):
                pixels = source.integers(0, 256, (32, 32, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(root / part / name / f"{index}.{request.param}")
    return root


def only_cache(home: Path) -> Path:
    (cache,) = (home / ".cache" / "hw5hpc" / "decoded").iterdir()
    return cache


def test_class_folders(folders: Path) -> None:
    data = load("cifar10", str(folders), None)
    assert data.train_images.shape == (20, 3, 32, 32)
    assert data.train_labels.tolist() == [label for label in range(10) for _ in range(2)]
    assert data.test_labels.tolist() == list(range(10))
    path = next((folders / "train" / "airplane").glob("0.*"))
    with Image.open(path) as picture:
        expected = np.asarray(picture.convert("RGB")).transpose(2, 0, 1)
    assert np.array_equal(data.train_images[0].numpy(), expected)
    assert ("JPEG copy" in data.source) == (path.suffix == ".jpg")


def test_images_are_decoded_once(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load("cifar10", str(folders), None)
    monkeypatch.delattr(Image, "open")
    assert load("cifar10", str(folders), None).content == first.content


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_cut_off_cache_is_made_again(folders: Path, empty_home: Path, share: float) -> None:
    first = load("cifar10", str(folders), None)
    cache = only_cache(empty_home)
    whole = cache.read_bytes()
    cache.write_bytes(whole[: int(share * len(whole))])
    assert load("cifar10", str(folders), None).content == first.content
    assert only_cache(empty_home).stat().st_size == len(whole)


@pytest.mark.parametrize("place", [0.2, 0.5, 0.8])
def test_a_flipped_byte_in_the_cache_is_noticed(
    folders: Path, empty_home: Path, place: float
) -> None:
    first = load("cifar10", str(folders), None)
    cache = only_cache(empty_home)
    content = bytearray(cache.read_bytes())
    content[int(place * len(content))] ^= 255
    cache.write_bytes(content)
    assert load("cifar10", str(folders), None).content == first.content


def test_an_added_image_is_noticed(folders: Path) -> None:
    first = load("cifar10", str(folders), None)
    Image.new("RGB", (32, 32)).save(folders / "train" / "cat" / "new.png")
    second = load("cifar10", str(folders), None)
    assert len(second.train_images) == len(first.train_images) + 1
    assert second.content != first.content


def test_a_cache_that_cannot_be_written_only_costs_time(folders: Path, empty_home: Path) -> None:
    (empty_home / ".cache").write_text("in the way")
    assert len(load("cifar10", str(folders), None).train_images) == 20


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_missing_class_folder_is_named(folders: Path, part: str) -> None:
    (folders / part / "frog").rename(folders / part / "toad")
    with pytest.raises(DataError, match="'frog' is missing") as caught:
        load("cifar10", str(folders), None)
    assert str(folders / part) in str(caught.value)


@pytest.mark.parametrize("size", [0, 10, 400])
def test_a_damaged_image_is_named(folders: Path, size: int) -> None:
    path = next((folders / "train" / "dog").glob("1.*"))
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DataError, match="damaged image") as caught:
        load("cifar10", str(folders), None)
    assert str(path) in str(caught.value)


def test_an_image_of_another_size_is_refused(folders: Path) -> None:
    Image.new("RGB", (40, 30)).save(folders / "train" / "cat" / "0.png")
    with pytest.raises(DataError, match="32x32 pixels are needed, got 40x30"):
        load("cifar10", str(folders), None)


def test_empty_class_folders_are_refused(tmp_path: Path) -> None:
    for name in CLASSES:
        (tmp_path / "cifar10" / "train" / name).mkdir(parents=True)
    with pytest.raises(DataError, match=r"no \.png or \.jpg images"):
        load("cifar10", str(tmp_path), None)


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_class_without_images_is_refused(folders: Path, part: str) -> None:
    for path in (folders / part / "horse").iterdir():
        path.unlink()
    (folders / part / "horse" / "notes.txt").write_text("no image")
    with pytest.raises(DataError, match=r"no \.png or \.jpg images in this class folder") as caught:
        load("cifar10", str(folders), None)
    assert str(folders / part / "horse") in str(caught.value)


def test_what_systems_leave_behind_is_passed_over(folders: Path) -> None:
    plain = load("cifar10", str(folders), None)
    cats = folders / "train" / "cat"
    for name in ("._0.jpg", "._0.png", ".DS_Store", "Thumbs.db", "desktop.ini", "read me"):
        (cats / name).write_bytes(b"\0\5\x16\7")
    for name in ("more.jpg", "more.png", ".ipynb_checkpoints"):
        (cats / name).mkdir()
    assert load("cifar10", str(folders), None).content == plain.content


def test_suffixes_may_be_in_capitals(folders: Path) -> None:
    plain = load("cifar10", str(folders), None)
    for path in list(folders.rglob("*.*")):
        path.rename(path.with_suffix(path.suffix.upper()))
    capital = load("cifar10", str(folders), None)
    assert (capital.content, capital.source) == (plain.content, plain.source)


def test_images_of_a_kind_that_is_not_read_are_not_passed_over(folders: Path) -> None:
    path = folders / "train" / "cat" / "extra.GIF"
    Image.new("RGB", (32, 32)).save(path)
    with pytest.raises(DataError, match=r"\.gif images are not read") as caught:
        load("cifar10", str(folders), None)
    assert str(path) in str(caught.value)


def test_what_is_no_file_is_named(folders: Path) -> None:
    cats = folders / "train" / "cat"
    for make in (lambda path: path.symlink_to("nowhere"), os.mkfifo):
        path = cats / "9.png"
        make(path)
        with pytest.raises(DataError, match="damaged image") as caught:
            load("cifar10", str(folders), None)
        assert str(path) in str(caught.value)
        path.unlink()


def test_the_source_counts_the_images_of_each_class(folders: Path) -> None:
    assert "2 + 1 images a class" in load("cifar10", str(folders), None).source
    next((folders / "train" / "deer").iterdir()).unlink()
    for name in ("cat", "ship"):
        Image.new("RGB", (32, 32)).save(folders / "train" / name / "new.png")
    words = load("cifar10", str(folders), None).source
    assert "2 images a class but cat 3 and deer 1 and ship 3 for training" in words
    assert "1 images a class for testing" in words


def test_many_images_are_announced(folders: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A login node decodes 60,000 of them for about ten seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(class_folders, "MANY", 30)
        load("cifar10", str(folders), None)
        load("cifar10", str(folders), None)
    assert [record.getMessage() for record in caplog.records] == [
        "CIFAR-10: decoding 30 images, once"
    ]
