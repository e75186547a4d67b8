"""Full, read-only and vanishing disks: real ones, mounted for the test."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hw5hpc.cluster import follow
from hw5hpc.engine import checkpoint
from hw5hpc.experiments import rebuild
from hw5hpc.experiments.classifier.train import Classifier
from hw5hpc.node.task import Task
from hw5hpc.node.worker import work
from hw5hpc.report.aggregate import aggregate
from hw5hpc.store import Outputs, RunFolder, State
from hw5hpc.sweep import run_id
from hw5hpc.sweep.point import flatten

ROOT = Path(__file__).resolve().parents[2]
CPU = torch.device("cpu")
VALUES = {"data.name": "synthetic", "data.limit": 64, "train.epochs": 2, "train.batch_size": 16}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=24m", "hw5hpc_test", str(folder)]
    subprocess.run(command, check=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path, leave: int = 0) -> Path:
    """Leave this many bytes free, rounded to pages."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    os.truncate(filler, max(filler.stat().st_size - leave, 0))
    return filler


def prepare(outputs: Outputs, seeds: int = 2) -> list[RunFolder]:
    runs = []
    for seed in range(seeds):
        config = rebuild("classifier", {**VALUES, "seed": seed})
        run = outputs.run(run_id("classifier", config))
        run.create("classifier", flatten(config))
        runs.append(run)
    record = {"name": "test", "experiment": "classifier", "swept": ["seed"], "report": ["losses"]}
    rows = [{"run": run.id, "seed": seed} for seed, run in enumerate(runs)]
    outputs.sweep("test").save({**record, "runs": [run.id for run in runs]}, rows)
    return runs


def at_step(monkeypatch: pytest.MonkeyPatch, seed: int, do: Callable[[], object]) -> None:
    """Do something in the first step of the second epoch of one seed's run, once."""
    real, done = Classifier.step, []

    def step(self: Classifier, epoch: int, index: int) -> Any:
        if (self.seed, epoch, index) == (seed, 2, 0) and not done:
            done.append(do())
        return real(self, epoch, index)

    monkeypatch.setattr(Classifier, "step", step)


def test_a_full_disk_harms_no_checkpoint(disk: Path) -> None:
    run = Outputs(disk).run("abc")
    run.create("classifier", {})
    checkpoint.save(run, {"n": 1, "x": torch.ones(1000)})
    checkpoint.save(run, {"n": 2, "x": torch.ones(1000)})
    kept = [path.read_bytes() for path in (run.checkpoint, run.previous_checkpoint)]
    for leave in (0, 8192, 65536):
        filler = fill(disk, leave)
        with pytest.raises(OSError, match="No space left"):
            checkpoint.save(run, {"n": 3, "x": torch.ones(1_000_000)})
        assert [p.read_bytes() for p in (run.checkpoint, run.previous_checkpoint)] == kept
        assert not list(run.path.glob(".checkpoint*"))
        filler.unlink()
    loaded = checkpoint.load(run, CPU)
    assert loaded is not None
    assert loaded["n"] == 2


def test_every_writer_says_that_the_disk_is_full(disk: Path) -> None:
    run = Outputs(disk).run("abc")
    run.create("classifier", {})
    fill(disk)
    writers: list[Callable[[], object]] = [
        lambda: run.add_array("samples", 1, np.ones(100_000)),
        lambda: checkpoint.write_weights(run.weights, {"x": torch.ones(100_000)}),
        lambda: run.set_status(run.status()),
        lambda: run.add_metrics({"epoch": 1}),
    ]
    for write in writers:
        with pytest.raises(OSError, match="No space left"):
            write()


def test_a_run_on_a_full_disk_says_so_and_the_next_one_goes_on(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a byte is free when it fails: the room for its last words was kept."""
    outputs = Outputs(disk)
    first, second = prepare(outputs)
    at_step(monkeypatch, 0, lambda: fill(disk))
    task = Task("test", tell=lambda run, status: free_after(disk, run, status.state))

    def free_after(disk: Path, run: str, state: State) -> None:
        if run == first.id and state is State.FAILED:
            (disk / "filler").unlink()

    assert work([first.path, second.path], task) == [State.FAILED, State.FINISHED]
    assert "the disk or quota is full" in first.status().reason
    rows = follow.standings(outputs, outputs.sweep("test"))
    assert "disk or quota is full" in rows[0].status.reason
    assert any("disk or quota is full" in line for line in
               aggregate(outputs, outputs.sweep("test")).missing)  # fmt: skip
    first.set_status(first.status().to(State.QUEUED))
    assert work([first.path], Task("test")) == [State.FINISHED]
    assert [row["epoch"] for row in first.metrics()] == [1, 2]


def test_a_disk_too_full_for_last_words_leaves_an_unknown_that_is_not_failed(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = Outputs(disk)
    (run,) = prepare(outputs, 1)
    monkeypatch.setattr(RunFolder, "reserve_room", lambda self: None)
    at_step(monkeypatch, 0, lambda: fill(disk))
    assert work([run.path], Task("test")) == [State.FAILED]
    (row,) = follow.standings(outputs, outputs.sweep("test"))
    assert row.status.state is State.LOST
    assert "submit again" in row.status.reason
    (disk / "filler").unlink()
    assert work([run.path], Task("test")) == [State.FINISHED]


def test_a_folder_that_becomes_read_only(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = Outputs(disk)
    (run,) = prepare(outputs, 1)

    def remount(how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True)

    at_step(monkeypatch, 0, lambda: remount("ro"))
    try:
        assert work([run.path], Task("test")) == [State.FAILED]
        assert work([run.path], Task("test")) == [State.LOST]
        (row,) = follow.standings(outputs, outputs.sweep("test"))
        assert row.status.state is not State.FAILED
    finally:
        remount("rw")
    # On a cluster its process has ended by now; here it is this one, which lives.
    run.claim_path.unlink()
    assert work([run.path], Task("test")) == [State.FINISHED]


def test_submitting_to_a_full_disk_is_one_line(disk: Path, tmp_path: Path) -> None:
    sweep = tmp_path / "full.yaml"
    sweep.write_text("experiment: ring\nconfig: {train.epochs: 1}\n")
    fill(disk)
    words = ["jobs/submit.py", str(sweep), "--local", "--out", str(disk / "out")]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "No space left on device" in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_data_that_vanish(fashion_mnist: Path, tmp_path: Path) -> None:
    """Between the submission and the start; another run of the task goes on."""
    copy = tmp_path / "data" / "fashion-mnist"
    shutil.copytree(fashion_mnist, copy)
    outputs = Outputs(tmp_path / "out")
    values = {**VALUES, "data.name": "fashion_mnist", "data.root": str(copy.parent)}
    config = rebuild("classifier", values)
    run = outputs.run(run_id("classifier", config))
    run.create("classifier", flatten(config))
    (other,) = prepare(outputs, 1)
    next(copy.glob("train-images*")).unlink()
    assert work([run.path, other.path], Task("test")) == [State.FAILED, State.FINISHED]
    reason = run.status().reason
    assert "fashion" in reason
    assert len(reason.splitlines()) == 1


def test_a_run_folder_that_is_deleted_under_its_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = Outputs(tmp_path)
    first, second = prepare(outputs)
    at_step(monkeypatch, 0, lambda: shutil.rmtree(first.path))
    states = work([first.path, second.path], Task("test"))
    assert states[1] is State.FINISHED
    assert first.result() is None
    assert aggregate(outputs, outputs.sweep("test")).missing
