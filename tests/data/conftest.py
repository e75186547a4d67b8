"""What the tests of data share: an empty home, and small data sets on disk."""

from pathlib import Path

import numpy as np
import pytest

import hw5hpc.data.find as finding
from hw5hpc.data.idx import FILES

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


@pytest.fixture
def mnist(tmp_path: Path) -> Path:
    """A root with a tiny data set in MNIST's plain files."""
    folder, source = tmp_path / "root" / "MNIST" / "raw", np.random.default_rng(0)
    folder.mkdir(parents=True)
    for stem in FILES:
        count = COUNTS[stem.split("-")[0]]
        shape = (count, 28, 28) if "images" in stem else (count,)
        high = 256 if "images" in stem else 10
        array = source.integers(0, high, shape).astype(np.uint8)
        sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
        (folder / stem).write_bytes(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes())
    return tmp_path / "root"
