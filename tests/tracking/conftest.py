"""What the tests of the mirror share: the stand-in server, and runs written as a worker does."""

import contextlib
import gc
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import wandb

sys.path.insert(0, str(Path(__file__).parent))

from wandb_server import WandbServer

from hw5hpc.store import Outputs, RunFolder, State, SweepFolder

KEY = "0123456789abcdef0123456789abcdef01234567"
ROOT = Path(__file__).resolve().parents[2]
SWEEP, EPOCHS = "depths", 4
Write = Callable[..., RunFolder]


STILL_RUNNING = "ignore:subprocess .* is still running:ResourceWarning"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """W&B lets go of its process without waiting for its end."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings(STILL_RUNNING))


def forget_wandb() -> None:
    """End W&B's process, and let nothing of it warn in another test."""
    wandb.teardown()
    gc.collect()


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture(scope="session")
def one_server() -> Iterator[WandbServer]:
    """One for all: wandb keeps its first address for the life of the process."""
    with WandbServer() as server:
        yield server
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            forget_wandb()


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Nothing of W&B's in the environment; gives the home folder."""
    for name in [name for name in os.environ if name.startswith("WANDB_") or name == "NETRC"]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.chdir(tmp_path)
    return home


@pytest.fixture
def server(
    one_server: WandbServer, clean: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[WandbServer]:
    """The stand-in, with a key for it; every test finds it empty."""
    monkeypatch.setenv("WANDB_BASE_URL", one_server.url)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    one_server.forget()
    yield one_server
    one_server.refusing = False
    one_server.uploads.set()


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    return Outputs(tmp_path / "out")


@pytest.fixture
def sweep(outputs: Outputs) -> SweepFolder:
    """A sweep of two runs that was submitted."""
    folder = outputs.sweep(SWEEP)
    runs = {"aaaaaaaaaaaa": 0, "bbbbbbbbbbbb": 5}
    points = [{"run": run, "gan.unroll_steps": k, "seed": 0} for run, k in runs.items()]
    record = {"name": SWEEP, "experiment": "ring", "swept": ["gan.unroll_steps", "seed"]}
    folder.save(
        {**record, "runs": list(runs), "wandb": {"tags": ["homework"], "chosen": "online (a key)"}},
        points,
    )
    return folder


@pytest.fixture
def write(outputs: Outputs, sweep: SweepFolder) -> Write:
    """Writes a run as its worker does: up to an epoch, or to its end."""

    def up_to(epoch: int, run_id: str = "bbbbbbbbbbbb", end: bool = False) -> RunFolder:
        run = outputs.run(run_id)
        depth = 5 if run_id.startswith("b") else 0
        run.create("ring", {"seed": 0, "gan.unroll_steps": depth, "train.epochs": EPOCHS})
        status = run.status()
        if status.state is not State.RUNNING:
            run.set_provenance({"commit": "c0ffee", "job": "17_3", "device": "CPU"})
        status = status.to(State.RUNNING, epoch=epoch, epochs=EPOCHS)
        run.set_status(status)
        done = len(run.metrics())
        for now in range(done + 1, epoch + 1):
            add_epoch(run, now)
        if end:
            metrics = {"modes_covered": 8.0}
            run.add_array("confusion", EPOCHS, np.eye(3, dtype=np.int64))
            run.set_result({"state": "finished", "reason": "", "metrics": metrics})
            run.set_status(status.to(State.FINISHED, metrics=metrics))
        return run

    return up_to


def add_epoch(run: RunFolder, epoch: int, loss: float | None = None) -> None:
    """Write one epoch's row, picture and timing as the loop does."""
    values = {"generator_loss": 1 / epoch if loss is None else loss}
    picture = np.full((4, 8, 8), 10 * epoch, np.uint8)
    run.add_array("samples", epoch, picture)
    run.add_metrics({"epoch": epoch, "step": 100 * epoch, **values})
    run.add_timing({"epoch": epoch, "step": 100 * epoch, "seconds": 2.5 * epoch, "step_ms": 25.0})


def children(parent: int) -> dict[int, str]:
    """The processes that a process has started: their ids and names."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, rest = path.read_text().rsplit(")", 1)
        except OSError:
            continue
        if int(rest.split()[1]) == parent:
            found[int(path.parent.name)] = name.split("(", 1)[1]
    return found


def kill_all(process: int, number: int) -> None:
    """Send a signal to a process and all below it, as Slurm does; W&B's own is in no group."""
    below = children(process)
    os.kill(process, number)
    for child in below:
        with contextlib.suppress(ProcessLookupError):
            kill_all(child, number)
