"""The training loop: resuming is exact, stops come at steps, divergence is a result."""

import hashlib
import io
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from hw5hpc.engine import checkpoint
from hw5hpc.engine.loop import Evaluation, Watch, train
from hw5hpc.engine.random import generator, shuffle
from hw5hpc.store import Outputs, RunFolder, State

CPU = torch.device("cpu")


class Toy:
    """Noisy gradient descent on one vector, with global and named random streams."""

    seed, epochs, steps_per_epoch = 3, 4, 5
    looks: Collection[int] = (2, 4, 7)

    def __init__(self, diverge_at: int = -1) -> None:
        self.x = torch.ones(4, dtype=torch.float64)
        self.diverge_at = diverge_at

    def start(self) -> Evaluation:
        return Evaluation(arrays={"x": self.x.numpy()})

    def step(self, epoch: int, index: int) -> tuple[dict[str, Tensor], int]:
        noise = torch.randn(4, generator=generator("cpu", self.seed, "noise", epoch, index))
        self.x = 0.9 * self.x + noise + 0.1 * torch.randn(4) + float(np.random.rand())  # noqa: NPY002
        loss = self.x.square().mean()
        return {"loss": loss * float("nan") if epoch == self.diverge_at else loss}, 1 + index % 2

    def evaluate(self, epoch: int) -> Evaluation:
        return Evaluation({"norm": float(self.x.norm())}, {"x": self.x.numpy().copy()})

    def finish(self) -> Evaluation:
        return Evaluation({"final": float(self.x.sum())})

    def state(self) -> dict[str, Any]:
        return {"x": self.x}

    def load_state(self, state: dict[str, Any]) -> None:
        self.x = state["x"]

    def weights(self) -> dict[str, Tensor]:
        return {"x": self.x}


class StopAfter:
    """Ask for a stop after this many looks."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def __call__(self) -> bool:
        self.looks -= 1
        return self.looks < 0


def folder(path: Path) -> RunFolder:
    run = Outputs(path).run("toy")
    run.create("toy", {})
    return run


@pytest.fixture
def straight(tmp_path: Path) -> tuple[RunFolder, Toy]:
    toy, run = Toy(), folder(tmp_path / "straight")
    assert train(toy, run, CPU, Watch()).state is State.FINISHED
    return run, toy


@pytest.mark.parametrize("stops", [[0], [3], [5], [7, 1], [19], [2, 2, 2, 2]])
def test_a_stopped_run_ends_bit_identical(
    tmp_path: Path, straight: tuple[RunFolder, Toy], stops: list[int]
) -> None:
    run = folder(tmp_path / "stopped")
    for looks in stops:
        outcome = train(Toy(), run, CPU, Watch(stop=StopAfter(looks)))
        assert outcome.state is State.INTERRUPTED
    toy = Toy()
    assert train(toy, run, CPU, Watch()).state is State.FINISHED
    assert torch.equal(toy.x, straight[1].x)
    assert run.metrics_path.read_bytes() == straight[0].metrics_path.read_bytes()
    assert all(
        np.array_equal(run.arrays()["x"][epoch], array)
        for epoch, array in straight[0].arrays()["x"].items()
    )


class Killed(BaseException):
    """Stands for a kill -9: nothing of the loop may handle it."""


@pytest.mark.parametrize("step", [1, 4, 6, 11, 17])
def test_a_killed_run_goes_on_from_its_periodic_checkpoint(
    tmp_path: Path, straight: tuple[RunFolder, Toy], step: int
) -> None:
    run, seen = folder(tmp_path / "killed"), []

    def die(epoch: int, index: int, metrics: dict[str, float]) -> None:
        seen.append(index)
        if len(seen) == step:
            raise Killed

    with pytest.raises(Killed):
        train(Toy(), run, CPU, Watch(progress=die, checkpoint_seconds=0))
    # A crash may also leave rows beyond the checkpoint, and a torn one.
    run.add_metrics({"epoch": 99})
    with run.metrics_path.open("ab") as file:
        file.write(b'{"epoch": 1')
    toy = Toy()
    train(toy, run, CPU, Watch())
    assert torch.equal(toy.x, straight[1].x)
    assert run.metrics_path.read_bytes() == straight[0].metrics_path.read_bytes()


class Gan(Toy):
    """Names its loss as a GAN does."""

    name = "generator_loss"

    def step(self, epoch: int, index: int) -> tuple[dict[str, Tensor], int]:
        losses, size = super().step(epoch, index)
        return {self.name: losses["loss"]}, size


def test_a_run_stopped_before_its_loss_was_renamed_ends_as_if_it_never_had_another_name(
    tmp_path: Path,
) -> None:
    straight, stopped, before = folder(tmp_path / "straight"), folder(tmp_path / "stopped"), Gan()
    train(Gan(), straight, CPU, Watch())
    before.name = "loss_generator"
    train(before, stopped, CPU, Watch(stop=StopAfter(8)))
    assert "loss_generator" in stopped.metrics_path.read_text()
    assert train(Gan(), stopped, CPU, Watch()).state is State.FINISHED
    assert stopped.metrics() == straight.metrics()


def test_losses_are_means_weighted_by_batch(straight: tuple[RunFolder, Toy]) -> None:
    rows = straight[0].metrics()
    assert [row["epoch"] for row in rows] == [0, 0, 1, 1, 2, 3, 4]
    assert [row["step"] for row in rows] == [2, 4, 5, 7, 10, 15, 20]
    torch.manual_seed(0)
    toy, total, weight = Toy(), 0.0, 0
    # Reproduce the first row by hand with the same streams.
    from hw5hpc.engine.random import seed_everything

    seed_everything(toy.seed)
    for index in range(2):
        losses, size = toy.step(1, index)
        total, weight = total + float(losses["loss"]) * size, weight + size
    assert rows[0]["loss"] == pytest.approx(total / weight, rel=1e-12)


def test_divergence_is_a_result_with_its_epoch(tmp_path: Path) -> None:
    run = folder(tmp_path)
    outcome = train(Toy(diverge_at=2), run, CPU, Watch())
    assert outcome.state is State.DIVERGED
    assert outcome.reason == "loss loss became NaN in epoch 2"
    assert [row["step"] for row in run.metrics()] == [2, 4, 5, 7]


def test_within_an_epoch_only_numbers_are_kept(straight: tuple[RunFolder, Toy]) -> None:
    run, _ = straight
    assert all("norm" in row for row in run.metrics())
    assert sorted(run.arrays()["x"]) == [0, 1, 2, 3, 4]


def test_times_count_over_turns_and_leave_measuring_out(tmp_path: Path) -> None:
    class Slow(Toy):
        def evaluate(self, epoch: int) -> Evaluation:
            time.sleep(0.05)
            return super().evaluate(epoch)

    run = folder(tmp_path)
    train(Slow(), run, CPU, Watch(stop=StopAfter(9)))
    train(Slow(), run, CPU, Watch())
    rows = run.timing()
    assert [row["step"] for row in rows] == [2, 4, 5, 7, 10, 15, 20]
    for name in ("seconds", "train_seconds"):
        assert [row[name] for row in rows] == sorted(row[name] for row in rows)
    assert rows[-1]["seconds"] - rows[-1]["train_seconds"] >= 7 * 0.05


def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_used(tmp_path: Path) -> None:
    run = folder(tmp_path)
    checkpoint.save(run, {"n": 1})
    checkpoint.save(run, {"n": 2})
    content = bytearray(run.checkpoint.read_bytes())
    content[-20] ^= 1
    run.checkpoint.write_bytes(content)
    assert checkpoint.load(run, CPU) == {"n": 1}
    assert list(run.path.glob("checkpoint.damaged-*.pt"))


def test_a_gpu_that_fails_while_a_checkpoint_is_read_says_nothing_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = folder(tmp_path)
    checkpoint.save(run, {"n": 1})

    def broken(*_: object, **__: object) -> None:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "load", broken)
        with pytest.raises(torch.AcceleratorError):
            checkpoint.load(run, CPU)
    assert checkpoint.load(run, CPU) == {"n": 1}


@pytest.mark.parametrize("size", [0, 5, 60])
def test_cut_off_checkpoints_are_not_used(tmp_path: Path, size: int) -> None:
    run = folder(tmp_path)
    checkpoint.save(run, {"n": 1})
    run.checkpoint.write_bytes(run.checkpoint.read_bytes()[:size])
    assert checkpoint.load(run, CPU) is None


def test_a_save_that_fails_keeps_the_last_good_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = folder(tmp_path)
    checkpoint.save(run, {"n": 1})

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(run, {"n": 2})
    assert checkpoint.load(run, CPU) == {"n": 1}
    assert not list(run.path.glob(".checkpoint*"))


def test_a_checkpoint_that_torch_refuses_is_set_aside_too(tmp_path: Path) -> None:
    """Its checksum is right, but another version or another program wrote it."""
    run = folder(tmp_path)
    checkpoint.save(run, {"n": 1})
    checkpoint.save(run, {"n": 2})
    payload = b"PK: not torch's"
    digest = hashlib.sha256(payload).digest()
    run.checkpoint.write_bytes(checkpoint.MAGIC + digest + payload)
    assert checkpoint.load(run, CPU) == {"n": 1}
    assert list(run.path.glob("checkpoint.damaged-*.pt"))


def test_a_checkpoint_with_code_in_it_is_set_aside(tmp_path: Path) -> None:
    run = folder(tmp_path)
    checkpoint.save(run, {"path": Path("a class that weights_only does not know")})
    assert checkpoint.load(run, CPU) is None


ORIGIN = {"code": "0123456789ab", "data": "d1"}


@pytest.mark.parametrize("changed", [{"code": "other"}, {"data": "d2"}, {"classifier": "w"}])
def test_a_run_goes_on_only_with_the_code_data_and_weights_that_began_it(
    tmp_path: Path,
    straight: tuple[RunFolder, Toy],
    changed: dict[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    run, origin = folder(tmp_path / "run"), {**ORIGIN, **changed}
    for _ in range(2):
        train(Toy(), run, CPU, Watch(stop=StopAfter(7), origin=ORIGIN))
    run.add_array("of_the_other_version", 1, np.zeros(1))
    assert "made with" not in caplog.text, "the same origin goes on"
    toy = Toy()
    assert train(toy, run, CPU, Watch(origin=origin)).state is State.FINISHED
    assert f"made with other {next(iter(changed))} (" in caplog.text
    assert run.metrics_path.read_bytes() == straight[0].metrics_path.read_bytes()
    assert set(run.arrays()) == {"x"}
    assert len(list(run.path.glob("checkpoint*.unfit-*.pt"))) == 2


def test_a_checkpoint_that_names_no_origin_is_of_another(tmp_path: Path) -> None:
    run = folder(tmp_path)
    train(Toy(), run, CPU, Watch(stop=StopAfter(7)))
    outcome = train(Toy(), run, CPU, Watch(stop=StopAfter(0), origin=ORIGIN))
    assert outcome.state is State.INTERRUPTED
    assert run.metrics() == []


@pytest.mark.parametrize("state", [{}, {"epoch": 3, "model": {}}, {"training": {}}])
def test_a_checkpoint_of_another_layout_is_set_aside(
    tmp_path: Path, straight: tuple[RunFolder, Toy], state: dict[str, Any]
) -> None:
    run = folder(tmp_path / "run")
    checkpoint.save(run, state)
    assert train(Toy(), run, CPU, Watch()).state is State.FINISHED
    assert run.metrics_path.read_bytes() == straight[0].metrics_path.read_bytes()
    assert list(run.path.glob("checkpoint.unfit-*.pt"))


def test_a_state_that_does_not_fit_the_training_is_set_aside_for_the_next_attempt(
    tmp_path: Path, straight: tuple[RunFolder, Toy]
) -> None:
    run = folder(tmp_path / "run")
    train(Toy(), run, CPU, Watch(stop=StopAfter(7)))
    state = checkpoint.load(run, CPU)
    assert state is not None
    checkpoint.save(run, {**state, "training": {"y": torch.ones(2)}})
    run.previous_checkpoint.unlink()
    with pytest.raises(checkpoint.UnfitCheckpoint, match="does not fit this training: KeyError"):
        train(Toy(), run, CPU, Watch())
    assert train(Toy(), run, CPU, Watch()).state is State.FINISHED
    assert run.metrics_path.read_bytes() == straight[0].metrics_path.read_bytes()


def test_rows_that_vanished_after_a_checkpoint_start_the_run_anew(
    tmp_path: Path, straight: tuple[RunFolder, Toy]
) -> None:
    run = folder(tmp_path / "short")
    train(Toy(), run, CPU, Watch(stop=StopAfter(12)))
    run.metrics_path.write_bytes(run.metrics_path.read_bytes()[:10])
    toy = Toy()
    assert train(toy, run, CPU, Watch()).state is State.FINISHED
    assert run.metrics_path.read_bytes() == straight[0].metrics_path.read_bytes()
    assert torch.equal(toy.x, straight[1].x)


class BreaksAtTheEnd(Toy):
    """Its very last step breaks a weight, after the step's loss was measured."""

    value = float("nan")

    def step(self, epoch: int, index: int) -> tuple[dict[str, Tensor], int]:
        found = super().step(epoch, index)
        if (epoch, index) == (self.epochs, self.steps_per_epoch - 1):
            self.x[1] = self.value
        return found


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_the_last_step_broke_are_divergence(tmp_path: Path, value: float) -> None:
    run, toy = folder(tmp_path), BreaksAtTheEnd()
    toy.value = value
    outcome = train(toy, run, CPU, Watch())
    assert outcome.state is State.DIVERGED
    assert outcome.reason == "weight x became NaN or infinite in epoch 4"
    assert run.metrics()[-1]["step"] == 20


@pytest.mark.parametrize("any_number", [False, True])
def test_a_measure_that_is_no_number_is_divergence_unless_it_is_the_question(
    tmp_path: Path, any_number: bool
) -> None:
    class Measures(Toy):
        def evaluate(self, epoch: int) -> Evaluation:
            found = float("nan") if epoch == 3 else 1.0
            return Evaluation({"test_loss": found}, any_number=any_number)

    outcome = train(Measures(), folder(tmp_path), CPU, Watch())
    assert outcome.state is (State.FINISHED if any_number else State.DIVERGED)
    if not any_number:
        assert outcome.reason == "measure test_loss became NaN in epoch 3"


def test_nothing_is_written_once_the_run_is_another_workers(tmp_path: Path) -> None:
    run = folder(tmp_path)
    writes = []

    class Lost(Exception):
        pass

    def before_write() -> None:
        writes.append(len(run.metrics()))
        if len(writes) == 3:
            raise Lost

    with pytest.raises(Lost):
        train(Toy(), run, CPU, Watch(before_write=before_write))
    assert writes == [0, 1, 2]
    assert len(run.metrics()) == 2


def test_checkpoints_hold_no_code(tmp_path: Path) -> None:
    run = folder(tmp_path)
    train(Toy(), run, CPU, Watch(stop=StopAfter(7)))
    payload = checkpoint._payload(run.checkpoint)
    assert torch.load(io.BytesIO(payload), weights_only=True)["position"]["epoch"] == 1


def test_shuffles_depend_on_seed_and_epoch_alone() -> None:
    assert torch.equal(shuffle(100, 1, 2), shuffle(100, 1, 2))
    assert not torch.equal(shuffle(100, 1, 2), shuffle(100, 1, 3))
    assert not torch.equal(shuffle(100, 1, 2), shuffle(100, 2, 2))
