"""The plan says of every point what becomes of it and why, and what all of it is likely to cost."""

import dataclasses
from pathlib import Path

import pytest

from hw5hpc.cluster import cost
from hw5hpc.cluster import plan as planning
from hw5hpc.cluster.describe import describe_plan
from hw5hpc.cluster.plan import Plan
from hw5hpc.cluster.profile import Profile
from hw5hpc.errors import UserError
from hw5hpc.experiments import SCHEMAS
from hw5hpc.store import Outputs, State, Status
from hw5hpc.sweep import Sweep, load
from hw5hpc.sweep.point import flatten

CPU = Profile(device="cpu", time="01:00:00")


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    return Outputs(tmp_path / "out")


def sweep_of(tmp_path: Path, seeds: int) -> Sweep:
    path = tmp_path / "test.yaml"
    path.write_text(
        "experiment: ring\nconfig: {train.epochs: 10}\n"
        f"grid: {{gan.unroll_steps: [0, 5], seed: {{range: [0, {seeds}]}}}}\n"
    )
    return load(path, SCHEMAS)


def make(sweep: Sweep, outputs: Outputs, job: str = "") -> Plan:
    return planning.make(sweep, outputs, "code", lambda name: name == job)


def finish(outputs: Outputs, sweep: Sweep, index: int, seconds: float, devices: int = 0) -> None:
    point = sweep.points[index]
    run = outputs.run(point.id)
    run.create("ring", flatten(point.config))
    run.set_provenance({"code": "code"})
    run.set_status(Status(state=State.RUNNING, epochs=10))
    facts = {"seconds": seconds, "devices": devices, "device": "A100" if devices else "cpu"}
    run.set_result({"state": "finished", "metrics": {}, **facts})


def test_points_that_are_all_alike_need_no_more_words(tmp_path: Path, outputs: Outputs) -> None:
    words = describe_plan(make(sweep_of(tmp_path, 2), outputs), CPU, outputs)
    assert "unroll_steps=" not in words
    assert "4 to run" in words


def test_each_of_few_points_is_told_with_its_reason(tmp_path: Path, outputs: Outputs) -> None:
    sweep = sweep_of(tmp_path, 4)
    finish(outputs, sweep, 0, 10.0)
    finish(outputs, sweep, 1, 10.0)
    outputs.run(sweep.points[1].id).set_provenance({"code": "older"})
    for index, status, job in (
        (2, Status(state=State.RUNNING), "7"),
        (3, Status(state=State.FAILED, reason="ValueError: odd"), "8"),
        (4, Status(state=State.RUNNING), "8"),
        (5, Status(state=State.QUEUED), "9"),
    ):
        run = outputs.run(sweep.points[index].id)
        run.create("ring", {})
        run.set_job(job)
        run.set_status(status)
    outputs.run(sweep.points[5].id).set_cancelled("cancelled by me")
    lines = describe_plan(make(sweep, outputs, "7")).splitlines()
    told = [line.split(": ", 1)[1] for line in lines if "seed=" in line]
    assert told == [
        "finished, left alone",
        "finished, left alone (of another version of the code)",
        "running, left alone (job 7)",
        "failed, left alone (ValueError: odd)",
        "lost, to run (nobody works on it any more)",
        "cancelled, to run (cancelled by me)",
        "new, to run",
        "new, to run",
    ]


def test_many_points_are_told_by_axis_and_their_reasons_together(
    tmp_path: Path, outputs: Outputs
) -> None:
    sweep = sweep_of(tmp_path, 70)
    finish(outputs, sweep, 0, 10.0)
    for index in (80, 81, 82):
        run = outputs.run(sweep.points[index].id)
        run.create("ring", {})
        run.set_status(Status(state=State.FAILED, reason=f"ValueError: odd {index}"))
    lines = describe_plan(make(sweep, outputs)).splitlines()
    assert "    unroll_steps=0: 1 finished, 69 to run" in lines
    assert "    unroll_steps=5: 67 to run, 3 failed" in lines
    assert "    3 failed, left alone: ValueError: odd 80" in lines
    assert len(lines) < 30


def test_hours_are_estimated_from_measured_runs_of_the_same_setting(
    tmp_path: Path, outputs: Outputs
) -> None:
    sweep = sweep_of(tmp_path, 4)
    assert cost.estimate(make(sweep, outputs), CPU, outputs) is None
    finish(outputs, sweep, 0, 360.0)
    finish(outputs, sweep, 4, 3600.0)
    guess = cost.estimate(make(sweep, outputs), CPU, outputs)
    assert guess is not None
    assert guess.hours == pytest.approx(3 * 0.1 + 3 * 1.0)
    assert "about 3.3 GPU-hours, from 2 measured runs (cpu)" in describe_plan(
        make(sweep, outputs), CPU, outputs
    )
    # What a CPU took says nothing of a GPU.
    assert cost.estimate(make(sweep, outputs), Profile(), outputs) is None
    longer = dataclasses.replace(sweep, points=tuple(
        dataclasses.replace(point, config=dataclasses.replace(
            point.config, train=dataclasses.replace(point.config.train, epochs=20)))
        for point in sweep.points[:1]))  # type: ignore[attr-defined]  # fmt: skip
    guess = cost.estimate(make(longer, outputs), CPU, outputs)
    assert guess is not None
    assert guess.hours == pytest.approx(20 * (0.1 + 1.0) / 20), "the mean of an epoch"


def test_a_plan_over_the_limit_is_refused_with_where_the_number_comes_from(
    tmp_path: Path, outputs: Outputs
) -> None:
    sweep = sweep_of(tmp_path, 4)
    plan = make(sweep, outputs)
    cost.check(plan, CPU, outputs, None)
    cost.check(plan, CPU, outputs, 8)
    with pytest.raises(UserError, match=r"at most 8.0 GPU-hours, by its time limits; --max-gpu-h"):
        cost.check(plan, CPU, outputs, 7.9)
    finish(outputs, sweep, 0, 360.0)
    cost.check(make(sweep, outputs), CPU, outputs, 0.8)
    with pytest.raises(UserError, match=r"about 0.7 GPU-hours, from 1 measured runs"):
        cost.check(make(sweep, outputs), CPU, outputs, 0.6)
