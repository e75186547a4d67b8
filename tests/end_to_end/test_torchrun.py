"""torchrun starts several processes of one command line; they act as one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SWEEP = """
experiment: ring
config: {train.batch_size: 9, train.epochs: 1, ring.steps_per_epoch: 3, ring.samples: 20}
"""


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SWEEP)
    return path


def torchrun(*words: str | Path) -> subprocess.CompletedProcess[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--"]
    return subprocess.run(
        [*launcher, "jobs/submit.py", *map(str, words)],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=500,
    )  # fmt: skip


def test_two_processes_train_one_run_and_report_once(sweep: Path, tmp_path: Path) -> None:
    done = torchrun(sweep, "--local", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("1 points") == done.stdout.count("report:") == 1
    (record,) = (tmp_path / "out").glob("runs/*/provenance.json")
    assert '"ranks": 2' in record.read_text()
    assert len((record.parent / "metrics.jsonl").read_text().splitlines()) == 1


def test_a_host_that_cannot_be_resolved_is_one_line(sweep: Path, tmp_path: Path) -> None:
    variables = {
        "RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2",
        "MASTER_ADDR": "no-such-host.invalid", "MASTER_PORT": "29500",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "jobs/submit.py", str(sweep), "--local", "--out", str(tmp_path / "out")],
        cwd=ROOT, env={**os.environ, **variables}, capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "cannot resolve the host name 'no-such-host.invalid'" in done.stderr
