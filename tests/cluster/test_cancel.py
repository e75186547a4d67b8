"""What is cancelled is told from what was lost, in the plan, in status and in the report."""

import os
from pathlib import Path

import pytest

from hw5hpc.cluster import cancel, follow
from hw5hpc.cluster import plan as planning
from hw5hpc.errors import UserError
from hw5hpc.experiments import SCHEMAS
from hw5hpc.node.known_jobs import KnownJobs
from hw5hpc.report.collect import collect
from hw5hpc.store import Outputs, RunFolder, State, Status, claim
from hw5hpc.sweep import Sweep, load

SWEEP = "experiment: ring\ngrid: {seed: [0, 1, 2]}\n"


class Cluster:
    """A squeue and a scancel that know three tasks, as commands on PATH."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.queue, self.calls = folder / "queue", folder / "calls"
        self.queue.write_text("".join(f"7_{task}|RUNNING|N/A|None\n" for task in range(3)))
        bin_folder = folder / "bin"
        bin_folder.mkdir()
        monkeypatch.setenv("PATH", f"{bin_folder}:{os.environ['PATH']}")
        for name, body in (
            ("squeue", f"cat {self.queue}"),
            ("scancel", f"echo $* >> {self.calls}; : > {self.queue}"),
            ("scontrol", "echo 'ClusterName = here'"),
            ("sacct", "exit 1"),
        ):
            (bin_folder / name).write_text(f"#!/bin/sh\n{body}\n")
            (bin_folder / name).chmod(0o755)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    return Cluster(tmp_path, monkeypatch)


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    return Outputs(tmp_path / "out")


@pytest.fixture
def sweep(tmp_path: Path, outputs: Outputs) -> Sweep:
    path = tmp_path / "test.yaml"
    path.write_text(SWEEP)
    made = load(path, SCHEMAS)
    planning.register(planning.make(made, outputs, "code"), outputs)
    return made


def sent(outputs: Outputs, sweep: Sweep, *jobs: str) -> list[RunFolder]:
    runs = [outputs.run(point.id) for point in sweep.points]
    for run, job in zip(runs, jobs, strict=True):
        run.set_job(job)
        run.set_status(Status().to(State.RUNNING, job=job, epoch=2, epochs=10))
    return runs


def call(outputs: Outputs, *words: str, states: tuple[str, ...] = ()) -> cancel.Cancelled:
    sweep, jobs = outputs.sweep("test"), KnownJobs(0)
    return cancel.cancel(outputs, sweep, jobs, words, states, wait=1, say=lambda line: None)


def test_a_cancelled_point_is_cancelled_everywhere_and_goes_out_again(
    outputs: Outputs, sweep: Sweep, cluster: Cluster
) -> None:
    runs = sent(outputs, sweep, "7_0", "7_1", "7_2")
    done = call(outputs, "seed=0,2")
    assert done.runs == (runs[0].id, runs[2].id)
    assert cluster.calls.read_text() == "--quiet 7_[0,2]\n"
    states = [row.status.state for row in follow.standings(outputs, outputs.sweep("test"))]
    assert states == [State.CANCELLED, State.RUNNING, State.CANCELLED]
    assert runs[0].status().reason.startswith("cancelled by ")
    shown = collect(outputs, outputs.sweep("test"))
    assert list(shown.results["state"])[::2] == ["cancelled", "cancelled"]
    plan = planning.make(sweep, outputs, "code", lambda job: job == "7_1")
    assert [item.id for item in plan.rest] == [runs[0].id, runs[2].id]
    planning.register(plan, outputs)
    assert runs[0].cancelled() == ""
    assert runs[0].status().state is State.QUEUED


def test_a_run_that_is_slow_to_stop_is_told_as_such_and_cancelled_when_it_has(
    outputs: Outputs, sweep: Sweep, cluster: Cluster
) -> None:
    runs = sent(outputs, sweep, "7_0", "7_1", "7_2")
    mine = claim(runs[0], "7_0")
    assert mine is not None
    done = call(outputs, "seed=0")
    assert (done.runs, done.stopping) == ((), (runs[0].id,))
    assert runs[0].status().state is State.RUNNING
    mine.release()
    (first, *_) = follow.standings(outputs, outputs.sweep("test"), lambda job: False)
    assert first.status.state is State.CANCELLED


def test_only_points_in_the_states_that_were_named(
    outputs: Outputs, sweep: Sweep, cluster: Cluster
) -> None:
    runs = sent(outputs, sweep, "7_0", "7_1", "7_2")
    runs[1].set_status(Status(state=State.QUEUED))
    assert call(outputs, states=("queued",)).runs == (runs[1].id,)
    with pytest.raises(UserError, match=r"unknown state 'queud'.*Did you mean 'queued'"):
        call(outputs, states=("queud",))


def test_a_point_that_shares_its_task_is_not_cancelled_alone(
    outputs: Outputs, sweep: Sweep, cluster: Cluster
) -> None:
    runs = sent(outputs, sweep, "7_0", "7_0", "7_1")
    with pytest.raises(UserError, match=f"job 7_0 trains run {runs[1].id}, too"):
        call(outputs, "seed=0")
    assert not cluster.calls.exists()
    assert call(outputs, "seed=0,1").runs == (runs[0].id, runs[1].id)


def test_a_local_training_is_left_alone_with_its_process_named(
    outputs: Outputs, sweep: Sweep, cluster: Cluster
) -> None:
    run = outputs.run(sweep.points[0].id)
    run.set_status(Status().to(State.RUNNING))
    assert claim(run) is not None
    done = call(outputs)
    assert done.runs == ()
    assert f"is trained by process {os.getpid()} on" in done.left[0]
    assert run.status().state is State.RUNNING


def test_what_slurm_refuses_to_end_is_not_called_cancelled(
    outputs: Outputs, sweep: Sweep, cluster: Cluster, tmp_path: Path
) -> None:
    runs = sent(outputs, sweep, "7_0", "7_1", "7_2")
    (tmp_path / "bin" / "scancel").write_text("#!/bin/sh\necho Access denied >&2; exit 1\n")
    with pytest.raises(UserError, match="Access denied"):
        call(outputs)
    assert [run.cancelled() for run in runs] == ["", "", ""]


def test_a_classifier_that_another_sweep_waits_for_is_not_cancelled(
    outputs: Outputs, cluster: Cluster, tmp_path: Path
) -> None:
    text = "experiment: gan\nconfig: {data.name: synthetic}\ngrid: {seed: [SEED]}\n"
    for seed, name in (("0", "test"), ("1", "other")):
        path = tmp_path / f"{name}.yaml"
        path.write_text(text.replace("SEED", seed))
        made = load(path, SCHEMAS)
        plan = planning.make(made, outputs, "code")
        planning.register(plan, outputs)
        sent(outputs, made, f"7_{seed}")
    first = outputs.run(next(iter(planning.make(made, outputs, "code").first)).id)
    first.set_job("7_2")
    first.set_status(Status().to(State.RUNNING))
    call(outputs)
    assert cluster.calls.read_text() == "--quiet 7_[0]\n"
    cluster.queue.write_text("7_1|RUNNING|N/A|None\n7_2|RUNNING|N/A|None\n")
    folder = outputs.sweep("other")
    cancel.cancel(outputs, folder, KnownJobs(0), wait=1, say=lambda line: None)
    assert cluster.calls.read_text().splitlines()[1:] == ["--quiet 7_[2,1]"]
