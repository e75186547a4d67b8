"""Where each point stands: folders and heartbeats first, Slurm second, unknown is never failed."""

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hw5hpc.cluster import follow
from hw5hpc.store import Outputs, RunFolder, State, Status, SweepFolder, claim, files

ROOT = Path(__file__).resolve().parents[2]
ELSEWHERE = {"token": "t", "host": "elsewhere", "pid": 1, "job": "7_0", "started": "1"}


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    return Outputs(tmp_path / "out")


def prepare(outputs: Outputs, count: int = 1) -> tuple[SweepFolder, list[RunFolder]]:
    runs = [outputs.run(f"run{index}") for index in range(count)]
    for run in runs:
        run.create("ring", {"seed": 0})
    sweep = outputs.sweep("test")
    rows = [{"run": run.id, "seed": index} for index, run in enumerate(runs)]
    record = {"name": "test", "experiment": "ring", "swept": ["seed"], "report": [],
              "headline": "modes_covered"}  # fmt: skip
    sweep.save({**record, "runs": [run.id for run in runs]}, rows)
    return sweep, runs


def one(outputs: Outputs, alive: bool | None) -> Status:
    (row,) = follow.standings(outputs, outputs.sweep("test"), lambda job: alive)
    return row.status


def trains(run: RunFolder, **changes: Any) -> None:
    run.set_job("7_0")
    run.set_status(Status().to(State.RUNNING, job="7_0", epoch=2, epochs=10, **changes))


@pytest.mark.parametrize("alive", [True, False, None])
def test_a_heartbeat_outranks_slurm(outputs: Outputs, alive: bool | None) -> None:
    _, (run,) = prepare(outputs)
    trains(run)
    assert claim(run, "7_0") is not None
    assert one(outputs, alive).state is State.RUNNING
    assert one(outputs, alive).reason == ""


@pytest.mark.parametrize(
    ("alive", "state", "words"),
    [
        (True, State.RUNNING, "waits for the next turn"),
        (False, State.LOST, "submit again"),
        (None, State.RUNNING, "Slurm cannot be asked"),
    ],
)
def test_without_a_heartbeat_slurm_decides_and_unknown_is_not_failed(
    outputs: Outputs, alive: bool | None, state: State, words: str
) -> None:
    _, (run,) = prepare(outputs)
    trains(run)
    files.write_json(run.claim_path, ELSEWHERE)
    os.utime(run.claim_path, (0, 0))
    status = one(outputs, alive)
    assert status.state is state
    assert words in status.reason


@pytest.mark.parametrize("state", [State.QUEUED, State.INTERRUPTED])
@pytest.mark.parametrize(("alive", "lost"), [(True, False), (False, True), (None, False)])
def test_what_waits_is_lost_only_when_its_job_is_gone(
    outputs: Outputs, state: State, alive: bool | None, lost: bool
) -> None:
    _, (run,) = prepare(outputs)
    run.set_job("7_0")
    run.set_status(Status(state=state))
    assert one(outputs, alive).state is (State.LOST if lost else state)


@pytest.mark.parametrize("alive", [False, None])
def test_what_was_trained_by_hand_later_is_not_told_from_its_old_job(
    outputs: Outputs, alive: bool | None
) -> None:
    sweep, (run,) = prepare(outputs)
    run.set_job("7_0")
    log = sweep.log_of("7_0")
    log.parent.mkdir(parents=True, exist_ok=True)
    log.touch()
    run.set_status(Status(state=State.INTERRUPTED, host="laptop", pid=1, reason="stopped"))
    (row,) = follow.standings(outputs, sweep, lambda job: alive, lambda job: "its job has failed")
    assert (row.status.state, row.log) == (State.INTERRUPTED, "")
    assert row.status.reason == "stopped; submit again to go on"
    run.set_status(Status(state=State.RUNNING, host="laptop", pid=1))
    (row,) = follow.standings(outputs, sweep, lambda job: alive)
    assert row.status.state is State.LOST
    assert "its process is gone" in row.status.reason
    # As soon as it is sent again, its job counts again.
    run.set_status(Status(state=State.QUEUED))
    (row,) = follow.standings(outputs, sweep, lambda job: alive)
    assert row.log == str(log)


def test_what_slurm_was_told_to_end_is_cancelled_where_slurm_cannot_be_asked(
    outputs: Outputs,
) -> None:
    _, (run,) = prepare(outputs)
    run.set_job("7_0")
    run.set_cancelled("stopped: the first 3 runs failed alike")
    status = one(outputs, None)
    assert (status.state, status.reason) == (State.CANCELLED, run.cancelled())
    trains(run)
    run.set_cancelled("cancelled by me")
    assert claim(run, "7_0") is not None
    assert one(outputs, None).state is State.RUNNING


def test_time_left_and_the_last_metric(outputs: Outputs) -> None:
    _, (run,) = prepare(outputs)
    trains(run, metrics={"modes_covered": 3})
    assert claim(run, "7_0") is not None
    run.add_timing({"epoch": 1, "seconds": 30.0})
    run.add_timing({"epoch": 2, "seconds": 50.0})
    (row,) = follow.standings(outputs, outputs.sweep("test"))
    assert (row.left, row.last, row.headline) == (200.0, "3", "modes_covered")


@pytest.mark.parametrize("line", ['{"epoch": 0, "seconds": 1}', '{"epoch": 2}', "[1]", "3", "{"])
def test_damaged_timings_cost_only_the_time_left(outputs: Outputs, line: str) -> None:
    _, (run,) = prepare(outputs)
    trains(run)
    assert claim(run, "7_0") is not None
    run.timing_path.write_text(line + "\n")
    (row,) = follow.standings(outputs, outputs.sweep("test"))
    assert row.left is None


def status(outputs: Outputs, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(ROOT / "jobs/status.py"), "test", "--out", str(outputs.root)]
    env = {**os.environ, "PATH": "/nonexistent"}
    return subprocess.run([*command, *words], capture_output=True, text=True, env=env, timeout=120)


def test_the_command_line_names_reasons_and_logs(outputs: Outputs) -> None:
    sweep, runs = prepare(outputs, 3)
    runs[0].set_result({"state": "finished", "metrics": {"modes_covered": 8}})
    runs[1].set_job("7_1")
    log = sweep.log_of("7_1")
    log.parent.mkdir(parents=True)
    log.write_text("Traceback")
    failed = {"reason": "RuntimeError: boom", "metrics": {"kl_modes": math.nan}}
    runs[1].set_status(Status().to(State.FAILED, **failed))
    shown = status(outputs)
    assert shown.returncode == 1
    words = " ".join(shown.stdout.split())
    assert "1 finished, 1 new, 1 failed" in words
    assert "RuntimeError: boom" in words
    listed = status(outputs, "--json", "--failed")
    assert listed.returncode == 1

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    (row,) = json.loads(listed.stdout, parse_constant=refuse)
    assert (row["state"], row["log"], row["reason"]) == ("failed", str(log), failed["reason"])


def test_failed_lists_nothing_and_is_content_when_nothing_failed(outputs: Outputs) -> None:
    _, (run,) = prepare(outputs)
    run.set_result({"state": "finished", "metrics": {}})
    listed = status(outputs, "--json", "--failed")
    assert (listed.returncode, json.loads(listed.stdout)) == (0, [])


def test_watching_the_failed_ones_waits_for_the_others(outputs: Outputs) -> None:
    _, (run,) = prepare(outputs)
    trains(run)
    assert claim(run, "7_0") is not None
    words = [sys.executable, str(ROOT / "jobs/status.py"), "test", "--out", str(outputs.root)]
    with subprocess.Popen([*words, "--watch", "--failed"], stdout=subprocess.PIPE) as job:
        time.sleep(6)
        assert job.poll() is None
        run.set_result({"state": "finished", "metrics": {}})
        job.communicate(timeout=60)
    assert job.returncode == 0
