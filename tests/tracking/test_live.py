"""Trained for real, with W&B online or not, stopped and killed in between: every step once."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import wandb
from conftest import ROOT, Write, children, forget_wandb, kill_all
from wandb_server import Run, WandbServer

from hw5hpc.store import Outputs, RunFolder
from hw5hpc.tracking.live import Tracker

TINY = """
experiment: ring
config: {train.epochs: 8, ring.steps_per_epoch: 12, ring.samples: 100, gan.unroll_steps: 3}
grid: {seed: [0]}
wandb: {project: rings}
"""
STEPS = [12 * epoch for epoch in range(1, 9)]


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


def start(tiny: Path, out: Path, *words: str) -> "subprocess.Popen[str]":
    command = [sys.executable, str(ROOT / "jobs" / "submit.py"), str(tiny), "--local"]
    return subprocess.Popen(
        [*command, "--out", str(out), *words], cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


def run_to_end(tiny: Path, out: Path, *words: str) -> RunFolder:
    done = start(tiny, out, *words)
    told, _ = done.communicate(timeout=300)
    assert done.returncode == 0, told
    assert f"W&B: online (a key for {os.environ['WANDB_BASE_URL']})" in told
    (folder,) = (path for path in (out / "runs").iterdir() if path.name != "replaced")
    return RunFolder(folder)


def sync(out: Path) -> str:
    done = subprocess.run(
        [sys.executable, str(ROOT / "jobs" / "sync.py"), "tiny", "--out", str(out)],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def wait_for(seen: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 120
    while not seen():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def rows(out: Path) -> int:
    (found,) = [*out.glob("runs/*/metrics.jsonl"), None][:1]
    return len(found.read_text().splitlines()) if found else 0


def check(run: Run, local: RunFolder) -> None:
    assert [row["step"] for row in run.arrived] == STEPS
    kept = {row["step"]: row for row in local.metrics()}
    assert all(kept[row["step"]].items() <= row.items() for row in run.rows)
    assert run.exit_code == 0


def test_a_run_online_is_mirrored_while_it_trains(
    server: WandbServer, tiny: Path, tmp_path: Path
) -> None:
    local = run_to_end(tiny, tmp_path / "out")
    (run,) = server.runs.values()
    check(run, local)
    assert run.facts["project"] == "rings"
    asked = len(server.asked)
    sync(tmp_path / "out")
    assert "report" in {found.facts["jobType"] for found in server.runs.values()}
    assert not any(asking == "UpsertBucket" for asking in server.asked[asked:][:1])
    assert [row["step"] for row in run.arrived] == STEPS


@pytest.mark.parametrize("whom", ["all", "first"])
def test_turns_that_were_stopped_and_killed_lose_and_double_nothing(
    server: WandbServer, tiny: Path, tmp_path: Path, whom: str
) -> None:
    """TERM to every process of a turn, as Slurm sends it, then kill -9, then the rest, then sync.

    With `first`, only the training process is hit, and W&B's own is left behind.
    """
    out = tmp_path / "out"
    for number, enough in ((signal.SIGTERM, 2), (signal.SIGKILL, 5)):
        turn = start(tiny, out)
        wait_for(lambda enough=enough: rows(out) >= enough, "no rows")  # type: ignore[misc]
        if whom == "all":
            kill_all(turn.pid, number)
        else:
            turn.send_signal(number)
        turn.communicate(timeout=120)
    local = run_to_end(tiny, out)
    sync(out)
    (run,) = (found for found in server.runs.values() if found.facts["jobType"] == "ring")
    check(run, local)


def test_a_forced_run_is_a_new_run(server: WandbServer, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_to_end(tiny, out)
    local = run_to_end(tiny, out, "--force")
    old, new = server.runs.values()
    assert [row["step"] for row in old.arrived] == STEPS
    check(new, local)


def test_offline_no_process_of_wandb_is_started_and_sync_sends_all(
    server: WandbServer, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget_wandb()
    with monkeypatch.context() as patch:
        patch.delenv("WANDB_API_KEY")
        run = write(2)
        tracker = Tracker(run, "depths")
        tracker.update()
        tracker.finish()
    assert not any("wandb" in name for name in children(os.getpid()).values())
    assert server.asked == []
    assert not (run.path / "wandb").exists()
    assert not (run.path / "wandb.json").exists()


def test_the_sweeps_word_reaches_the_node(
    server: WandbServer, write: Write, outputs: Outputs
) -> None:
    """Here is a key and a network, but who submitted said offline."""
    run = write(2)
    sweep = outputs.sweep("depths")
    sweep.save({**sweep.load(), "wandb": {"mode": "offline"}}, sweep.points())
    tracker = Tracker(run, "depths")
    tracker.update()
    tracker.finish()
    assert server.asked == []


def test_a_mirror_that_fails_leaves_the_run_alone(
    server: WandbServer, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**arguments: object) -> None:
        raise wandb.errors.CommError("the service is away")

    monkeypatch.setattr(wandb, "init", fail)
    tracker = Tracker(write(1), "depths")
    tracker.update()
    tracker.finish()


def test_a_run_goes_on_when_wandbs_process_is_killed(server: WandbServer, write: Write) -> None:
    forget_wandb()
    run = write(1)
    tracker = Tracker(run, "depths")
    tracker.update()
    (service,) = (pid for pid, name in children(os.getpid()).items() if "wandb" in name)
    os.kill(service, signal.SIGTERM)
    began = time.monotonic()
    write(2)
    tracker._looked = 0.0
    tracker.update()
    tracker.finish()
    assert time.monotonic() - began < 60
    from hw5hpc.tracking.mirror import send
    from hw5hpc.tracking.session import place
    from hw5hpc.tracking.words import Words

    sent = send(run, Outputs(run.path.parents[1]).sweep("depths"), Words(), place(Words()))
    assert sent.problem == ""
    (found,) = server.runs.values()
    assert [row["step"] for row in found.arrived] == [100, 200]
