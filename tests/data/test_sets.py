"""What every row of the table of data sets must fulfil; a new row needs no edit here."""

import importlib.util
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision

from hw5hpc.data.arrays import Arrays
from hw5hpc.data.find import find, require
from hw5hpc.data.load import load
from hw5hpc.data.read import read
from hw5hpc.data.sets import DATA_SETS, DataError, ImageSet, choose
from hw5hpc.errors import FieldError
from hw5hpc.experiments.config import DataConfig
from hw5hpc.report.names import DATA_TITLES

ROOT = Path(__file__).resolve().parents[2]
WRITERS = Path(__file__).parent / "writers"
ON_DISK = [name for name, images in DATA_SETS.items() if images.reader]


def writer(images: ImageSet) -> Any:
    """Return what writes small files for a reader: tests/data/writers/<reader>.py."""
    path = WRITERS / f"{images.reader.rsplit('.', 1)[-1]}.py"
    assert path.exists(), f"write {path}, so that every data set with this reader is tested"
    found = importlib.util.spec_from_file_location(path.stem, path)
    assert found and found.loader
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def small(images: ImageSet) -> Arrays:
    """Two training images and one test image of each class, in the order of the classes."""
    source, count = np.random.default_rng(0), len(images.classes)
    train, test = (
        source.integers(0, 256, (n * count, *images.shape)).astype(np.uint8) for n in (2, 1)
    )
    return train, np.arange(count).repeat(2), test, np.arange(count)


@pytest.mark.parametrize("name", DATA_SETS)
def test_a_row_is_whole(name: str) -> None:
    images = DATA_SETS[name]
    assert images.title
    assert len(images.classes) == len(set(images.classes)) >= 2
    assert images.kind == {1: "grey", 3: "colour"}[images.shape[0]]
    assert bool(images.reader) != bool(images.maker)
    assert bool(images.reader) == bool(images.folders)
    assert not images.download or hasattr(torchvision.datasets, images.download)
    assert all(len(md5) == 32 and int(md5, 16) for md5 in images.md5.values())


@pytest.mark.parametrize("name", DATA_SETS)
def test_what_derives_from_a_row_knows_it(name: str) -> None:
    assert choose(name) is DATA_SETS[name]
    assert DataConfig(name=name).name == name
    assert DATA_TITLES[name] == DATA_SETS[name].title
    assert f"| `{name}` |" in (ROOT / "docs" / "data.md").read_text()


def test_titles_and_folders_are_taken_once() -> None:
    rows = DATA_SETS.values()
    folders = [folder for images in rows for folder in images.folders]
    assert len({images.title for images in rows}) == len(rows)
    assert len(set(folders)) == len(folders)


@pytest.mark.parametrize("name", ON_DISK)
@pytest.mark.parametrize("inside", [True, False])
def test_small_files_are_found_and_read(tmp_path: Path, name: str, inside: bool) -> None:
    """In each folder that the row names, and in a root that is the data set itself."""
    images = DATA_SETS[name]
    for folder in images.folders if inside else ("",):
        root = tmp_path / (folder.replace("/", "_") or "itself")
        expected = small(images)
        writer(images).write(root / folder, expected, images)
        assert find(name, str(root)) == root / folder
        copy = read(name, str(root))
        for array, wanted in zip(copy.arrays, expected, strict=True):
            assert array.dtype == wanted.dtype
            assert np.array_equal(array, wanted)
        assert images.title in copy.source
        assert "official, " not in copy.source
        data = load(name, str(root), None, (1, 28, 28))
        assert (data.class_names, data.content) == (images.classes, copy.content)
        assert data.train_images.shape == (2 * len(images.classes), 1, 28, 28)


@pytest.mark.parametrize("name", set(DATA_SETS) - set(ON_DISK))
def test_what_is_made_on_the_fly_has_every_class_and_is_always_the_same(name: str) -> None:
    images = DATA_SETS[name]
    assert require(name, None) is None
    train, labels, test, test_labels = read(name, None).arrays
    for pixels, classes in ((train, labels), (test, test_labels)):
        assert (pixels.dtype, pixels.shape[1:]) == (np.uint8, images.shape)
        assert sorted(np.unique(classes)) == list(range(len(images.classes)))
    assert read(name, None).content == read(name, "/anywhere").content


@pytest.mark.parametrize("name", ON_DISK)
def test_absent_data_say_where_they_were_sought_and_how_to_get_them(
    tmp_path: Path, name: str
) -> None:
    remedy = f"python jobs/fetch_data.py {name}" if DATA_SETS[name].download else "put it there"
    for root in (None, str(tmp_path / "elsewhere")):
        with pytest.raises(DataError, match=remedy) as caught:
            require(name, root)
        assert (root or "hw5hpc") in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_misspelt_name_is_corrected_wherever_it_stands() -> None:
    for call in (lambda: choose("fashion-mnist"), lambda: DataConfig(name="fashion-mnist")):
        with pytest.raises((DataError, FieldError), match="Did you mean 'fashion_mnist'"):
            call()


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 24, 40)])
def test_one_row_is_all_that_a_data_set_in_class_folders_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int, int]
) -> None:
    row = replace(
        DATA_SETS["synthetic"],
        classes=("cats", "dogs", "Eulen größer"),
        shape=shape,
        maker="",
        reader="hw5hpc.data.class_folders",
        folders=("pets",),
    )
    monkeypatch.setitem(DATA_SETS, "pets", row)
    expected = small(row)
    writer(row).write(tmp_path / "pets", expected, row)
    copy = read("pets", str(tmp_path))
    assert all(map(np.array_equal, copy.arrays, expected))
    assert copy.source == "SYNTHETIC data (class folders, 2 + 1 images a class)"


def test_the_table_and_all_readers_load_without_torch() -> None:
    """A sweep file is checked, and its data are read before it is sent, in a moment."""
    modules = {row.reader or row.maker for row in DATA_SETS.values()}
    modules |= {"hw5hpc.data.read", "hw5hpc.experiments.config"}
    lines = [f"import {module}" for module in sorted(modules)]
    check = "import sys; assert not {'torch', 'torchvision'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", "; ".join([*lines, check])], check=True, cwd=ROOT)


def test_the_table_itself_loads_nothing_but_the_standard_library() -> None:
    check = "import hw5hpc.data.sets, sys; assert not {'numpy', 'PIL'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True, cwd=ROOT)
