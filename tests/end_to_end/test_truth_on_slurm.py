"""A real Slurm where nothing is trained, the report dies, jobs cannot start or squeue fails."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slurm

# The name is this module's own: it shares the cluster with others.
NAME = "truth"
SWEEP = """
experiment: ring
config: {train.epochs: 1, ring.steps_per_epoch: 5, ring.samples: 50, train.batch_size: 16}
grid: {seed: [0, 1]}
report: [losses]
"""
FAILING = 'cluster: {setup: ["set -e", "module load python/3.99"]}\n'
REPORT_FAILS = (
    'cluster: {setup: ["case $SLURM_JOB_NAME in *.report*) echo no report; exit 7;; esac"]}\n'
)
Done = subprocess.CompletedProcess[str]


@pytest.fixture
def sweep(dev_cluster: Path, tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / f"{NAME}.yaml"
    path.write_text(SWEEP)
    yield path
    sent = folder(path) / "submissions.jsonl"
    rows = [json.loads(line) for line in sent.read_text().splitlines()] if sent.exists() else []
    ids = [job for row in rows for job in (*row["rest"], row["report"]) if job]
    subprocess.run(["scancel", *ids], capture_output=True)


def command(script: str, sweep: Path, *words: str, **environment: str) -> Done:
    line = [sys.executable, str(ROOT / "jobs" / script), *words]
    place = ["--cluster", "dev", "--out", str(sweep.parent / "out")]
    env = {**os.environ, "WANDB_MODE": "disabled", **environment}
    return subprocess.run([*line, *place], env=env, capture_output=True, text=True, timeout=400)


def submit(sweep: Path, *words: str, **environment: str) -> Done:
    return command("submit.py", sweep, str(sweep), "--name", NAME, *words, **environment)


def folder(sweep: Path) -> Path:
    return sweep.parent / "out" / "sweeps" / NAME


def page(sweep: Path) -> str:
    return (folder(sweep) / "report" / "index.html").read_text()


def last(sweep: Path) -> dict[str, str]:
    record: dict[str, str] = json.loads(
        (folder(sweep) / "submissions.jsonl").read_text().splitlines()[-1]
    )
    return record


def wait_until(condition: Callable[[], object], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.5)


def test_a_setup_line_that_fails_is_no_success(sweep: Path) -> None:
    sweep.write_text(SWEEP + FAILING)
    done = submit(sweep, "--wait")
    assert done.returncode == 1, done.stdout + done.stderr
    why = "its job ended as FAILED, exit code 127:0"
    assert "\n2 lost\n" in done.stdout
    assert why in done.stdout
    assert "module: command not found" in done.stdout
    shown = " ".join(command("status.py", sweep, NAME).stdout.split())
    assert why in shown
    assert "module: command not found" in shown
    assert f"2 runs lost: {why}" in page(sweep)
    assert "the report is made here: the report job" in done.stdout


def test_a_report_job_that_died_is_not_hidden_by_an_older_report(sweep: Path) -> None:
    assert submit(sweep, "--wait").returncode == 0
    first = last(sweep)["report"]
    assert f"Made by job {first}, the report of the submission of" in page(sweep)
    sweep.write_text(SWEEP.replace("[0, 1]", "[0, 1, 2]") + REPORT_FAILS)
    done = submit(sweep, "--wait")
    assert done.returncode == 0, done.stdout + done.stderr
    died = f"the report job {last(sweep)['report']} ended as FAILED, exit code 7:0"
    assert f"the report is made here: {died}; its log ends: no report" in done.stdout
    assert f"Made where the sweep was submitted: {died}" in page(sweep)
    assert "3 finished" in page(sweep)


def test_a_cancelled_wait_is_no_success_and_a_held_job_says_so(sweep: Path) -> None:
    # It must not begin before it is held.
    later = "cluster: {sbatch: {begin: now+1hour}}\n"
    sweep.write_text(SWEEP.replace("[0, 1]", "[0]") + later)
    sent = submit(sweep)
    assert f"status.py {NAME} --out {sweep.parent / 'out'} --cluster dev --watch" in sent.stdout
    array = last(sweep)["rest"][0].split("_")[0]
    subprocess.run(["scontrol", "uhold", array], check=True)
    wait_until(lambda: "JobHeldUser (held; scontrol" in command("status.py", sweep, NAME).stdout)
    line = [sys.executable, str(ROOT / "jobs" / "submit.py"), str(sweep), "--name", NAME, "--wait"]
    line += ["--cluster", "dev", "--out", str(sweep.parent / "out")]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as waiting:
        assert waiting.stdout is not None
        for text in waiting.stdout:
            if "1 queued: its job waits: JobHeldUser" in text:
                break
        subprocess.run(["scancel", array, last(sweep)["report"]], check=True)
        rest = waiting.stdout.read()
    assert waiting.returncode == 1, rest
    assert "its job ended as CANCELLED" in rest


def test_a_squeue_that_fails_for_a_while_does_not_end_a_wait(sweep: Path, tmp_path: Path) -> None:
    """From the submission on it fails five times, in the words of a controller that is busy."""
    real, count = shutil.which("squeue"), tmp_path / "count"
    fake = tmp_path / "bin" / "squeue"
    fake.parent.mkdir()
    fake.write_text(
        f'#!/bin/sh\n[ -e {folder(sweep)}/submissions.jsonl ] || exec {real} "$@"\n'
        f'echo x >> {count}\n[ $(wc -l < {count}) -gt 5 ] && exec {real} "$@"\n'
        "echo 'slurm_load_jobs error: Socket timed out on send/recv operation' >&2; exit 1\n"
    )
    fake.chmod(0o755)
    done = submit(sweep, "--wait", PATH=f"{fake.parent}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Slurm does not answer; asked again (squeue: slurm_load_jobs error" in done.stdout
    assert "\n2 finished\n" in done.stdout


def test_a_filter_in_the_shell_sends_nothing_twice(sweep: Path) -> None:
    sweep.write_text(SWEEP.replace("epochs: 1", "epochs: 100000"))
    filters = {"SQUEUE_PARTITION": "urgent", "SQUEUE_STATES": "PENDING", "SQUEUE_USERS": "nobody"}
    assert "submitted:" in submit(sweep, **filters).stdout
    again = submit(sweep, **filters)
    assert again.returncode == 0, again.stderr
    assert "nothing to submit: the rest is running" in again.stdout
