"""What submitit calls: a task whose processes do not come together accounts for its runs."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from hw5hpc.engine.precision import NoGpu
from hw5hpc.node import worker
from hw5hpc.node.job import TrainingJob
from hw5hpc.node.pack import Packing
from hw5hpc.node.retry import Budget
from hw5hpc.node.task import Task
from hw5hpc.store import Outputs, RunFolder, State, Status, claim
from hw5hpc.team import rendezvous
from hw5hpc.team.rendezvous import RendezvousError
from hw5hpc.team.team import TeamBroken


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendezvous, "JOIN_SECONDS", 2.0)
    monkeypatch.setattr(rendezvous, "RESOLVE_SECONDS", 1.0)


@pytest.fixture(autouse=True)
def must_not_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "work", lambda *_: pytest.fail("it must not begin"))


def slurm_task(folder: Path, size: int) -> SimpleNamespace:
    """What rank 0 sees of a job of `size` processes."""
    paths = SimpleNamespace(folder=folder)
    return SimpleNamespace(global_rank=0, num_tasks=size, local_rank=0, job_id="7_0", paths=paths)


def waiting_run(folder: Path) -> RunFolder:
    waiting = Outputs(folder).run("r")
    waiting.set_status(Status(state=State.QUEUED))
    return waiting


def train(runs: Sequence[RunFolder], expected: int, started: Any, budget: Budget) -> None:
    job = TrainingJob("test", [run.path for run in runs], budget, expected)
    job.train(started, lambda: False)


def test_another_number_of_tasks_than_was_sent_fails_the_runs(tmp_path: Path) -> None:
    """Before any training and for good, with the reason in each run's status."""
    waiting = waiting_run(tmp_path)
    words = "wrong world size: the task was sent for 4 processes, Slurm started 2"
    with pytest.raises(RendezvousError, match=words):
        train([waiting], 4, slurm_task(tmp_path, 2), Budget())
    assert (waiting.status().state, waiting.status().reason) == (State.FAILED, words)


def test_a_process_that_does_not_come_counts_as_a_crash(tmp_path: Path) -> None:
    """What may be a slow node is tried again, as often as the budget allows."""
    waiting = waiting_run(tmp_path)
    seen = []
    for _ in range(2):
        with pytest.raises(TeamBroken, match=r"1 of 2 processes came .*missing: rank 1"):
            train([waiting], 2, slurm_task(tmp_path, 2), Budget(crashes=1))
        seen.append((waiting.status().state, waiting.status().crashes))
    assert seen == [(State.INTERRUPTED, 1), (State.FAILED, 2)]
    assert claim(waiting, "another job") is not None


def test_a_run_of_another_worker_is_not_marked(tmp_path: Path) -> None:
    waiting = waiting_run(tmp_path)
    theirs = claim(waiting, "")
    assert theirs is not None
    with pytest.raises(TeamBroken):
        train([waiting], 2, slurm_task(tmp_path, 2), Budget(crashes=0))
    assert waiting.status().state is State.QUEUED
    theirs.release()


def test_the_other_ranks_count_nothing(tmp_path: Path) -> None:
    waiting = waiting_run(tmp_path)
    second = slurm_task(tmp_path, 2)
    second.global_rank = 1
    with pytest.raises(RendezvousError, match="wrong world size"):
        train([waiting], 4, second, Budget())
    assert waiting.status().state is State.QUEUED


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a usable GPU")
@pytest.mark.parametrize(
    ("cuda", "state"), [(None, State.FAILED), ("13.2", State.INTERRUPTED)], ids=["never", "here"]
)
def test_a_gpu_job_without_a_usable_gpu_says_why_and_trains_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cuda: str | None, state: State
) -> None:
    """A torch without CUDA fails for good; a node with a broken driver counts as a crash."""
    monkeypatch.setattr(torch.version, "cuda", cuda)
    waiting = waiting_run(tmp_path)
    job = TrainingJob("test", [waiting.path], Budget(), device="cuda")
    with pytest.raises(NoGpu if cuda is None else TeamBroken, match="a GPU was asked for"):
        job.train(slurm_task(tmp_path, 1), lambda: False)
    status = waiting.status()
    assert status.state is state
    assert "`device: cpu` in the cluster's profile" in status.reason
    assert ("built without CUDA" in status.reason) == (cuda is None)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a usable GPU")
def test_runs_side_by_side_without_a_usable_gpu_all_say_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    runs = [Outputs(tmp_path).run(name) for name in "ab"]
    for run in runs:
        run.set_status(Status(state=State.QUEUED))
    job = TrainingJob(
        "test", [run.path for run in runs], Budget(), device="cuda", packing=Packing(2, 2)
    )
    with pytest.raises(NoGpu):
        job.train(slurm_task(tmp_path, 1), lambda: False)
    assert [run.status().state for run in runs] == [State.FAILED] * 2
    assert all("built without CUDA" in run.status().reason for run in runs)


SIDE_BY_SIDE = """
import sys
from pathlib import Path
from types import SimpleNamespace

from hw5hpc.experiments import rebuild
from hw5hpc.node.job import TrainingJob
from hw5hpc.node.pack import Packing
from hw5hpc.node.retry import Budget
from hw5hpc.store import Outputs
from hw5hpc.sweep import run_id
from hw5hpc.sweep.point import flatten

folder = Path(sys.argv[1])
configs = [rebuild("softmax", {"seed": seed}) for seed in range(2)]
runs = [Outputs(folder).run(run_id("softmax", config)) for config in configs]
for run, config in zip(runs, configs, strict=True):
    run.create("softmax", flatten(config))
paths = SimpleNamespace(folder=folder)
task = SimpleNamespace(global_rank=0, num_tasks=1, local_rank=0, job_id="7_0", paths=paths)
job = TrainingJob("test", [run.path for run in runs], Budget(), packing=Packing(2, 2))
print(*job.train(task, lambda: False)[0], "torch" in sys.modules)
"""


def test_a_task_whose_runs_train_in_processes_of_their_own_imports_no_torch(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", SIDE_BY_SIDE, str(tmp_path)]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "WANDB_MODE": "disabled"}
    )
    assert done.stdout.splitlines()[-1] == "finished finished False", done.stderr


def test_a_run_that_is_alone_has_the_threads_of_a_full_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "8")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    given: list[Task] = []
    monkeypatch.setattr(worker, "work", lambda _, task, team: given.append(task) or [])
    for packing in (Packing(4, 2), Packing(4, 1)):
        job = TrainingJob("test", [tmp_path], Budget(), packing=packing)
        job.train(slurm_task(tmp_path, 1), lambda: False)
    assert [task.threads for task in given] == [4, 0]


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_without_a_gpu_asked_for_the_cpu_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(worker, "work", lambda *_: [State.FINISHED])
    job = TrainingJob("test", [waiting_run(tmp_path).path], Budget(), device=device)
    assert job.train(slurm_task(tmp_path, 1), lambda: False) == ([State.FINISHED], False)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ("" if device == "cpu" else "0")
    assert job.checkpoint().function.device == device, "its next turn, too"


def test_the_next_turn_takes_as_many_runs_up_at_a_time(tmp_path: Path) -> None:
    job = TrainingJob("test", [tmp_path], Budget(), packing=Packing(4, 2))
    assert job.checkpoint().function.packing == Packing(4, 2)
