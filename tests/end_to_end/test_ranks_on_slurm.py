"""Runs of several processes on a real Slurm: one answer, deaths, ranks that cannot meet."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hw5hpc.store import Outputs

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slurm

# Adam's epsilon is large for the reason given in tests/experiments/steps_over_ranks.py.
SWEEP = """
experiment: ring
config: {train.batch_size: 50, train.epochs: 2, ring.steps_per_epoch: 5, optim.eps: 1.0e-3}
grid: {gan.unroll_steps: [0, 5]}
cluster: {time: "00:10:00", nodes: 2, gpus_per_node: 2}
report: [losses]
"""
LONG = SWEEP.replace("epochs: 2", "epochs: 100000").replace("[0, 5]", "[0]")


@pytest.fixture(autouse=True)
def cluster(dev_cluster: Path) -> Iterator[None]:
    yield
    # Each submission adds a word of its own to the name.
    words = ["squeue", "--me", "-h", "-o", "%F %j"]
    shown = subprocess.run(words, capture_output=True, text=True).stdout.splitlines()
    mine = [line.split()[0] for line in shown if " hw5hpc.wide." in line]
    subprocess.run(["scancel", *(mine or ["0"])], capture_output=True)


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    path = tmp_path / "wide.yaml"
    path.write_text(SWEEP)
    return path


def submit(sweep: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "jobs/submit.py"), str(sweep), *map(str, words)]
    env = {**os.environ, "WANDB_MODE": "disabled"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_two_nodes_of_two_tasks_give_the_answer_of_one_process(sweep: Path) -> None:
    wide, alone = sweep.parent / "wide", sweep.parent / "alone"
    submit(sweep, "--cluster", "dev", "--out", wide, "--wait")
    submit(sweep, "--local", "--out", alone)
    rows = {path.parent.name: path for path in alone.glob("runs/*/metrics.jsonl")}
    assert len(rows) == 2
    for name in rows:
        many, one = (Outputs(folder).run(name) for folder in (wide, alone))
        assert (many.provenance()["ranks"], one.provenance()["ranks"]) == (4, 1)
        for row, other in zip(many.metrics(), one.metrics(), strict=True):
            assert row == pytest.approx(other, rel=1e-5)
    hosts = "".join(path.read_text() for path in wide.glob("sweeps/wide/logs/*_0_3_log.out"))
    assert "global_rank=3(4)" in hosts
    assert "node=1(2)" in hosts


def wait_until(condition: object, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.3)


def rank_processes(folder: Path, rank: int) -> list[int]:
    """The process ids of one rank of this folder's job."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().decode().split("\0")
            variables = (path / "environ").read_bytes().decode().split("\0")
        except OSError:
            continue
        mine = any(word.startswith(str(folder)) for word in words) and "_submit" in " ".join(words)
        if mine and words[0] != "srun" and f"SLURM_PROCID={rank}" in variables:
            found.append(int(path.name))
    return found


@pytest.mark.parametrize(
    ("rank", "words"),
    [(3, r"rank 3 on n\d ended without a word"), (0, "its process was killed by SIGKILL")],
)
def test_a_killed_rank_is_named_and_the_run_comes_back(sweep: Path, rank: int, words: str) -> None:
    """The first rank puts the job back into the queue, or the batch script when that rank died."""
    sweep.write_text(LONG)
    out = sweep.parent / "out"
    submit(sweep, "--cluster", "dev", "--out", out)
    wait_until(lambda: any(out.glob("runs/*/metrics.jsonl")))
    (victim,) = rank_processes(out, rank)
    os.kill(victim, 9)
    (status,) = out.glob("runs/*/status.json")
    wait_until(lambda: json.loads(status.read_text())["crashes"] == 1)
    logs = list(out.glob("sweeps/wide/logs/*_0_log.out"))
    wait_until(lambda: any(re.search(words, path.read_text()) for path in logs))
    before = next(out.glob("runs/*/metrics.jsonl")).stat().st_size
    wait_until(lambda: json.loads(status.read_text())["state"] == "running")
    wait_until(lambda: next(out.glob("runs/*/metrics.jsonl")).stat().st_size > before)


def test_another_number_of_processes_fails_the_run_before_it_trains(sweep: Path) -> None:
    """A line of the site's set-up changes what srun starts."""
    setup = 'setup: ["export SLURM_NTASKS=2 SLURM_NPROCS=2 SLURM_NTASKS_PER_NODE=1"], nodes'
    sweep.write_text(SWEEP.replace("[0, 5]", "[0]").replace("nodes", setup))
    out = sweep.parent / "out"
    submit(sweep, "--cluster", "dev", "--out", out)
    (status,) = out.glob("runs/*/status.json")
    wait_until(lambda: json.loads(status.read_text())["state"] == "failed")
    reason = json.loads(status.read_text())["reason"]
    assert reason == "wrong world size: the task was sent for 4 processes, Slurm started 2"
    assert not list(out.glob("runs/*/metrics.jsonl"))


def test_ranks_that_cannot_connect_come_back_and_finish(sweep: Path) -> None:
    """In the job's first turn a line of the site's set-up names a network that is not there."""
    line = '[ -n \\"$SLURM_RESTART_COUNT\\" ] || export GLOO_SOCKET_IFNAME=none0'
    sweep.write_text(SWEEP.replace("[0, 5]", "[0]").replace("nodes", f'setup: ["{line}"], nodes'))
    out = sweep.parent / "out"
    submit(sweep, "--cluster", "dev", "--out", out)
    (status,) = out.glob("runs/*/status.json")
    wait_until(lambda: json.loads(status.read_text())["crashes"] == 1)
    assert "cannot connect to the others over gloo" in json.loads(status.read_text())["reason"]
    wait_until(lambda: json.loads(status.read_text())["state"] == "finished")
