"""What the terminal shows of a sweep: few points one by one, of a thousand what matters most."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from hw5hpc.cluster import view
from hw5hpc.cluster.causes import cause_of, check, groups
from hw5hpc.cluster.standings import Ended, Standing, standings
from hw5hpc.errors import UserError
from hw5hpc.store import Outputs, State, Status

OUT_OF_MEMORY = "the GPU's memory is too small: lower train.batch_size (step {})"


def row(index: int, state: State, reason: str = "") -> Standing:
    swept = {"gan.unroll_steps": str(index % 4), "optim.lr": "0.001", "seed": str(index)}
    status = Status(state=state, reason=reason, epoch=3, epochs=50)
    return Standing(f"{index:012x}", swept, status, "", 90.0, "classes_covered", "8.123")


def many() -> list[Standing]:
    states = [State.FINISHED] * 700 + [State.RUNNING] * 280 + [State.FAILED] * 20
    return [
        row(index, state, OUT_OF_MEMORY.format(index) if state is State.FAILED else "")
        for index, state in enumerate(states)
    ]


def shown(rows: list[Standing], width: int = 80, whole: bool = False) -> list[str]:
    file = io.StringIO()
    board = view.board(rows, "big: " + view.summary(rows), width, whole)
    Console(file=file, width=width).print(board)
    return file.getvalue().splitlines()


def test_a_thousand_points_are_counted_by_setting_with_the_failed_and_running_ones_first() -> None:
    lines = shown(many())
    assert max(map(len, lines)) <= 80
    assert len(lines) < 50
    assert "big: 700 finished, 280 running, 20 failed" in lines[0]
    assert any("20 failed: the GPU's memory is too small" in line for line in lines)
    (setting,) = [line.split() for line in lines if line.startswith("unroll_steps=3")]
    assert setting == ["unroll_steps=3", "lr=0.001", "175", "70", "5"]
    text = "\n".join(lines)
    assert text.index(" failed ", text.index("run  ")) < text.index(
        " running ", text.index("run  ")
    )
    assert "and 988 more points (--all lists every one)" in lines[-1]
    assert len(shown(many(), whole=True)) > 1000


def test_more_settings_than_fit_are_told_by_axis() -> None:
    rows = [
        Standing(str(i), {"a.x": str(i % 30), "a.y": str(i // 30)}, Status(), "", None, "m", "")
        for i in range(90)
    ]
    lines = [line.split() for line in shown(rows)]
    assert ["x=0", "3"] in lines
    assert ["and", "13", "more"] in lines


def test_few_points_are_listed_with_their_reasons_beside_or_above() -> None:
    rows = [row(0, State.FINISHED), row(1, State.FAILED, "RuntimeError: boom")]
    wide, narrow = shown(rows, 160), shown(rows, 80)
    assert any("failed" in line and "boom" in line and "unroll_steps=1" in line for line in wide)
    assert narrow[1].strip() == "1 failed: RuntimeError: boom"
    assert max(map(len, narrow)) <= 80


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        (OUT_OF_MEMORY.format(7), "gpu-memory"),
        ("its process was killed by SIGKILL; was it out of memory? (3 times in a row)", "memory"),
        ("its job ended as OUT_OF_MEMORY, exit code 0:125; submit again to go on", "memory"),
        ("its job ended as TIMEOUT; submit again to go on", "time"),
        ("stopped by a signal 4 times; max_stops is 3", "time"),
        ("the disk or quota is full (output folder)", "disk"),
        ("data.name 'cifar10' was not found in /x; get it with: ...", "data"),
        ("its classifier, run 1a2b, is damaged: weights.pt: missing", "prerequisite"),
        ("a GPU was asked for, but torch 2.11 can use none here (...)", "no-gpu"),
        ("rank 0 on n1: 3 of 4 processes came in 60 s", "ranks"),
        ("its job ended as NODE_FAIL", "node"),
        ("RuntimeError: boom (my.py:12)", "code"),
        ("cancelled by root on 2026-11-26", "cancelled"),
        ("something else", "other"),
    ],
)
def test_each_reason_is_of_a_kind(reason: str, cause: str) -> None:
    assert cause_of(reason).name == cause


def test_failures_are_grouped_with_a_count_and_the_command_that_retries_them() -> None:
    bad = [one for one in many() if one.status.state is State.FAILED]
    bad += [row(2000, State.FAILED, "ValueError: odd"), row(2001, State.DIVERGED, "NaN")]
    lines = view.failures(bad, "python jobs/submit.py big.yaml")
    assert lines[0].startswith("20 failed (gpu-memory): the GPU's memory is too small")
    again = "python jobs/submit.py big.yaml --retry-failed="
    assert lines[2].strip() == f"-> {again}gpu-memory cluster.gpu_type=LARGER"
    assert f"    -> mend the code, then: {again}code" in lines
    assert "    -> a result, not a failure: see the report" in lines
    assert [len(group.runs) for group in groups((one.run, one.status) for one in bad)] == [20, 1, 1]


def test_the_end_of_a_log_is_of_a_run_that_has_one_and_no_word_of_sruns(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("ValueError: odd\nsubmitit ERROR (x) - failed\nsrun: error: n1: Exited\n")
    bad = [row(1, State.FAILED, "ValueError: odd"), row(2, State.FAILED, "ValueError: odd")]
    bad[1] = replace(bad[1], log=str(log))
    lines = view.failures(bad, "again")
    assert lines[1] == "    000000000002 and 1 more; its log ends: ValueError: odd"


def test_a_cause_that_no_failed_point_has_is_refused_with_those_that_there_are() -> None:
    reasons = ["ValueError: odd", "ValueError: odd", OUT_OF_MEMORY.format(3)]
    check("code", reasons)
    with pytest.raises(UserError, match=r"there are code \(2\), gpu-memory \(1\)"):
        check("disk", reasons)
    with pytest.raises(UserError, match=r"unknown cause 'gpu-memry'.*Did you mean 'gpu-memory'"):
        check("gpu-memry", reasons)


def test_runs_that_have_ended_are_read_again_only_when_they_change(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    outputs = Outputs(tmp_path_factory.mktemp("out"))
    run, sweep, ended = outputs.run("run0"), outputs.sweep("test"), Ended()
    run.create("ring", {"seed": 0})
    sweep.save({"name": "test", "experiment": "ring", "runs": ["run0"]}, [{"run": "run0"}])
    run.set_status(Status(state=State.FAILED, reason="one"))
    (before,) = standings(outputs, sweep, ended=ended)
    assert standings(outputs, sweep, ended=ended)[0] is before
    run.set_status(Status(state=State.FAILED, reason="two"))
    assert standings(outputs, sweep, ended=ended)[0].status.reason == "two"
