"""One, two and three processes give one answer: some steps of every experiment, and the loop."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from hw5hpc.engine.distributed import Ranks
from hw5hpc.store import Outputs

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("steps_over_ranks.py")
EXACT = (
    "classifier", "cnn", "cnn_batch_norm_slow",
    "gan_0", "gan_1_calm", "gan_5_calm", "ring_0", "ring_1", "ring_5", "ring_batch_of_2",
    "gan_saddle_0_calm", "gan_saddle_1_calm", "gan_saddle_5_calm",
    "ring_saddle_0", "ring_saddle_1", "ring_saddle_5",
)  # fmt: skip
# In single precision these drift: by Adam where a gradient is zero but for rounding, by a ReLU that
# flips. A convolution's bias before batch norm is rounding alone, in double precision too.
DOUBLE = (*EXACT, "cnn_batch_norm_calm", "cnn_norm_after_relu", "gan_1", "gan_5")
CASES = (*DOUBLE, "cnn_batch_norm")
DRIFTING = ("cnn_batch_norm-float64", "cnn_batch_norm-float32", "gan_1-float32", "gan_5-float32")
SIZES = (1, 2, 3)
LOOPED = ("classifier", "cnn", "cnn_batch_norm", "gan_1")
MOVED = "cnn_batch_norm"


def launch(size: int, folder: Path, *jobs: str) -> None:
    """Run the script once a rank; every process must end well."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), str(rank), str(size), str(folder), *jobs],
            env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for rank in range(size)
    ]  # fmt: skip
    said = [process.communicate(timeout=500)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * size, "\n".join(said)


Found = dict[tuple[int, int], dict[str, Any]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What all the processes saved; a run that was stopped goes on in other processes."""
    made = tmp_path_factory.mktemp("ranks")
    straight = [f"end:{case}:straight" for case in LOOPED]
    stopped = [f"stop:{case}:stopped" for case in LOOPED]
    launch(3, made, "steps", *straight, *stopped, f"stop:{MOVED}:moved")
    launch(1, made, "steps", f"end:{MOVED}:alone")
    launch(2, made, "steps", f"end:{MOVED}:moved")
    launch(3, made, *[f"end:{case}:stopped" for case in LOOPED])
    return made


@pytest.fixture(scope="module")
def found(folder: Path) -> Found:
    """{(size, rank): {case: what it saved}}."""
    return {
        (size, rank): torch.load(folder / f"of_{size}.{rank}.pt", weights_only=False)
        for size in SIZES
        for rank in range(size)
    }


def leaves(tree: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every number and array in nested dicts and lists, as float64 with its dotted name."""
    if isinstance(tree, dict | list | tuple):
        items = tree.items() if isinstance(tree, dict) else enumerate(tree)
        for key, value in items:
            yield from leaves(value, f"{name}.{key}")
    elif tree is not None:
        yield name, torch.as_tensor(tree).double().flatten()


def parameters(state: dict[str, Any]) -> dict[str, Tensor]:
    """Return {network: all its parameters and running statistics as one vector}."""
    if "net" in state:
        return {"net": torch.cat([value for _, value in leaves(state["net"])])}
    return {name: state[name].double() for name in ("generator", "discriminator")}


def difference(one: dict[str, Any], other: dict[str, Any]) -> float:
    """The largest relative difference of the two states' networks, in the 2-norm."""
    pairs = zip(parameters(one).values(), parameters(other).values(), strict=True)
    return max(float((a - b).norm() / b.norm()) for a, b in pairs)


@pytest.mark.parametrize("size", SIZES[1:])
@pytest.mark.parametrize("case", DOUBLE)
def test_parameters_agree_in_double_precision(found: Found, case: str, size: int) -> None:
    many, one = (found[n, 0][f"{case}-float64"] for n in (size, 1))
    assert difference(many["state"], one["state"]) < 1e-10


@pytest.mark.parametrize("size", SIZES[1:])
@pytest.mark.parametrize("case", EXACT)
def test_parameters_agree_in_single_precision(found: Found, case: str, size: int) -> None:
    many, one = (found[n, 0][f"{case}-float32"] for n in (size, 1))
    assert difference(many["state"], one["state"]) < 1e-5


@pytest.mark.parametrize("size", SIZES[1:])
@pytest.mark.parametrize("case", DRIFTING)
def test_ranks_drift_no_further_than_the_order_of_a_batch(
    found: Found, case: str, size: int
) -> None:
    """At the usual settings; one process that adds up its batches backwards drifts as far."""
    one = found[1, 0][case]["state"]
    drift = difference(found[1, 0][f"backwards-{case}"]["state"], one)
    assert difference(found[size, 0][case]["state"], one) < 10 * drift


@pytest.mark.parametrize("size", SIZES[1:])
@pytest.mark.parametrize("case", CASES)
def test_losses_and_measures_agree(found: Found, case: str, size: int) -> None:
    """Counts, histograms and confusions exactly, the rest to rounding."""
    many, one = (found[n, 0][f"{case}-float64"] for n in (size, 1))
    for part in ("losses", "measured"):
        mine, theirs = dict(leaves(many[part])), dict(leaves(one[part]))
        assert mine.keys() == theirs.keys()
        for name, value in mine.items():
            if any(word in name for word in ("histogram", "confusion", "covered", "accuracy")):
                assert torch.equal(value, theirs[name]), name
            else:
                # A convolution's bias before batch norm is rounding alone; no measure holds it.
                assert torch.allclose(value, theirs[name], rtol=1e-9, atol=1e-9), name


@pytest.mark.parametrize("size", SIZES[1:])
@pytest.mark.parametrize("case", [f"{c}-float{bits}" for c in CASES for bits in (32, 64)])
def test_all_ranks_hold_the_same_bits(found: Found, case: str, size: int) -> None:
    first = dict(leaves(found[size, 0][case]))
    for rank in range(1, size):
        other = dict(leaves(found[size, rank][case]))
        assert first.keys() == other.keys()
        assert all(torch.equal(first[name], other[name]) for name in first)


WAYS = ("values_only", "constant", "local_lookahead")


@pytest.mark.parametrize("size", SIZES[1:])
@pytest.mark.parametrize("case", ["ring_1", "ring_5"])
@pytest.mark.parametrize("way", WAYS)
def test_shortcuts_through_the_lookahead_fail(found: Found, way: str, case: str, size: int) -> None:
    """Summing only the outer gradient, or values without their derivative, is another gradient."""
    wrong, one = found[size, 0][f"{way}-{case}"], found[1, 0][f"{case}-float64"]["state"]
    assert difference(wrong, one) > 1e-4


@pytest.mark.parametrize("case", ["gan_0", "gan_5", "ring_0", "ring_1", "ring_5"])
@pytest.mark.parametrize("size", SIZES[1:])
def test_what_a_gan_step_communicates(found: Found, case: str, size: int) -> None:
    """As docs/distributed.md says: max(K, 1) + K times the discriminator, once the generator."""
    step, steps = found[size, 0][f"{case}-float32"], int(case[-1])
    generator, discriminator = (4 * len(step["state"][n]) for n in ("generator", "discriminator"))
    assert step["sent"] == [discriminator] * (max(steps, 1) + steps) + [generator]


def test_one_process_communicates_nothing(found: Found) -> None:
    assert all(found[1, 0][f"{case}-float64"]["sent"] == [] for case in CASES)


@pytest.fixture(scope="module")
def runs(folder: Path) -> tuple[Path, Path]:
    """A run straight through on one process, and one stopped on three and ended on two."""
    return folder / "alone" / MOVED, folder / "moved" / MOVED


def test_a_run_stopped_on_three_ranks_goes_on_on_two(runs: tuple[Path, Path]) -> None:
    """All stopped at one step though only the last was asked to; the rows are those of one."""
    straight, moved = (Outputs(folder).run("run") for folder in runs)
    assert len(list(runs[1].glob("interrupted_on_3.*.pt"))) == 3
    rows, expected = moved.metrics(), straight.metrics()
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    for row, other in zip(rows, expected, strict=True):
        assert row == pytest.approx(other, rel=1e-9)
    one, two = (torch.load(f / f"finished_on_{n}.0.pt") for f, n in zip(runs, (1, 2), strict=True))
    assert difference({"net": two}, {"net": one}) < 1e-10


@pytest.mark.parametrize("case", LOOPED)
def test_a_run_on_three_ranks_resumes_bit_identically(folder: Path, case: str) -> None:
    both = [folder / name / case for name in ("straight", "stopped")]
    assert (both[1] / "interrupted_on_3.2.pt").exists()
    rows = [Outputs(place).run("run").metrics_path.read_bytes() for place in both]
    assert rows[0] == rows[1]
    ends = [torch.load(place / "finished_on_3.0.pt") for place in both]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_a_checkpoint_does_not_know_how_many_wrote_it(runs: tuple[Path, Path]) -> None:
    saved = torch.load(runs[1] / "interrupted_on_3.0.pt")
    assert saved.keys() == torch.load(runs[0] / "finished_on_1.0.pt").keys()
    arrays = [Outputs(folder).run("run").arrays()["confusion"][4] for folder in runs]
    assert np.array_equal(*arrays)


@pytest.mark.parametrize("total", [0, 1, 2, 3, 7, 128])
@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_shares_are_contiguous_and_as_even_as_can_be(total: int, size: int) -> None:
    shares = [Ranks(rank, size).share(total) for rank in range(size)]
    numbers = [number for share in shares for number in range(total)[share.part]]
    assert numbers == list(range(total))
    assert max(s.count for s in shares) - min(s.count for s in shares) <= 1
