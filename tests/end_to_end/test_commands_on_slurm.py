"""The commands that people reach for, on a real Slurm: cancel, logs, list, a canary, the brake."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slurm

# Trains nothing, slowly; seeds from 100 on fail.
OWN = """
import time
from dataclasses import dataclass
from hw5hpc.experiments.softmax.config import SoftmaxConfig
from hw5hpc.experiments.softmax.train import SoftmaxShift

@dataclass(frozen=True)
class Config(SoftmaxConfig):
    @property
    def epochs(self):
        return 2000

class Training(SoftmaxShift):
    epochs = 2000

    def step(self, epoch, index):
        if self.seed >= 100:
            raise ValueError(f"odd {self.seed}")
        time.sleep(0.1)
        return super().step(epoch, index)
"""


@pytest.fixture
def sweep(tmp_path: Path, dev_cluster: Path) -> Iterator[Path]:
    (tmp_path / "own.py").write_text(OWN)
    path = tmp_path / "cmds.yaml"
    path.write_text(
        "experiment: own.py\ngrid: {seed: [0, 1, 2]}\n"
        "cluster: {time: '00:10:00', max_crashes: 0, gpus_per_node: 0, pack: 1}\n"
    )
    yield path
    subprocess.run([sys.executable, str(ROOT / "jobs/cancel.py"), "cmds", "--out",
                    str(tmp_path / "out")], capture_output=True)  # fmt: skip


def run(sweep: Path, script: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "jobs" / f"{script}.py"), *words]
    env = {**os.environ, "WANDB_MODE": "disabled", "HW5HPC_OUT": str(sweep.parent / "out")}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=400)


def states(sweep: Path) -> list[str]:
    shown = run(sweep, "status", "cmds", "--json").stdout
    return [row["state"] for row in json.loads(shown)]


def wait_until(condition: object, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(1)


def test_points_are_cancelled_logged_listed_and_sent_again(sweep: Path) -> None:
    sent = run(sweep, "submit", str(sweep), "--cluster", "dev")
    assert sent.returncode == 0, sent.stderr
    wait_until(lambda: states(sweep) == ["running"] * 3)
    wait_until(
        lambda: "epoch 1/2000 step 1: no losses" in run(sweep, "logs", "cmds", "seed=1").stdout
    )
    gone = run(sweep, "cancel", "cmds", "seed=0,1")
    assert (gone.returncode, "cancelled: 2 runs" in gone.stdout) == (0, True), gone.stdout
    assert states(sweep) == ["cancelled", "cancelled", "running"]
    assert "1 running, 2 cancelled" in run(sweep, "list").stdout
    again = run(sweep, "submit", str(sweep), "--cluster", "dev")
    assert "cancelled       2   2 to run" in again.stdout
    wait_until(lambda: states(sweep) == ["running"] * 3)
    # The word for all of it takes the report job along.
    assert "cancelled: 3 runs" in run(sweep, "cancel", "cmds").stdout
    shown = subprocess.run(["squeue", "--me", "-h", "-o", "%j"], capture_output=True, text=True)
    assert "hw5hpc.cmds" not in shown.stdout
    assert states(sweep) == ["cancelled"] * 3


def test_what_waits_for_a_canary_that_fails_never_begins(sweep: Path) -> None:
    words = ["seed=[100,0,1]", "--name", "cmds", "--cluster", "dev", "--canary", "--wait"]
    done = run(sweep, "submit", str(sweep), *words)
    assert done.returncode == 1, done.stdout + done.stderr
    assert states(sweep) == ["failed", "cancelled", "cancelled"]
    assert "not begun: the canary" in run(sweep, "status", "cmds").stdout


def test_an_array_whose_first_runs_fail_alike_is_stopped(sweep: Path) -> None:
    words = ["seed={range: [100, 109]}", "--name", "cmds", "--cluster", "dev", "--max-parallel=1"]
    done = run(sweep, "submit", str(sweep), *words, "--wait")
    assert done.returncode == 1, done.stdout + done.stderr
    found = states(sweep)
    assert found[:3] == ["failed"] * 3
    assert found[-1] == "cancelled"
    grouped = run(sweep, "status", "cmds", "--failed").stdout
    assert "(code): ValueError: odd 100" in grouped
    assert "--retry-failed=code" in grouped
