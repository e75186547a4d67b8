"""What submitit calls: a task whose processes do not come together accounts for its runs."""

import os
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
