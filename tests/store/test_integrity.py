"""Checksums: what belongs to a result is known, and what was changed since is named."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hw5hpc.store import Outputs, RunFolder, files


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = Outputs(tmp_path).run("abc")
    folder.create("ring", {})
    folder.add_metrics({"epoch": 1, "loss": 0.5})
    folder.add_array("samples", 1, np.arange(100))
    folder.weights.write_bytes(b"PK" + bytes(1000))
    folder.set_result({"state": "finished", "metrics": {"loss": 0.5}})
    return folder


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def swap(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "gone": (Path.unlink, "missing"),
    "emptied": (lambda path: path.write_bytes(b""), r"damaged \(0 bytes instead of \d+\)"),
    "longer": (lambda path: path.write_bytes(path.read_bytes() + b"x"), "bytes instead of"),
    "a folder": (swap, "not a file"),
}


def test_what_was_written_is_whole(run: RunFolder) -> None:
    assert run.damage() == {}
    run.add_timing({"epoch": 1, "seconds": 1.0})
    assert run.damage() == {}


@pytest.mark.parametrize(
    "name", ["metrics.jsonl", "artifacts/weights.pt", "artifacts/samples.00001.npy"]
)
@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_named_without_reading_any_file(run: RunFolder, name: str, kind: str) -> None:
    change, words = DAMAGE[kind]
    change(run.path / name)
    (found,) = run.damage(content=False).items()
    assert found[0] == name
    assert re.search(words, found[1])


@pytest.mark.parametrize("name", ["metrics.jsonl", "artifacts/weights.pt"])
def test_one_flipped_bit_is_found_when_the_content_is_looked_at(run: RunFolder, name: str) -> None:
    flip(run.path / name)
    assert run.damage(content=False) == {}
    assert run.damage() == {name: "damaged (its content is not what was written)"}


def test_a_result_of_before_there_were_checksums_says_nothing(run: RunFolder) -> None:
    path = run.path / "result.json"
    record = files.read_json(path)
    del record["files"]
    files.write_json(path, record)
    run.weights.unlink()
    assert run.damage() == {}


@pytest.mark.parametrize(
    "listed", [None, 3, {"../../secret": {}}, {"metrics.jsonl": 7}, {"artifacts/..": {}}]
)
def test_a_list_of_files_without_sense_is_damage_itself(run: RunFolder, listed: object) -> None:
    path = run.path / "result.json"
    files.write_json(path, {**files.read_json(path), "files": listed})
    assert all("list of files" in what for what in run.damage().values())
    assert run.damage()
