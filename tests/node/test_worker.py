"""One task: claims, failures that leave the others going, crashes, and refused configs."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from hw5hpc.data.load import load
from hw5hpc.engine import checkpoint
from hw5hpc.errors import describe
from hw5hpc.experiments import SCHEMAS, rebuild
from hw5hpc.experiments.classifier.train import Classifier
from hw5hpc.node.needs import blames
from hw5hpc.node.retry import Budget
from hw5hpc.node.task import Task
from hw5hpc.node.worker import DeviceBroken, work
from hw5hpc.store import Outputs, RunFolder, State, Status, claim, files
from hw5hpc.sweep import run_id
from hw5hpc.sweep.point import flatten
from hw5hpc.tracking.live import Tracker

Step = Callable[..., Any]


def prepare(outputs: Outputs, experiment: str = "classifier", **changes: Any) -> RunFolder:
    values = {"data.name": "synthetic", "data.limit": 64, "train.epochs": 2, "train.batch_size": 16}
    config = rebuild(experiment, {**values, **changes})
    run = outputs.run(run_id(experiment, config))
    run.create(experiment, flatten(config))
    return run


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    return Outputs(tmp_path)


def task(stop: Callable[[], bool] = lambda: False) -> Task:
    return Task("test", stop=stop)


def test_a_run_ends_with_everything_on_disk(outputs: Outputs) -> None:
    run = prepare(outputs)
    assert work([run.path], task()) == [State.FINISHED]
    result = run.result()
    assert result is not None
    assert 0 <= result["metrics"]["test_accuracy"] <= 1
    assert len(run.metrics()) == 2
    assert run.status().state is State.FINISHED
    assert "synthetic" in run.provenance()["data_source"]
    assert run.provenance()["data_sha256"] == load("synthetic", None, None).content
    assert run.weights.exists()
    assert not run.checkpoint.exists()
    assert not run.claim_path.exists()


@pytest.mark.parametrize("stopped", [False, True])
def test_the_state_is_on_disk_before_wandb_is_waited_for(
    outputs: Outputs, monkeypatch: pytest.MonkeyPatch, stopped: bool
) -> None:
    """A service that went away may cost the seconds that are left before a time limit."""
    run, seen = prepare(outputs), []

    def finish(tracker: Tracker, *words: Any, **more: Any) -> None:
        seen.append(run.status().state)

    monkeypatch.setattr(Tracker, "finish", finish)
    work([run.path], task(stop=lambda: stopped and run.status().epoch > 0))
    assert seen[0] is (State.INTERRUPTED if stopped else State.FINISHED)


def test_a_finished_run_is_not_run_again(outputs: Outputs) -> None:
    run = prepare(outputs)
    work([run.path], task())
    before = (run.path / "result.json").stat().st_mtime_ns
    assert work([run.path], task()) == [State.FINISHED]
    assert (run.path / "result.json").stat().st_mtime_ns == before


def test_a_run_of_somebody_else_is_left_alone(outputs: Outputs) -> None:
    run = prepare(outputs)
    assert claim(run) is not None
    assert work([run.path], task()) == [State.RUNNING]
    assert run.metrics() == []


def test_a_changed_config_is_refused(outputs: Outputs) -> None:
    run = prepare(outputs)
    path = run.path / "config.yaml"
    path.write_text(path.read_text().replace("seed: 0", "seed: 1"))
    assert work([run.path], task()) == [State.FAILED]
    assert "config.yaml was changed" in run.status().reason


def test_a_missing_prerequisite_is_said(outputs: Outputs) -> None:
    run = prepare(outputs, "gan", **{"train.epochs": 1})
    assert work([run.path], task()) == [State.FAILED]
    assert "its classifier, run" in run.status().reason


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "flipped", "another's"])
def test_a_prerequisites_damaged_weights_are_named_with_their_file(
    outputs: Outputs, damage: str
) -> None:
    run = prepare(outputs, "gan", **{"train.epochs": 1})
    ((_, config),) = rebuild("gan", run.config()[1]).prerequisites().values()
    needed = outputs.run(run_id("classifier", config))
    needed.create("classifier", flatten(config))
    model = torch.nn.Linear(2, 2).state_dict()
    checkpoint.write_weights(needed.weights, model)
    needed.set_result({"state": "finished", "metrics": {}})
    content = bytearray(needed.weights.read_bytes())
    if damage == "another's":
        checkpoint.write_weights(needed.weights, torch.nn.Linear(2, 2).state_dict())
    elif damage == "missing":
        needed.weights.unlink()
    else:
        content[len(content) // 2] ^= damage == "flipped"
        size = {"empty": 0, "cut": 100}.get(damage, len(content))
        needed.weights.write_bytes(content[:size])
    assert work([run.path], task()) == [State.FAILED]
    reason = run.status().reason
    assert reason.startswith(f"its classifier, run {needed.id}, is damaged: {needed.weights}: ")
    assert blames(reason, needed.id)


def break_step(monkeypatch: pytest.MonkeyPatch, error: Exception, times: int) -> list[int]:
    """Let the classifier's step raise `error` this many times; returns the tries so far."""
    real, tries = Classifier.step, [0]

    def step(self: Classifier, epoch: int, index: int) -> Any:
        if (epoch, index) == (2, 1) and tries[0] < times:
            tries[0] += 1
            raise error
        return real(self, epoch, index)

    monkeypatch.setattr(Classifier, "step", step)
    return tries


def test_a_crash_is_retried_and_ends_the_same(
    outputs: Outputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = prepare(Outputs(tmp_path / "straight"))
    work([straight.path], task())
    break_step(monkeypatch, RuntimeError("boom"), times=2)
    run = prepare(outputs)
    assert work([run.path], task()) == [State.FINISHED]
    assert run.metrics_path.read_bytes() == straight.metrics_path.read_bytes()


def test_too_many_crashes_fail_with_a_reason_and_the_next_run_goes_on(
    outputs: Outputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = break_step(monkeypatch, RuntimeError("boom"), times=3)
    first, second = prepare(outputs), prepare(outputs, seed=1)
    assert work([first.path, second.path], task()) == [State.FAILED, State.FINISHED]
    assert first.status().reason == "RuntimeError: boom (3 times in a row; max_crashes is 2)"
    assert tries == [3]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "disk or quota is full"),
        (torch.cuda.OutOfMemoryError("x"), "GPU's memory is too small"),
        (ValueError("two\nlines"), "ValueError: two lines"),
    ],
)
def test_reasons_are_one_line(error: Exception, words: str) -> None:
    assert words in describe(error)
    assert "\n" not in describe(error)


def test_a_full_disk_fails_at_once(outputs: Outputs, monkeypatch: pytest.MonkeyPatch) -> None:
    break_step(monkeypatch, OSError(errno.ENOSPC, "No space left on device"), times=1)
    run = prepare(outputs)
    assert work([run.path], task()) == [State.FAILED]
    assert "disk or quota is full" in run.status().reason


def test_a_stop_leaves_a_checkpoint_and_the_next_turn_ends_the_same(
    outputs: Outputs, tmp_path: Path
) -> None:
    straight = prepare(Outputs(tmp_path / "straight"))
    work([straight.path], task())
    looks = iter([False] * 6 + [True] * 99)
    run = prepare(outputs)
    assert work([run.path], task(lambda: next(looks))) == [State.INTERRUPTED]
    assert run.checkpoint.exists()
    assert run.status().reason == "stopped by a signal"
    assert work([run.path], task()) == [State.FINISHED]
    assert run.metrics_path.read_bytes() == straight.metrics_path.read_bytes()
    first, second = (checkpoint.read_weights(r.weights) for r in (run, straight))
    assert all(torch.equal(first[name], second[name]) for name in second)


def test_code_that_changed_between_two_turns_starts_the_run_anew_and_both_are_named(
    outputs: Outputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = prepare(Outputs(tmp_path / "straight"))
    work([straight.path], task())
    run = prepare(outputs)
    looks = iter([False] * 6 + [True] * 99)
    for module in ("attempt", "provenance"):
        monkeypatch.setattr(f"hw5hpc.node.{module}.running_code", lambda own: "older")
    assert work([run.path], task(lambda: next(looks))) == [State.INTERRUPTED]
    for module in ("attempt", "provenance"):
        monkeypatch.setattr(f"hw5hpc.node.{module}.running_code", lambda own: "newer")
    assert work([run.path], task()) == [State.FINISHED]
    assert run.metrics_path.read_bytes() == straight.metrics_path.read_bytes()
    assert list(run.path.glob("checkpoint.unfit-*.pt"))
    record = run.provenance()
    assert [turn["code"] for turn in record["turns"]] == ["older", "newer"]
    assert record["code"] == "newer"
    assert record["turns"][0]["data_sha256"] == record["data_sha256"]


def test_data_that_changed_between_two_turns_start_the_run_anew(
    outputs: Outputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, real = prepare(outputs), Classifier.__init__

    def on_other_data(self: Classifier, *words: Any) -> None:
        real(self, *words)
        self.data_content = "b" * 64

    looks = iter([False] * 6 + [True] * 99)
    assert work([run.path], task(lambda: next(looks))) == [State.INTERRUPTED]
    monkeypatch.setattr(Classifier, "__init__", on_other_data)
    assert work([run.path], Task("test", stop=_second_look())) == [State.INTERRUPTED]
    assert run.metrics() == [], "nothing of the other data's rows is left"
    assert [turn["data_sha256"][:3] for turn in run.provenance()["turns"]][1] == "bbb"


def test_a_failed_run_waits_until_it_is_submitted_again(
    outputs: Outputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that comes back for its other runs must not spend hours on a failed one."""
    tries = break_step(monkeypatch, RuntimeError("boom"), times=99)
    run = prepare(outputs)
    assert work([run.path], task()) == [State.FAILED]
    before = tries[0]
    assert work([run.path], task()) == [State.FAILED]
    assert tries[0] == before
    run.set_status(run.status().to(State.QUEUED, crashes=0))
    work([run.path], task())
    assert tries[0] > before


KILLED = "its process was killed by SIGKILL; was it out of memory?"


def turn_after_a_death(run: RunFolder, epoch: int, **others: Any) -> State:
    """One turn of job 7 after a turn that died at work on this run in this epoch."""
    status = run.status().to(State.RUNNING, job="7", epoch=epoch)
    run.set_status(status)
    (state,) = work([run.path], Task("test", "7", killed=KILLED, **others))
    return state


def test_a_run_that_always_kills_its_process_ends_failed(
    outputs: Outputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = Task("test", "7", stop=lambda: True)
    run = prepare(outputs)
    for _ in range(2):
        assert turn_after_a_death(run, 1, stop=_second_look()) is State.INTERRUPTED
    assert turn_after_a_death(run, 1) is State.FAILED
    assert run.status().reason == f"{KILLED} (3 times in a row; max_crashes is 2)"
    assert work([run.path], stopped) == [State.FAILED]


def _second_look() -> Callable[[], bool]:
    looks = iter([False])
    return lambda: next(looks, True)


def test_only_the_run_that_was_at_work_is_blamed(outputs: Outputs) -> None:
    waiting, other, lost = prepare(outputs), prepare(outputs, seed=1), prepare(outputs, seed=2)
    waiting.set_status(Status().to(State.QUEUED))
    other.set_status(Status().to(State.RUNNING, job="8"))
    lost.set_status(Status().to(State.RUNNING, job="7"))
    work([lost.path], Task("test", "7"))
    work([waiting.path, other.path], Task("test", "7", killed=KILLED))
    assert [run.status().crashes for run in (waiting, other, lost)] == [0, 0, 0]


def test_a_worker_that_lost_its_claim_writes_nothing_more(
    outputs: Outputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = prepare(outputs)
    real = Classifier.step

    def step(self: Classifier, epoch: int, index: int) -> Any:
        if (epoch, index) == (2, 1):
            files.write_json(run.claim_path, {"token": "another", "host": "h", "pid": 1})
            run.set_status(Status(reason="the other's").to(State.RUNNING))
        return real(self, epoch, index)

    monkeypatch.setattr(Classifier, "step", step)
    assert work([run.path], task()) == [State.RUNNING]
    assert len(run.metrics()) == 1
    assert run.status().reason == "the other's"
    assert run.result() is None
    assert files.read_json(run.claim_path)["token"] == "another"


def test_trouble_after_the_result_does_not_undo_it(
    outputs: Outputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(run: RunFolder) -> None:
        raise RuntimeError("too late to matter")

    monkeypatch.setattr(checkpoint, "remove", refuse)
    run = prepare(outputs)
    assert work([run.path], task()) == [State.FINISHED]
    assert run.status().state is State.FINISHED


def lame_gpu(monkeypatch: pytest.MonkeyPatch) -> RuntimeError:
    """Let the GPU behave as after an illegal address: each call fails until the process ends."""
    error = torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    def refuse() -> None:
        raise error

    monkeypatch.setattr(torch.cuda, "empty_cache", refuse)
    return error


def test_a_gpu_that_answers_no_more_ends_the_process_and_only_its_run_is_blamed(
    outputs: Outputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = prepare(outputs), prepare(outputs, seed=1)
    for run in (first, second):
        run.set_status(Status(state=State.QUEUED))
    with monkeypatch.context() as patched:
        break_step(patched, lame_gpu(patched), times=1)
        with pytest.raises(DeviceBroken, match=f"run {first.id}: .*illegal memory access"):
            work([first.path, second.path], task())
    status = first.status()
    assert (status.state, status.crashes) == (State.INTERRUPTED, 1)
    assert (second.status().state, second.status().crashes) == (State.QUEUED, 0)
    assert not first.claim_path.exists()
    assert work([first.path, second.path], task()) == [State.FINISHED, State.FINISHED]


def test_a_run_that_always_breaks_its_gpu_fails_over_its_budget(
    outputs: Outputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = prepare(outputs)
    break_step(monkeypatch, lame_gpu(monkeypatch), times=9)
    for _ in range(3):
        with pytest.raises(DeviceBroken):
            work([run.path], task())
    assert run.status().state is State.FAILED
    assert "3 times in a row" in run.status().reason


def test_out_of_gpu_memory_is_tried_again_and_then_said(
    outputs: Outputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = break_step(monkeypatch, torch.cuda.OutOfMemoryError("CUDA out of memory"), times=9)
    first, second = prepare(outputs), prepare(outputs, seed=1)
    assert work([first.path], task()) == [State.FAILED]
    assert "lower train.batch_size" in first.status().reason
    assert tries == [3]
    monkeypatch.undo()
    assert work([second.path], task()) == [State.FINISHED]


def test_stops_are_counted_when_they_are_limited(outputs: Outputs) -> None:
    run = prepare(outputs)
    budget = Budget(stops=1)
    for expected in (State.INTERRUPTED, State.FAILED):
        stop = Task("test", stop=_second_look(), budget=budget)
        assert work([run.path], stop) == [expected]
    assert run.status().reason == "stopped by a signal 2 times; max_stops is 1"


def test_every_experiment_has_a_config_that_builds() -> None:
    for name in SCHEMAS:
        assert run_id(name, rebuild(name, {}))


def test_a_run_whose_node_died_a_moment_ago_is_taken_over(outputs: Outputs) -> None:
    """The plan sent it because its job is gone; the worker must not take that claim for alive."""
    run = prepare(outputs)
    record = {"token": "t", "host": "elsewhere", "pid": 1, "job": "7_0", "started": "1"}
    files.write_json(run.claim_path, record)
    assert work([run.path], Task("test", "8_0")) == [State.RUNNING]
    knows = Task("test", "8_0", gone=lambda job: job == "7_0")
    assert work([run.path], knows) == [State.FINISHED]


def test_what_a_killed_worker_left_in_a_finished_run_goes(outputs: Outputs) -> None:
    run = prepare(outputs)
    work([run.path], task())
    run.checkpoint.write_bytes(b"half")
    (run.path / "reserve").write_text("....")
    assert work([run.path], task()) == [State.FINISHED]
    names = {path.name for path in run.path.iterdir()}
    assert not names & {"checkpoint.pt", "reserve", "claim.json", "claim.lock"}
