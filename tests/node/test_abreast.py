"""Runs side by side, in real processes: each ends as it would alone, whatever befalls others."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from hw5hpc.data import read
from hw5hpc.data.load import convert, load
from hw5hpc.data.sets import DataError
from hw5hpc.engine import checkpoint
from hw5hpc.experiments import rebuild
from hw5hpc.node import gpu_faults
from hw5hpc.node.abreast import Abreast
from hw5hpc.node.entry import Entry, in_order
from hw5hpc.node.fork_server import ForkServer, ServerBroken
from hw5hpc.node.pack import Packing, train_pack
from hw5hpc.node.task import Task
from hw5hpc.store import Outputs, RunFolder, State, Status
from hw5hpc.sweep import run_id
from hw5hpc.sweep.point import flatten

WAIT_SECONDS = 120.0


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        with ForkServer() as made:
            yield made


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("alone")


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    return Outputs(tmp_path)


def prepare(outputs: Outputs, experiment: str = "cnn", own: Path | None = None, **changes: Any
            ) -> RunFolder:  # fmt: skip
    small = {"data.name": "synthetic", "data.limit": 64, "train.batch_size": 16}
    values = ({} if own else small | {"train.epochs": 2}) | changes
    config = rebuild(experiment, values, own)
    run = outputs.run(run_id(experiment, config))
    run.create(experiment, flatten(config))
    return run


def train(
    server: ForkServer, runs: Sequence[RunFolder], abreast: int = 9, threads: int = 1, **task: Any
) -> list[State]:
    entries = [Entry(run.path, threads=threads) for run in runs]
    return Abreast(entries, Task("test", **task), abreast).train(server)


def as_alone(server: ForkServer, run: RunFolder, folder: Path, threads: int = 1) -> bool:
    """Whether a run has the bytes of the same run trained alone, which `folder` keeps."""
    other = Outputs(folder / f"{threads} threads").run(run.id)
    if not other.path.exists():
        other.create(*run.config())
        assert train(server, [other], 1, threads) == [State.FINISHED]
    weights = [checkpoint.read_weights(one.weights) for one in (run, other)]
    same = all(torch.equal(weights[0][name], weights[1][name]) for name in weights[1])
    return same and run.metrics_path.read_bytes() == other.metrics_path.read_bytes()


def during(server: ForkServer, runs: Sequence[RunFolder], act: Callable[[], None], **task: Any
           ) -> list[State]:  # fmt: skip
    """Train the runs, and act once all of them are at work and have a checkpoint."""
    actor = threading.Thread(target=lambda: (wait_for_work(runs), act()))
    actor.start()
    states = train(server, runs, **task)
    actor.join()
    return states


def wait_for_work(runs: Sequence[RunFolder]) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not all(run.status().epoch and run.checkpoint.exists() for run in runs):
        assert time.monotonic() < end
        time.sleep(0.01)


LONG: dict[str, Any] = {"train.epochs": 12, "train.checkpoint_minutes": 0}


@pytest.mark.parametrize("threads", [1, 2])
def test_a_run_ends_with_the_same_bytes_as_alone(
    server: ForkServer, outputs: Outputs, alone: Path, threads: int
) -> None:
    runs = [prepare(outputs, seed=seed) for seed in range(3)]
    assert train(server, runs, threads=threads) == [State.FINISHED] * 3
    assert all(as_alone(server, run, alone, threads) for run in runs)
    assert {run.provenance()["threads"] for run in runs} == {threads}
    assert len({run.status().pid for run in runs} | {os.getpid()}) == 4


def test_a_killed_process_is_replaced_and_the_others_go_on(
    server: ForkServer, outputs: Outputs, alone: Path
) -> None:
    runs = [prepare(outputs, seed=seed, **LONG) for seed in range(3)]
    pids: list[int] = []

    def kill() -> None:
        pids.extend(run.status().pid for run in runs)
        os.kill(pids[1], signal.SIGKILL)

    assert during(server, runs, kill) == [State.FINISHED] * 3
    assert [run.status().crashes for run in runs] == [0, 1, 0]
    assert [run.status().pid == pid for run, pid in zip(runs, pids, strict=True)] == [
        True, False, True
    ]  # fmt: skip
    assert all(as_alone(server, run, alone) for run in runs)


def test_a_stop_leaves_a_checkpoint_of_each_and_all_go_on_with_the_same_bytes(
    server: ForkServer, outputs: Outputs, alone: Path
) -> None:
    runs, stop = [prepare(outputs, seed=seed, **LONG) for seed in range(2)], threading.Event()
    waiting = prepare(outputs, seed=2, **LONG)
    entries = [Entry(run.path) for run in (*runs, waiting)]
    actor = threading.Thread(target=lambda: (wait_for_work(runs), stop.set()))
    actor.start()
    states = Abreast(entries, Task("test", stop=stop.is_set), 2).train(server)
    actor.join()
    assert states == [State.INTERRUPTED, State.INTERRUPTED, State.NEW]
    assert all(run.checkpoint.exists() and not run.claim_path.exists() for run in runs)
    assert [run.status().stops for run in runs] == [1, 1]
    assert train(server, [*runs, waiting]) == [State.FINISHED] * 3
    assert all(as_alone(server, run, alone) for run in (*runs, waiting))


def test_a_stop_that_reaches_one_process_alone_ends_no_run(
    server: ForkServer, outputs: Outputs, alone: Path
) -> None:
    runs = [prepare(outputs, seed=seed, **LONG) for seed in range(2)]
    states = during(server, runs, lambda: os.kill(runs[0].status().pid, signal.SIGTERM))
    assert states == [State.FINISHED] * 2
    assert [run.status().stops for run in runs] == [1, 0]
    assert as_alone(server, runs[0], alone)


def test_all_go_on_when_the_process_dies_that_they_were_forked_from(
    outputs: Outputs, alone: Path
) -> None:
    runs = [prepare(outputs, seed=seed, **LONG) for seed in range(2)]
    with ForkServer() as server:
        states = during(server, runs, lambda: os.kill(server.pid, signal.SIGKILL))
        assert states == [State.FINISHED] * 2
        assert all(as_alone(server, run, alone) for run in runs)


def test_a_server_that_cannot_begin_is_not_started_again_and_again(
    outputs: Outputs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import os; os._exit(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    run = prepare(outputs)
    with ForkServer() as broken, pytest.raises(ServerBroken):
        train(broken, [run])


FAULTY = """
import os, signal
from dataclasses import dataclass
from pathlib import Path

import torch
from hw5hpc.experiments.softmax.config import SoftmaxConfig
from hw5hpc.experiments.softmax.train import SoftmaxShift

HERE = Path(__file__).parent
if (HERE / "exits").exists() and "hw5hpc.node.child" in __import__("sys").modules:
    os._exit(3)

@dataclass(frozen=True)
class Config(SoftmaxConfig):
    pass

def refuse():
    raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

class Training(SoftmaxShift):
    def step(self, epoch, index):
        if self.seed == 1 and (HERE / "dies").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        if self.seed == 1 and (HERE / "breaks").exists():
            (HERE / "breaks").unlink()
            torch.cuda.empty_cache = refuse
            refuse()
        if epoch == 1 and (HERE / "breaks all").exists():
            refuse()
        return super().step(epoch, index)
"""


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    file = tmp_path / "faulty.py"
    file.write_text(FAULTY)
    return file


def test_a_run_that_always_kills_its_process_fails_over_its_budget(
    server: ForkServer, outputs: Outputs, faulty: Path
) -> None:
    faulty.with_name("dies").touch()
    runs = [prepare(outputs, "faulty.py", faulty, seed=seed) for seed in range(3)]
    states = train(server, runs, own=faulty)
    assert states == [State.FINISHED, State.FAILED, State.FINISHED]
    killed = "its process was killed by SIGKILL; was it out of memory?"
    assert runs[1].status().reason == f"{killed} (3 times in a row; max_crashes is 2)"


def test_a_gpu_that_answers_no_more_costs_one_process_and_one_crash(
    server: ForkServer, outputs: Outputs, faulty: Path
) -> None:
    faulty.with_name("breaks").touch()
    runs = [prepare(outputs, "faulty.py", faulty, seed=seed) for seed in range(3)]
    assert train(server, runs, own=faulty) == [State.FINISHED] * 3
    assert [run.status().crashes for run in runs] == [0, 1, 0]


def test_a_gpu_error_that_mps_hands_to_all_counts_for_none_and_mps_is_left(
    server: ForkServer, outputs: Outputs, faulty: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runs = [prepare(outputs, "faulty.py", faulty, seed=seed) for seed in range(3)]
    late = prepare(outputs, "faulty.py", faulty, seed=3)
    everywhere, told = faulty.with_name("breaks all"), list[int]()
    everywhere.touch()

    def leave(abreast: int) -> int:
        everywhere.unlink()
        told.append(abreast)
        assert all(run.status().pid for run in runs)
        assert not any(Path(f"/proc/{run.status().pid}").exists() for run in runs)
        return 1

    entries = [Entry(run.path) for run in (*runs, late)]
    states = Abreast(entries, Task("test", own=faulty), 3, leave).train(server)
    assert states == [State.FINISHED] * 4
    assert told == [3]
    assert [run.status().crashes for run in (*runs, late)] == [0] * 4
    assert "NVIDIA MPS is left: it ended several runs for one GPU error" in caplog.text


def test_a_gpu_error_that_comes_to_one_run_alone_under_mps_is_its_own(
    server: ForkServer, outputs: Outputs, faulty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_faults, "HEARSAY_SECONDS", 0.1)
    faulty.with_name("breaks").touch()
    runs = [prepare(outputs, "faulty.py", faulty, seed=1), prepare(outputs, **LONG)]
    entries = [Entry(run.path) for run in runs]
    states = Abreast(entries, Task("test", own=faulty), 2, lambda abreast: 0).train(server)
    assert states == [State.FINISHED] * 2
    assert [run.status().crashes for run in runs] == [1, 0]


def test_a_process_that_dies_before_it_begins_does_not_come_back_for_ever(
    server: ForkServer, outputs: Outputs, faulty: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runs = [prepare(outputs, "faulty.py", faulty, seed=0), prepare(outputs)]
    faulty.with_name("exits").touch()
    assert train(server, runs, own=faulty) == [State.NEW, State.FINISHED]
    assert f"run {runs[0].id} is left: its process ended with status 3" in caplog.text


def test_what_others_need_begins_first_and_then_the_longest(outputs: Outputs) -> None:
    def entry(name: str, cost: float, needs: str = "") -> Entry:
        return Entry(outputs.run(name).path, frozenset(needs), cost)

    entries = [entry("a", 1), entry("b", 9), entry("c", 5), entry("d", 2, "c"), entry("e", 3)]
    assert "".join(one.id for one in in_order(entries)) == "cbeda"


def test_the_cost_of_a_run_grows_with_its_epochs_and_unrolled_steps() -> None:
    costs = [
        rebuild(name, {"train.epochs": 3, "gan.unroll_steps": steps}).cost
        for name in ("gan", "ring")
        for steps in (0, 5)
    ]
    assert costs == [3, 18, 3, 18]
    assert rebuild("cnn", {"train.epochs": 3}).cost == 3


def test_a_run_waits_for_what_it_needs_alone(server: ForkServer, outputs: Outputs) -> None:
    """Of two prerequisites the longer one is at work while the other's dependant already ends."""
    scores = [{"score.samples": 50, "score.classifier_epochs": epochs} for epochs in (12, 1)]
    slow, quick = [prepare(outputs, "gan", **score, **{"train.epochs": 1}) for score in scores]
    entries = []
    for run in (slow, quick):
        ((name, needed),) = rebuild("gan", run.config()[1]).prerequisites().values()
        classifier = outputs.run(run_id(name, needed))
        classifier.create(name, flatten(needed))
        cost = needed.train.epochs  # type: ignore[attr-defined]
        entries += [
            Entry(classifier.path, cost=cost),
            Entry(run.path, frozenset({classifier.id}), 99999),
        ]
    ended: list[str] = []

    def tell(run: str, status: Status) -> None:
        ended.extend([run] if status.state is State.FINISHED else [])

    states = Abreast(entries, Task("test", tell=tell), 2).train(server)
    assert states == [State.FINISHED] * 4
    assert ended == [entries[2].id, quick.id, entries[0].id, slow.id]


def test_a_run_goes_on_with_the_threads_that_it_began_with(
    server: ForkServer, outputs: Outputs, alone: Path
) -> None:
    run, stop = prepare(outputs, **LONG), threading.Event()
    states = during(server, [run], stop.set, stop=stop.is_set, threads=2)
    assert states == [State.INTERRUPTED]
    if len(os.sched_getaffinity(0)) == 1:
        pytest.skip("needs two CPUs")
    assert train(server, [run], threads=1) == [State.FINISHED]
    assert run.provenance()["threads"] == 2
    assert as_alone(server, run, alone, threads=2)


def test_what_is_kept_is_read_once_and_never_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "_kept", {})
    read.keep("synthetic", None)
    first, second = load("synthetic", None, None), load("synthetic", None, None)
    images = convert(second.train_images, tuple(second.train_images.shape[1:]))
    assert images.data_ptr() == first.train_images.data_ptr()


def test_the_server_says_what_is_in_the_data_that_it_keeps_or_why_not(
    server: ForkServer, tmp_path: Path
) -> None:
    assert server.keep("synthetic", None) == read.read("synthetic", None).content
    with pytest.raises(DataError, match="fashion_mnist"):
        server.keep("fashion_mnist", str(tmp_path))


@pytest.mark.parametrize("experiment", ["cnn", "classifier", "gan", "ring", "softmax"])
def test_an_entry_says_what_a_run_reads_and_waits_for(experiment: str, tmp_path: Path) -> None:
    entry = Entry.of(tmp_path, rebuild(experiment, {}), 2)
    assert entry.threads == 2
    assert bool(entry.data) == (experiment in ("cnn", "classifier", "gan"))
    assert bool(entry.needs) == (experiment == "gan")


def test_the_runs_of_a_task_train_side_by_side(
    outputs: Outputs, capfd: pytest.CaptureFixture[str]
) -> None:
    runs = [prepare(outputs, seed=seed) for seed in range(3)]
    states = train_pack([run.path for run in runs], Task("test", "7_0"), Packing(3, 2))
    assert states == [State.FINISHED] * 3
    assert "3 runs, 2 at a time, CPU threads each: 1" in capfd.readouterr().out
    assert {run.status().job for run in runs} == {"7_0"}
    result = runs[0].result()
    assert result is not None
    assert 0.1 < result["memory_gb"] < 8
