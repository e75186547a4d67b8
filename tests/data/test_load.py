"""Data sets: every layout is read, and every kind of damage is named in a clear message."""

import gzip
import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import hw5hpc.data.cifar as cifar
import hw5hpc.data.find as finding
from hw5hpc.data.find import MNIST_FILES, DataError, find, require
from hw5hpc.data.load import convert, fetch, load, read_idx

COUNTS = {"train": 5, "t10k": 3}


@pytest.fixture(autouse=True)
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test finds this machine's own data, or writes to its cache."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("HW5HPC_DATA", raising=False)
    monkeypatch.setattr(finding, "DEBIAN", tmp_path / "nothing")
    return home


def idx(array: NDArray[np.uint8], kind: int = 8) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, kind, array.ndim]) + sizes + array.tobytes()


@pytest.fixture
def mnist(tmp_path: Path) -> Path:
    """A root with a tiny data set in MNIST's plain files."""
    folder, source = tmp_path / "root" / "MNIST" / "raw", np.random.default_rng(0)
    folder.mkdir(parents=True)
    for stem in MNIST_FILES:
        count = COUNTS[stem.split("-")[0]]
        shape = (count, 28, 28) if "images" in stem else (count,)
        high = 256 if "images" in stem else 10
        (folder / stem).write_bytes(idx(source.integers(0, high, shape).astype(np.uint8)))
    return tmp_path / "root"


def raw(root: Path, stem: str = MNIST_FILES[0]) -> Path:
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
    for stem in MNIST_FILES:
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
    with pytest.raises(DataError, match="damaged or cut off"):
        read_idx(packed)


@pytest.mark.parametrize("content", [b"<html>not found</html>", b"\0\0\x0d\x01\0\0\0\0"])
def test_a_wrong_magic_number_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(DataError, match="not an idx file of bytes"):
        read_idx(path)


def test_a_missing_idx_file_is_named(mnist: Path) -> None:
    raw(mnist, MNIST_FILES[3]).unlink()
    with pytest.raises(DataError, match=MNIST_FILES[3]):
        load("mnist", str(mnist), None)


def test_labels_in_place_of_images_are_refused(mnist: Path) -> None:
    raw(mnist).write_bytes(raw(mnist, MNIST_FILES[1]).read_bytes())
    with pytest.raises(DataError, match="mixed up"):
        load("mnist", str(mnist), None)


def test_more_labels_than_images_are_refused(mnist: Path) -> None:
    raw(mnist, MNIST_FILES[1]).write_bytes(idx(np.zeros(6, np.uint8)))
    with pytest.raises(DataError, match="as many images as labels"):
        load("mnist", str(mnist), None)


@pytest.mark.parametrize("stem", [MNIST_FILES[1], MNIST_FILES[3]])
def test_a_label_that_is_no_class_is_refused(mnist: Path, stem: str) -> None:
    """On a GPU it would end the process in a device-side assertion that names no file."""
    path = raw(mnist, stem)
    path.write_bytes(path.read_bytes()[:-1] + b"\x0a")
    with pytest.raises(DataError, match="label 10 is none of 10") as caught:
        load("mnist", str(mnist), None)
    assert str(path.parent) in str(caught.value)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10"])
def test_absent_data_say_where_they_were_sought_and_how_to_get_them(
    tmp_path: Path, name: str
) -> None:
    for root in (None, str(tmp_path / "elsewhere")):
        with pytest.raises(DataError, match=f"python jobs/fetch_data.py {name}") as caught:
            require(name, root)
        assert (root or "hw5hpc") in str(caught.value)


def test_what_is_made_on_the_fly_needs_no_folder() -> None:
    assert require("synthetic", None) is None


def test_a_misspelt_name_is_corrected() -> None:
    with pytest.raises(DataError, match="fashion_mnist"):
        find("fashion-mnist", None)


def test_data_are_found_by_the_environment(mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HW5HPC_DATA", str(mnist))
    assert find("mnist", None) == raw(mnist).parent
    assert find("fashion_mnist", None) is None


def test_a_root_may_hold_variables(mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOMEWHERE", str(mnist))
    assert find("mnist", "$SOMEWHERE") == raw(mnist).parent
    assert fetch("mnist", "$SOMEWHERE") == raw(mnist).parent


def test_a_download_goes_to_the_root_with_its_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(root: str, download: bool) -> None:
        raise RuntimeError(f"no network for {root}")

    monkeypatch.setenv("SOMEWHERE", str(tmp_path))
    monkeypatch.setitem(fetch.__globals__["DOWNLOADS"], "mnist", refuse)
    with pytest.raises(DataError, match=f"no network for {tmp_path}/data"):
        fetch("mnist", "$SOMEWHERE/data")


@pytest.fixture(params=["png", "jpg"])
def folders(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """CIFAR-10 as class folders: two training images and one test image of each class."""
    root, source = tmp_path / "cifar10", np.random.default_rng(1)
    for part, count in (("train", 2), ("test", 1)):
        for name in cifar.CLASSES:
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


def test_every_damaged_byte_of_a_png_is_an_image_or_a_data_error(tmp_path: Path) -> None:
    path = tmp_path / "dog" / "0.png"
    path.parent.mkdir()
    Image.new("RGB", (32, 32), (10, 200, 30)).save(path)
    whole = path.read_bytes()
    for index in range(len(whole)):
        for value in (0, 255, whole[index] ^ 1):
            path.write_bytes(whole[:index] + bytes([value]) + whole[index + 1 :])
            try:
                cifar._decode([path])
            except DataError as error:
                assert str(path) in str(error)


def test_a_jpeg_that_claims_gigapixels_is_a_damaged_image(tmp_path: Path) -> None:
    path = tmp_path / "dog" / "0.jpg"
    path.parent.mkdir()
    Image.new("RGB", (32, 32)).save(path)
    whole = path.read_bytes()
    # Height and width follow the frame's marker, its length and its precision.
    sizes = whole.index(b"\xff\xc0") + 5
    path.write_bytes(whole[:sizes] + b"\xff" * 4 + whole[sizes + 4 :])
    with pytest.raises(DataError, match="damaged image") as caught:
        cifar._decode([path])
    assert str(path) in str(caught.value)


def test_an_image_of_another_size_is_refused(folders: Path) -> None:
    Image.new("RGB", (40, 30)).save(folders / "train" / "cat" / "0.png")
    with pytest.raises(DataError, match="32x32 pixels are needed, got 40x30"):
        load("cifar10", str(folders), None)


def test_empty_class_folders_are_refused(tmp_path: Path) -> None:
    for name in cifar.CLASSES:
        (tmp_path / "cifar10" / "train" / name).mkdir(parents=True)
    with pytest.raises(DataError, match=r"no \.png or \.jpg images"):
        load("cifar10", str(tmp_path), None)


@pytest.fixture
def pickles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """CIFAR-10 in its official layout, two images a file, with checksums to suit."""
    folder, sums = tmp_path / "root" / "cifar-10-batches-py", {}
    folder.mkdir(parents=True)
    for index, name in enumerate(cifar.CHECKSUMS):
        batch = {"data": np.full((2, 3072), index, np.uint8), "labels": [index, 9]}
        content = pickle.dumps(batch)
        (folder / name).write_bytes(content)
        sums[name] = hashlib.md5(content, usedforsecurity=False).hexdigest()
    monkeypatch.setattr(cifar, "CHECKSUMS", sums)
    return folder


def test_the_official_files(pickles: Path) -> None:
    for root in (pickles, pickles.parent):
        data = load("cifar10", str(root), None)
        assert data.train_images.shape == (10, 3, 32, 32)
        assert data.train_labels.tolist() == [0, 9, 1, 9, 2, 9, 3, 9, 4, 9]
        assert data.test_images.unique().tolist() == [5]
        assert "official" in data.source


def test_a_half_downloaded_official_file_is_refused(pickles: Path) -> None:
    path = pickles / "data_batch_4"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="data_batch_4: its checksum is wrong") as caught:
        load("cifar10", str(pickles), None)
    assert "python jobs/fetch_data.py cifar10" in str(caught.value)


def test_a_missing_official_file_is_named(pickles: Path) -> None:
    (pickles / "test_batch").unlink()
    with pytest.raises(DataError, match="test_batch"):
        load("cifar10", str(pickles), None)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [27, 28, 32, 33])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 31, 30)])
def test_convert_gives_the_shape_asked_for(
    channels: int, size: int, shape: tuple[int, int, int]
) -> None:
    images = torch.full((2, channels, size, size), 9, dtype=torch.uint8)
    made = convert(images, shape)
    assert made.shape == (2, *shape)
    assert made.dtype == torch.uint8
    assert made.is_contiguous()
    assert int(made[0, 0, shape[1] // 2, shape[2] // 2]) == 9


def test_convert_pads_with_black_and_repeats_the_grey_channel() -> None:
    made = convert(torch.full((1, 1, 28, 28), 7, dtype=torch.uint8), (3, 32, 32))
    assert int(made.sum()) == 7 * 3 * 28 * 28
    assert bool((made[:, :, 2:30, 2:30] == 7).all())


def test_convert_crops_the_centre_and_takes_the_mean_of_the_channels() -> None:
    images = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    images[:, 0, 2, 2], images[:, 1, 2, 2] = 30, 60
    made = convert(images, (1, 28, 28))
    assert int(made[0, 0, 0, 0]) == 30
    assert int(made.sum()) == 30


def test_a_limit_keeps_the_same_images_each_time(mnist: Path) -> None:
    whole, one = load("mnist", str(mnist), None), load("mnist", str(mnist), 4)
    assert (len(one.train_images), len(one.test_images)) == (4, 3)
    assert torch.equal(one.train_images, load("mnist", str(mnist), 4).train_images)
    assert "4 training images" in one.source
    pairs = list(zip(whole.train_images, whole.train_labels, strict=True))
    for image, label in zip(one.train_images, one.train_labels, strict=True):
        assert any(torch.equal(image, i) and bool(label == n) for i, n in pairs)


def test_a_limit_above_the_size_keeps_all(mnist: Path) -> None:
    assert len(load("mnist", str(mnist), 1000).train_images) == 5


def test_synthetic_textures_are_the_same_each_time_and_say_what_they_are() -> None:
    one, other = load("synthetic", None, None), load("synthetic", None, None)
    assert one.content == other.content
    assert one.train_images.shape == (10_000, 3, 32, 32)
    assert one.test_images.shape == (2_000, 3, 32, 32)
    assert sorted(one.train_labels.unique().tolist()) == list(range(10))
    assert "synthetic" in one.source
