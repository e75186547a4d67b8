"""An array whose first runs all fail alike is stopped, and what waits for a canary that failed."""

import os
from pathlib import Path

import pytest

from hw5hpc.node.brake import stop_others
from hw5hpc.store import Outputs, RunFolder, State, Status, SweepFolder


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A scancel that notes how it is called."""
    program, calls = tmp_path / "scancel", tmp_path / "calls"
    program.write_text(f'#!/bin/sh\necho "$*" >> {calls}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    calls.touch()
    return calls


def prepare(tmp_path: Path, *states: State) -> tuple[Outputs, SweepFolder, list[RunFolder]]:
    """One task of array 7 a run; failed ones for the same reason but for a number."""
    outputs = Outputs(tmp_path / "out")
    sweep = outputs.sweep("test")
    runs = [outputs.run(f"run{index}") for index in range(len(states))]
    for index, (run, state) in enumerate(zip(runs, states, strict=True)):
        run.create("ring", {})
        run.set_job(f"7_{index}")
        reason = f"ValueError: odd {index}" if state is State.FAILED else ""
        run.set_status(Status(state=state, reason=reason))
    names = [run.id for run in runs]
    sweep.save({"name": "test", "runs": names}, [{"run": name} for name in names])
    return outputs, sweep, runs


FAILED, QUEUED, RUNNING = State.FAILED, State.QUEUED, State.RUNNING


def test_after_three_that_failed_alike_the_others_are_cancelled(
    tmp_path: Path, calls: Path
) -> None:
    outputs, sweep, runs = prepare(tmp_path, FAILED, FAILED, FAILED, RUNNING, QUEUED, QUEUED)
    stop_others(sweep, outputs, "7_2", [FAILED], canary=False)
    assert calls.read_text() == "--quiet --state=PENDING 7\n"
    said = "stopped: the first 3 runs of its array failed alike: ValueError: odd 0"
    assert [run.cancelled() for run in runs] == ["", "", "", "", said, said]


def test_runs_that_failed_alike_at_their_end_stop_the_others_too(
    tmp_path: Path, calls: Path
) -> None:
    outputs, sweep, runs = prepare(tmp_path, FAILED, FAILED, FAILED, RUNNING, QUEUED)
    for run in runs[:3]:
        run.set_status(Status(state=FAILED, reason="ValueError: odd 1", epoch=49))
    runs[3].set_status(Status(state=RUNNING, epoch=20))
    stop_others(sweep, outputs, "7_2", [FAILED], canary=False)
    assert calls.read_text() == "--quiet --state=PENDING 7\n"


@pytest.mark.parametrize("case", ["two", "another reason", "one finished", "one got further"])
def test_an_array_goes_on_while_anything_of_it_may_come_to_something(
    tmp_path: Path, calls: Path, case: str
) -> None:
    outputs, sweep, runs = prepare(tmp_path, FAILED, FAILED, FAILED, RUNNING, QUEUED)
    if case == "two":
        runs[0].set_job("6_0")
    if case == "another reason":
        runs[0].set_status(Status(state=FAILED, reason="OSError: other"))
    if case == "one finished":
        runs[3].set_result({"state": "finished", "metrics": {}})
    if case == "one got further":
        runs[3].set_status(Status(state=RUNNING, epoch=1))
    stop_others(sweep, outputs, "7_2", [FAILED], canary=False)
    assert calls.read_text() == ""
    assert runs[4].cancelled() == ""


def test_what_waits_for_a_canary_is_cancelled_with_its_reason(tmp_path: Path, calls: Path) -> None:
    outputs, sweep, runs = prepare(tmp_path, FAILED, QUEUED, QUEUED)
    runs[0].set_job("6")
    row = {"first": [], "rest": ["6", "7_1", "7_2"], "report": "", "canary": ["6"]}
    sweep.add_submission(row)
    stop_others(sweep, outputs, "6", [State.FINISHED], canary=True)
    assert calls.read_text() == ""
    stop_others(sweep, outputs, "6", [FAILED], canary=True)
    assert calls.read_text() == "--quiet --state=PENDING 7\n"
    said = "not begun: the canary run0 failed: ValueError: odd 0"
    assert [run.cancelled() for run in runs] == ["", said, said]


def test_without_slurm_or_a_record_nothing_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    outputs, sweep, _ = prepare(tmp_path, FAILED, FAILED, FAILED, QUEUED)
    stop_others(sweep, outputs, "7_2", [FAILED], canary=False)
    stop_others(outputs.sweep("none"), outputs, "7_2", [FAILED], canary=False)
