"""Output folders that others can write to: links planted there lead nowhere, files stay private."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hw5hpc.store import Outputs, RunFolder, Status, StoreError, claim

ROOT = Path(__file__).resolve().parents[2]
SWEEP = """
experiment: ring
config: {train.epochs: 1, train.batch_size: 16, ring.steps_per_epoch: 2, ring.samples: 64}
report: [losses]
"""
Write = Callable[[Outputs, RunFolder], object]


def locked(outputs: Outputs) -> None:
    with outputs.locked():
        pass


FILES: dict[str, Write] = {
    "runs/abc/claim.lock": lambda outputs, run: claim(run),
    "runs/abc/metrics.jsonl": lambda outputs, run: run.add_metrics({"epoch": 1}),
    "runs/abc/timing.jsonl": lambda outputs, run: run.add_timing({"epoch": 1}),
    "sweeps/test/submissions.jsonl": lambda outputs, run: outputs.sweep("test").add_submission({}),
    "submit.lock": lambda outputs, run: locked(outputs),
}
FOLDERS: dict[str, Write] = {
    "runs": lambda outputs, run: run.create("ring", {}),
    "runs/abc": lambda outputs, run: run.register("ring", {}),
    "runs/abc/artifacts": lambda outputs, run: claim(run),
    "runs/replaced": lambda outputs, run: outputs.put_aside("abc"),
    "sweeps": lambda outputs, run: outputs.sweep("test").save({}, [{"run": "abc"}]),
    "sweeps/test": lambda outputs, run: outputs.sweep("test").save({}, [{"run": "abc"}]),
    "sweeps/test/report": lambda outputs, run: outputs.sweep("test").check_folders(),
    "sweeps/test/code/0123": lambda outputs, run: outputs.sweep("test").check_folders(),
}


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    """Reached through a link, as many are: that one is its owner's own."""
    (tmp_path / "scratch").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "scratch")
    (tmp_path / "out/sweeps/test").mkdir(parents=True)
    (tmp_path / "out/runs").mkdir()
    return Outputs(tmp_path / "out")


@pytest.mark.parametrize("name", FILES)
def test_a_link_for_a_file_is_refused_and_its_target_unharmed(outputs: Outputs, name: str) -> None:
    run, victim = outputs.run("abc"), outputs.root.parent / "victim"
    run.create("ring", {})
    victim.write_text("mine\n")
    (outputs.root / name).symlink_to(victim)
    with pytest.raises(StoreError, match=f"{name}: a link, which is never followed"):
        FILES[name](outputs, run)
    assert victim.read_text() == "mine\n"


@pytest.mark.parametrize("name", FOLDERS)
def test_a_link_for_a_folder_is_refused_and_nothing_lands_behind_it(
    outputs: Outputs, name: str
) -> None:
    run, victim = outputs.run("abc"), outputs.root.parent / "victim"
    victim.mkdir()
    place = outputs.root / name
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_dir():
        place.rename(outputs.root.parent / "before")
    place.symlink_to(victim)
    with pytest.raises(StoreError, match=f"{name}: a link, and nothing is written through one"):
        FOLDERS[name](outputs, run)
    assert not list(victim.iterdir())


def test_a_worker_notices_a_link_that_came_later(outputs: Outputs) -> None:
    run = outputs.run("abc")
    run.create("ring", {})
    mine = claim(run)
    assert mine is not None
    run.artifacts.rename(outputs.root.parent / "elsewhere")
    run.artifacts.symlink_to(outputs.root.parent / "elsewhere")
    with pytest.raises(StoreError, match="artifacts: a link"):
        mine.beat()


def test_files_that_are_replaced_whole_replace_a_link_too(outputs: Outputs) -> None:
    run, victim = outputs.run("abc"), outputs.root.parent / "victim"
    run.create("ring", {})
    victim.write_text("mine\n")
    array = run.artifacts / "samples.00001.npy"
    for path in (run.path / "status.json", run.path / "result.json", array):
        path.symlink_to(victim)
    run.set_status(Status())
    run.set_result({"state": "finished", "metrics": {}})
    run.add_array("samples", 1, np.arange(3))
    assert victim.read_text() == "mine\n"
    assert run.result() is not None
    assert not array.is_symlink()


@pytest.mark.parametrize(
    ("umask", "shared", "forbidden"),
    [(0o000, "", 0o022), (0o002, "1", 0o002), (0o077, "", 0o077), (0o077, "1", 0o077)],
)
def test_nobody_else_may_write_unless_it_is_asked_for(
    tmp_path: Path, umask: int, shared: str, forbidden: int
) -> None:
    sweep = tmp_path / "test.yaml"
    sweep.write_text(SWEEP)
    words = ["jobs/submit.py", str(sweep), "--local", "--out", str(tmp_path / "out")]
    env = {**os.environ, "HW5HPC_SHARED": shared}
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=env, umask=umask, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    modes = [stat.S_IMODE(path.lstat().st_mode) for path in (tmp_path / "out").rglob("*")]
    assert len(modes) > 15
    assert not any(mode & forbidden for mode in modes)
    if shared and umask == 0o002:
        assert all(mode & 0o020 for mode in modes)
