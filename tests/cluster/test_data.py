"""Data before anything is sent: read once, and found from any working directory."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hw5hpc.cluster import plan as planning
from hw5hpc.cluster.data import check, located
from hw5hpc.cluster.plan import Plan
from hw5hpc.data.sets import DATA_SETS, DataError
from hw5hpc.experiments import SCHEMAS
from hw5hpc.node.task import Task
from hw5hpc.node.worker import work
from hw5hpc.store import Outputs, State
from hw5hpc.sweep import load

ROOT = Path(__file__).resolve().parents[2]
SWEEP = """
experiment: cnn
config: {train.epochs: 1, train.batch_size: 8, data.limit: 16}
"""


@pytest.fixture(autouse=True)
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("HW5HPC_DATA", raising=False)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """CIFAR-10 as class folders, two images a class."""
    source = np.random.default_rng(0)
    for part in ("train", "test"):
        for name in DATA_SETS["cifar10"].classes:
            folder = tmp_path / "submitter" / "images" / part / name
            folder.mkdir(parents=True)
            for index in range(2):
                pixels = source.integers(0, 256, (32, 32, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{index}.png")
    return tmp_path / "submitter" / "images"


def plan(tmp_path: Path, *overrides: str, text: str = SWEEP) -> Plan:
    path = tmp_path / "test.yaml"
    path.write_text(text)
    sweep = located(load(path, SCHEMAS, overrides))
    return planning.make(sweep, Outputs(tmp_path / "out"), "code")


@pytest.mark.parametrize("how", ["command line", "environment", "file"])
def test_a_relative_root_works_for_a_job_in_another_directory(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    outputs = Outputs(tmp_path / "out")
    monkeypatch.chdir(images.parent)
    overrides = ["data.root=images"] if how == "command line" else []
    text = SWEEP.replace("{", "{data.root: ./images, ", 1) if how == "file" else SWEEP
    if how == "environment":
        monkeypatch.setenv("HW5HPC_DATA", "images")
    made = plan(tmp_path, *overrides, text=text)
    check(made, Outputs(tmp_path / "out"))
    planning.register(made, outputs)
    # As on a site that hands a job nothing of the environment it was sent from.
    monkeypatch.delenv("HW5HPC_DATA", raising=False)
    monkeypatch.chdir("/")
    folders = [outputs.run(item.id).path for item in made.rest]
    assert work(folders, Task("test")) == [State.FINISHED]


def test_the_root_of_a_gan_is_its_classifiers_too(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(images.parent)
    words = ["data.root=images", "data.name=cifar10"]
    made = plan(tmp_path, *words, text="experiment: gan\n")
    assert [item.config.data.root for item in (*made.first, *made.rest)] == [str(images)] * 2


def test_where_the_data_lie_changes_no_id(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(images.parent)
    (plain,), (rooted,) = plan(tmp_path).rest, plan(tmp_path, "data.root=images").rest
    assert plain.id == rooted.id


def test_experiments_without_data_are_left_alone(tmp_path: Path) -> None:
    made = plan(tmp_path, text="experiment: ring\n")
    check(made, Outputs(tmp_path / "out"))
    assert len(made.rest) == 1


def test_one_bad_image_among_all_is_told_before_anything_is_sent(
    images: Path, tmp_path: Path
) -> None:
    bad = images / "test" / "truck" / "1.png"
    made = plan(tmp_path, f"data.root={images}")
    check(made, Outputs(tmp_path / "out"))
    bad.write_bytes(bad.read_bytes()[:-30])
    with pytest.raises(DataError, match="damaged image") as caught:
        check(made, Outputs(tmp_path / "out"))
    assert str(bad) in str(caught.value)


def test_what_was_read_before_is_not_decoded_again(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = plan(tmp_path, f"data.root={images}")
    check(made, Outputs(tmp_path / "out"))
    monkeypatch.delattr(Image, "open")
    check(made, Outputs(tmp_path / "out"))


def test_points_made_from_other_data_than_are_here_now_are_told(
    images: Path, tmp_path: Path
) -> None:
    """Finished on A and submitted with B: nothing is left to train, but it is not B's result."""
    outputs, root = Outputs(tmp_path / "out"), f"data.root={images}"
    made = plan(tmp_path, root)
    planning.register(made, outputs)
    assert work([outputs.run(made.rest[0].id).path], Task("test")) == [State.FINISHED]
    assert check(plan(tmp_path, root), outputs) == []
    Image.new("RGB", (32, 32)).save(images / "train" / "truck" / "0.png")
    again = plan(tmp_path, root)
    assert again.empty
    assert check(again, outputs) == [
        "  1 finished on other cifar10 data than are here now (--force runs them again)"
    ]
    (images / "train" / "truck" / "0.png").write_bytes(b"damaged")
    assert check(again, outputs) == [], "what has finished needs no data"
    Image.new("RGB", (32, 32)).save(images / "train" / "truck" / "0.png")
    (outputs.run(made.rest[0].id).path / "result.json").unlink()
    assert check(plan(tmp_path, root), outputs) == [
        "  1 began on other cifar10 data than are here now, and start anew"
    ]


@pytest.mark.parametrize("root", ["~nobody_at_all/x", "nowhere"])
def test_a_root_that_cannot_be_is_one_line_on_the_command_line(tmp_path: Path, root: str) -> None:
    path = tmp_path / "test.yaml"
    path.write_text(SWEEP)
    words = ["jobs/submit.py", str(path), "--local", "--out", str(tmp_path / "out")]
    command = [sys.executable, *words, f"data.root={root}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert root in done.stderr
    assert not (tmp_path / "out").exists()
