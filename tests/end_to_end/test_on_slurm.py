"""The whole way on a real Slurm: arrays, prerequisites, the report job, and what may go wrong."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slurm

SWEEP = """
experiment: gan
config: {data.name: synthetic, data.limit: 256, train.epochs: 2, score.classifier_epochs: 1}
grid:
  gan.unroll_steps: [0, 1]
  seed: [0, 1]
cluster: {time: "00:10:00"}
report: [samples]
"""


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(SWEEP)
    return path


@pytest.fixture(autouse=True)
def cluster(dev_cluster: Path) -> Iterator[None]:
    yield
    subprocess.run(["scancel", *(training_jobs() or ["0"])], capture_output=True)


def submit(
    sweep: Path, *words: str, root: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "jobs" / "submit.py"), str(sweep), *words]
    out = ["--cluster", "dev", "--name", sweep.stem, "--out", str(sweep.parent / "out")]
    env = {**os.environ, "WANDB_MODE": "disabled", **environment}
    return subprocess.run([*command, *out], env=env, capture_output=True, text=True, timeout=400)


def queue() -> list[str]:
    shown = subprocess.run(
        ["squeue", "--me", "-h", "-r", "-o", "%j"], capture_output=True, text=True
    )
    return [name for name in shown.stdout.split() if name.startswith("hw5hpc.tiny")]


def training_jobs() -> list[str]:
    """Return the ids of what trains; each submission adds a word of its own to the name."""
    # Of an array that waits, %i gives a range, which scancel refuses together with all others.
    shown = subprocess.run(["squeue", "--me", "-h", "-o", "%F %j"], capture_output=True, text=True)
    rows = [line.split() for line in shown.stdout.splitlines()]
    return [job for job, name in rows if re.fullmatch(r"hw5hpc\.tiny\.[0-9a-f]{8}", name)]


def states(sweep: Path) -> list[str]:
    files = (sweep.parent / "out" / "runs").glob("*/status.json")
    return sorted(json.loads(path.read_text())["state"] for path in files)


def wait_until(condition: object, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.3)


def test_a_sweep_ends_in_a_report_and_is_not_sent_twice(sweep: Path) -> None:
    done = submit(sweep, "--wait")
    assert done.returncode == 0, done.stdout + done.stderr
    folder = sweep.parent / "out" / "sweeps" / "tiny"
    lines = (folder / "report" / "results.csv").read_text().splitlines()
    rows = list(csv.DictReader(lines))
    assert [row["state"] for row in rows] == ["finished"] * 4
    assert (folder / "report" / "samples.png").exists()
    jobs = json.loads((folder / "submissions.jsonl").read_text())
    assert len({job.split("_")[0] for job in jobs["rest"]}) == 1, "one array for one shape"
    again = submit(sweep, "--wait")
    assert again.returncode == 0
    assert "nothing to submit: all points are finished" in again.stdout
    assert len((folder / "submissions.jsonl").read_text().splitlines()) == 1
    # Another sweep of points that are all finished has its own report at once.
    other = sweep.rename(sweep.with_name("tiny_too.yaml"))
    other.write_text(SWEEP.replace("[0, 1]", "[0]"))
    assert submit(other, "--wait").returncode == 0
    lines = (folder.with_name("tiny_too") / "report" / "results.csv").read_text().splitlines()
    assert len(lines) == 2


def test_a_dry_run_touches_nothing(sweep: Path) -> None:
    done = submit(sweep, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "#SBATCH --array=0-3%4" in done.stdout
    assert not (sweep.parent / "out").exists()
    assert queue() == []


def test_a_partition_that_does_not_exist_shows_sbatchs_words(sweep: Path) -> None:
    done = submit(sweep, "cluster.partition=nowhere")
    assert done.returncode == 2
    assert "invalid partition" in done.stderr.lower()
    assert not (sweep.parent / "out").exists()
    assert queue() == []


def test_a_second_submission_while_it_waits_sends_nothing(sweep: Path) -> None:
    sweep.write_text(SWEEP.replace("epochs: 2", "epochs: 300"))
    assert submit(sweep).returncode == 0
    before = len(queue())
    second = submit(sweep)
    assert second.returncode == 0, second.stderr
    assert "nothing to submit: the rest is running" in second.stdout
    assert len(queue()) <= before


def test_an_edit_while_the_job_waits_changes_nothing(sweep: Path, tmp_path: Path) -> None:
    """Submit from a copy of the code, break the copy and the sweep file, and see it finish."""
    clone = tmp_path / "clone"
    clone.mkdir()
    for name in ("hw5hpc", "jobs", "slurm"):
        shutil.copytree(ROOT / name, clone / name)
    sent = submit(sweep, root=clone)
    assert sent.returncode == 0, sent.stderr
    for path in clone.glob("hw5hpc/**/*.py"):
        path.write_text("raise RuntimeError('edited after submission')\n")
    sweep.write_text("experiment: nothing\n")
    wait_until(lambda: not queue())
    assert states(sweep) == ["finished"] * 5


def test_arrays_are_split_at_the_clusters_limit(
    sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hw5hpc.cluster import sbatch, slurm

    assert slurm.max_array_size() >= 2
    sent: list[int] = []

    class Recorder:
        folder = sweep.parent / "logs"

        def send(self, tasks: list[object]) -> list[str]:
            sent.append(len(tasks))
            return [f"{len(sent)}_{i}" for i in range(len(tasks))]

    ids = sbatch.submit(Recorder(), [object()] * 5, largest=2)  # type: ignore[arg-type]
    assert sent == [2, 2, 1]
    assert len(ids) == 5


def test_a_cancelled_job_is_lost_and_goes_out_again(sweep: Path) -> None:
    long = SWEEP.replace("epochs: 2", "epochs: 100000")
    sweep.write_text(long)
    assert submit(sweep, "seed=0", "gan.unroll_steps=0").returncode == 0
    runs = sweep.parent / "out" / "runs"

    def training() -> bool:
        files = runs.glob("*/metrics.jsonl")
        return sum("generator_loss" in path.read_text() for path in files) == 1

    wait_until(training)
    subprocess.run(["scancel", "--signal=KILL", "--full", *training_jobs()], check=True)
    wait_until(lambda: not queue())
    shown = subprocess.run(
        [sys.executable, str(ROOT / "jobs/status.py"), "tiny", "--cluster", "dev",
         "--out", str(sweep.parent / "out")],
        capture_output=True, text=True,
    )  # fmt: skip
    assert "lost" in shown.stdout
    again = submit(sweep, "seed=0", "gan.unroll_steps=0")
    assert "submitted" in again.stdout, again.stdout + again.stderr


def test_a_requeued_run_ends_bit_identical(sweep: Path, tmp_path: Path) -> None:
    """USR2, as before a time limit: checkpoint, requeue, and the same bytes at the end."""
    words = ["seed=0", "gan.unroll_steps=1", "train.epochs=150"]
    other = tmp_path / "straight" / "tiny.yaml"
    other.parent.mkdir()
    shutil.copy(sweep, other)
    assert submit(sweep, *words).returncode == 0
    runs = sweep.parent / "out" / "runs"

    def training() -> bool:
        return any("generator_loss" in path.read_text() for path in runs.glob("*/metrics.jsonl"))

    wait_until(training)
    subprocess.run(["scancel", "--signal=USR2", *training_jobs()], check=True)
    wait_until(lambda: "interrupted" in states(sweep))
    assert submit(other, *words, "--wait").returncode == 0
    wait_until(lambda: not queue())
    assert states(sweep) == ["finished"] * 2
    for straight in (other.parent / "out" / "runs").glob("*/metrics.jsonl"):
        resumed = runs / straight.parent.name / "metrics.jsonl"
        assert resumed.read_bytes() == straight.read_bytes()
