"""The plan: what goes out, what is left alone, and how it is packed."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from hw5hpc.cluster import plan as planning
from hw5hpc.cluster.describe import describe_plan
from hw5hpc.cluster.plan import Plan
from hw5hpc.cluster.profile import Profile
from hw5hpc.errors import UserError
from hw5hpc.experiments import SCHEMAS
from hw5hpc.node.needs import of_no_use
from hw5hpc.store import Outputs, RunFolder, State, Status, claim
from hw5hpc.sweep import Sweep, load, run_id

TEXT = """
experiment: gan
grid:
  gan.unroll_steps: [0, 1]
  seed: {range: [0, 3]}
"""


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    path = tmp_path / "test.yaml"
    path.write_text(TEXT)
    return load(path, SCHEMAS)


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    return Outputs(tmp_path / "outputs")


def make(sweep: Sweep, outputs: Outputs, alive: bool | None = None, **flags: bool) -> Plan:
    return planning.make(sweep, outputs, "code", lambda job: alive, **flags)


def finish(outputs: Outputs, identifier: str, code: str = "code") -> None:
    run = outputs.run(identifier)
    run.create("gan", {})
    run.set_provenance({"code": code})
    run.set_result({"state": "finished", "metrics": {}})


def put(outputs: Outputs, identifier: str, state: State, job: str = "7_0") -> None:
    outputs.run(identifier).create("gan", {})
    outputs.run(identifier).set_job(job)
    outputs.run(identifier).set_status(Status(state=state))


def test_all_new_with_one_shared_prerequisite_first(sweep: Sweep, outputs: Outputs) -> None:
    plan = make(sweep, outputs)
    assert len(plan.rest) == 6
    assert [item.experiment for item in plan.first] == ["classifier"]
    assert not outputs.root.exists()


def test_finished_runs_are_reused(sweep: Sweep, outputs: Outputs) -> None:
    for point in sweep.points:
        finish(outputs, point.id)
    plan = make(sweep, outputs)
    assert plan.empty
    assert plan.count(State.FINISHED) == 6


def test_a_finished_prerequisite_is_reused(sweep: Sweep, outputs: Outputs) -> None:
    ((experiment, config),) = sweep.points[0].config.prerequisites().values()
    finish(outputs, run_id(experiment, config))
    assert make(sweep, outputs).first == ()


def test_other_code_shows_as_stale_and_force_runs_again(sweep: Sweep, outputs: Outputs) -> None:
    finish(outputs, sweep.points[0].id, code="older")
    plan = make(sweep, outputs)
    assert (plan.stale, len(plan.rest)) == (1, 5)
    assert len(make(sweep, outputs, force=True).rest) == 6


def test_the_plan_says_which_interrupted_runs_start_anew(sweep: Sweep, outputs: Outputs) -> None:
    for point, code in zip(sweep.points[:3], ("older", "code", "older"), strict=True):
        put(outputs, point.id, State.INTERRUPTED)
        outputs.run(point.id).set_provenance({"code": code})
    for point in sweep.points[:2]:
        outputs.run(point.id).checkpoint.write_bytes(b"x")
    plan = make(sweep, outputs, alive=False)
    assert (plan.anew, plan.stale) == (1, 0), "without a checkpoint nothing is lost"
    assert "1 start anew: another version of the code began them" in describe_plan(plan)
    assert make(sweep, outputs, alive=True).anew == 0


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING, State.INTERRUPTED])
def test_queued_and_running_ones_are_left_alone_while_their_job_lives(
    sweep: Sweep, outputs: Outputs, state: State
) -> None:
    put(outputs, sweep.points[0].id, state)
    assert len(make(sweep, outputs, alive=True).rest) == 5
    gone = make(sweep, outputs, alive=False)
    assert len(gone.rest) == 6
    assert gone.points[0].state is State.LOST


def test_a_claimed_run_is_left_alone_without_slurm(sweep: Sweep, outputs: Outputs) -> None:
    put(outputs, sweep.points[0].id, State.RUNNING, job="")
    assert len(make(sweep, outputs).rest) == 6
    mine = claim(outputs.run(sweep.points[0].id))
    assert mine is not None
    assert len(make(sweep, outputs).rest) == 5


def test_a_prerequisite_at_work_where_nobody_can_wait_for_it_is_refused(
    sweep: Sweep, outputs: Outputs
) -> None:
    """Slurm can wait for a job; for a process of --local it would not wait at all."""
    ((experiment, config),) = sweep.points[0].config.prerequisites().values()
    put(outputs, run_id(experiment, config), State.RUNNING, job="7_0")
    queued = make(sweep, outputs, alive=True)
    assert (queued.first, queued.waiting_for) == ((), ["7_0"])
    planning.check_waits(queued, for_jobs=True)
    with pytest.raises(UserError, match="being trained already"):
        planning.check_waits(queued, for_jobs=False)
    mine = claim(outputs.run(run_id(experiment, config)))
    assert mine is not None
    with pytest.raises(UserError, match="being trained already"):
        planning.check_waits(make(sweep, outputs, alive=False), for_jobs=True)


def test_failed_ones_go_out_only_when_asked(sweep: Sweep, outputs: Outputs) -> None:
    put(outputs, sweep.points[0].id, State.FAILED)
    assert len(make(sweep, outputs, alive=False).rest) == 5
    assert len(make(sweep, outputs, alive=False, retry_failed=True).rest) == 6


def test_register_writes_configs_and_points(sweep: Sweep, outputs: Outputs) -> None:
    planning.register(make(sweep, outputs), outputs)
    rows = outputs.sweep("test").points()
    assert [row["run"] for row in rows] == [point.id for point in sweep.points]
    experiment, config = outputs.run(rows[0]["run"]).config()
    assert (experiment, config["gan.unroll_steps"]) == ("gan", 0)


def test_force_moves_the_old_result_aside(sweep: Sweep, outputs: Outputs) -> None:
    finish(outputs, sweep.points[0].id)
    planning.register(make(sweep, outputs, force=True), outputs)
    assert outputs.run(sweep.points[0].id).result() is None
    assert len(list((outputs.root / "runs" / "replaced").iterdir())) == 1


@pytest.mark.parametrize(
    ("pack", "abreast", "sizes"),
    [
        ("auto", "auto", [1] * 6),
        ("4", "auto", [4, 2]),
        ("99", "auto", [6]),
        ("auto", "4", [4, 2]),
        ("3", "4", [3, 3]),
    ],
)
def test_packing(sweep: Sweep, outputs: Outputs, pack: str, abreast: str, sizes: list[int]) -> None:
    profile = dataclasses.replace(Profile(), pack=pack, abreast=abreast)
    groups = planning.pack(make(sweep, outputs).rest, profile)
    assert [len(group) for group in groups] == sizes


def test_gpu_hours_are_the_most_that_tasks_can_use() -> None:
    assert planning.gpu_hours(3, Profile(time="02:00:00")) == 6.0
    assert planning.gpu_hours(3, Profile(time="02:00:00", gpus_per_node=0)) == 0.0
    assert planning.gpu_hours(3, Profile(time="02:00:00", gpus_per_node=4, nodes=2)) == 48.0


def classifier(sweep: Sweep, outputs: Outputs) -> RunFolder:
    """Return the finished classifier that the sweep's GANs need, its checksums taken."""
    ((experiment, config),) = sweep.points[0].config.prerequisites().values()
    run = outputs.run(run_id(experiment, config))
    run.create(experiment, {})
    run.weights.write_bytes(b"weights of a classifier")
    run.set_provenance({"code": "code"})
    run.set_result({"state": "finished", "metrics": {}})
    return run


@pytest.mark.parametrize("content", [None, b"", b"weights of", b"weights of a claSsifier"])
def test_a_prerequisite_with_damaged_weights_is_named_set_aside_and_made_again(
    sweep: Sweep, outputs: Outputs, content: bytes | None
) -> None:
    run = classifier(sweep, outputs)
    assert make(sweep, outputs).first == ()
    run.weights.unlink()
    if content is not None:
        run.weights.write_bytes(content)
    plan = make(sweep, outputs)
    assert [item.id for item in plan.first] == [run.id]
    assert len(plan.rest) == 6
    assert f"run {run.id} is made anew: {run.weights}: " in describe_plan(plan)
    aside = planning.register(plan, outputs)
    assert (aside[run.id] / "result.json").exists()
    assert not run.status().state.done


def test_gans_that_failed_for_want_of_it_come_back_with_a_plain_submission(
    sweep: Sweep, outputs: Outputs
) -> None:
    run = classifier(sweep, outputs)
    blaming, other = (outputs.run(point.id) for point in sweep.points[:2])
    reason = of_no_use("classifier", run.id, "is damaged: weights.pt: missing")
    for gan, why in ((blaming, f"rank 1: {reason}"), (other, "RuntimeError: boom")):
        gan.create("gan", {})
        gan.set_status(Status(state=State.FAILED, reason=why))
    plan = make(sweep, outputs)
    assert blaming.id in [item.id for item in plan.rest]
    assert other.id not in [item.id for item in plan.rest]


@pytest.mark.parametrize("state", [State.FAILED, State.DIVERGED])
def test_points_whose_prerequisite_failed_are_kept_back_and_told(
    sweep: Sweep, outputs: Outputs, state: State
) -> None:
    ((experiment, config),) = sweep.points[0].config.prerequisites().values()
    run = outputs.run(run_id(experiment, config))
    run.create(experiment, {})
    if state is State.DIVERGED:
        run.set_result({"state": "diverged", "metrics": {}})
    run.set_status(Status(state=state, reason="boom"))
    plan = make(sweep, outputs)
    assert (plan.empty, len(plan.held)) == (True, 6)
    words = describe_plan(plan)
    assert f"6 kept back: they need the classifier run {run.id}, which {state} (boom)" in words
    assert "what is left needs an earlier run" in words
    again = make(sweep, outputs, retry_failed=True)
    assert len(again.first) == (state is State.FAILED)
    assert len(again.rest) == (6 if state is State.FAILED else 0)


def test_damage_in_finished_points_is_named_and_not_run_again_unasked(
    sweep: Sweep, outputs: Outputs
) -> None:
    for point in sweep.points:
        run = outputs.run(point.id)
        run.create("gan", {})
        run.add_metrics({"epoch": 1})
        run.add_array("samples", 1, np.zeros(3))
        run.set_result({"state": "finished", "metrics": {}})
    assert "damaged" not in describe_plan(make(sweep, outputs))
    first, second = (outputs.run(point.id) for point in sweep.points[:2])
    first.metrics_path.write_bytes(b"")
    (second.artifacts / "samples.00001.npy").unlink()
    plan = make(sweep, outputs)
    words = describe_plan(plan)
    assert plan.empty
    assert f"finished, but damaged: {first.metrics_path}: damaged (0 bytes" in words
    assert f"finished, but damaged: {second.artifacts / 'samples.00001.npy'}: missing" in words
    assert "2 damaged in all (--force" in words
    assert len(make(sweep, outputs, force=True).rest) == 6
