"""CIFAR-10 in its official files: nothing is unpickled before its checksum is right."""

import hashlib
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hw5hpc.data.load import load
from hw5hpc.data.sets import DATA_SETS, DataError


@pytest.fixture
def pickles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """CIFAR-10 in its official layout, two images a file, with checksums to suit."""
    folder, sums = tmp_path / "root" / "cifar-10-batches-py", {}
    folder.mkdir(parents=True)
    for index, name in enumerate(DATA_SETS["cifar10"].md5):
        batch = {"data": np.full((2, 3072), index, np.uint8), "labels": [index, 9]}
        content = pickle.dumps(batch)
        (folder / name).write_bytes(content)
        sums[name] = hashlib.md5(content, usedforsecurity=False).hexdigest()
    monkeypatch.setitem(DATA_SETS, "cifar10", replace(DATA_SETS["cifar10"], md5=sums))
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
