"""The batch script's last line, with a scontrol that says what the test wants."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hw5hpc.cluster import sbatch
from hw5hpc.cluster.profile import Profile
from hw5hpc.node import deaths, requeue

ROOT = Path(__file__).resolve().parents[2]
SCONTROL = """#!/bin/sh
echo "$*" >> {folder}/calls
if [ -e {folder}/away ]; then
  rm {folder}/away
  echo "Unable to contact slurm controller" >&2
  exit 1
fi
[ "$1" = requeue ] || cat {folder}/answer
"""


class Fake:
    """A job's log folder, and a scontrol with one answer."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.logs = folder, folder / "logs"
        self.logs.mkdir()
        program = folder / "scontrol"
        program.write_text(SCONTROL.format(folder=folder))
        program.chmod(0o755)
        self.state("RUNNING")
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        monkeypatch.setenv("SLURM_JOB_ID", "9")
        monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "7")
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "2")
        monkeypatch.setattr(requeue.time, "sleep", lambda seconds: None)

    def state(self, name: str) -> None:
        (self.folder / "answer").write_text(f"   JobState={name} Reason=None\n")

    @property
    def requeued(self) -> int:
        return (self.folder / "calls").read_text().splitlines().count("requeue 7_2")

    def script(self, ended: int) -> int:
        """Run the lines as bash runs them, after a command that ended with this status."""
        lines = requeue.script_lines(sys.executable, self.logs)
        text = "\n".join([f"(exit {ended})", *lines])
        return subprocess.run(["bash", "-c", text], cwd=ROOT).returncode


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    return Fake(tmp_path, monkeypatch)


@pytest.mark.parametrize("ended", [137, 139, 134])
def test_a_killed_process_goes_back_and_its_death_is_noted(fake: Fake, ended: int) -> None:
    assert fake.script(ended) == ended
    assert fake.requeued == 1
    assert [row["signal"] for row in deaths.unseen(fake.logs, "7_2")] == [ended - 128]


@pytest.mark.parametrize("ended", [0, 1, 2])
def test_an_ordinary_end_asks_nobody(fake: Fake, ended: int) -> None:
    assert fake.script(ended) == ended
    assert not (fake.folder / "calls").exists()


@pytest.mark.parametrize("ended", [requeue.TRY_AGAIN, 143, 140])
def test_a_stop_goes_back_and_is_no_death(fake: Fake, ended: int) -> None:
    """TERM or USR2 before the worker could listen, or a worker that could not requeue itself."""
    requeue.main(fake.logs, ended)
    assert fake.requeued == 1
    assert deaths.unseen(fake.logs, "7_2") == []


@pytest.mark.parametrize("state", ["CANCELLED", "COMPLETING", "PENDING", "PREEMPTED", "TIMEOUT"])
def test_only_a_job_that_still_runs_goes_back(fake: Fake, state: str) -> None:
    fake.state(state)
    requeue.main(fake.logs, 137)
    assert fake.requeued == 0
    assert deaths.unseen(fake.logs, "7_2") == []


def test_a_controller_that_is_away_is_asked_again(fake: Fake) -> None:
    (fake.folder / "away").touch()
    requeue.main(fake.logs, 137)
    assert fake.requeued == 1


def test_processes_that_never_begin_do_not_come_back_for_ever(fake: Fake) -> None:
    for _ in range(6):
        requeue.main(fake.logs, 137)
    assert fake.requeued == requeue.UNSEEN_DEATHS


def test_a_death_that_cannot_be_counted_is_not_retried(fake: Fake) -> None:
    (fake.logs / "7_2_deaths.jsonl").mkdir()
    requeue.main(fake.logs, 137)
    assert fake.requeued == 0


def test_it_starts_without_torch(fake: Fake) -> None:
    code = "import sys, hw5hpc.node.requeue; print({'torch', 'submitit'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "set()", done.stderr


def test_a_python_in_a_folder_with_a_space_is_found(
    fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (fake.folder / "srun").touch(0o755)
    monkeypatch.setattr(sys, "executable", "/my files/python")
    executor = sbatch.make_executor(Profile(), tmp_path, tmp_path, "name", requeue_killed=True)
    assert "then '/my files/python' -m hw5hpc.node.requeue" in executor.text(1, "name")


@pytest.mark.parametrize(
    ("state", "gone"),
    [("RUNNING", False), ("PENDING", False), ("NODE_FAIL", True), ("COMPLETED", True)],
)
def test_a_job_is_gone_when_slurm_says_that_it_ended(fake: Fake, state: str, gone: bool) -> None:
    fake.state(state)
    assert requeue.gone("7_2") is gone


def test_a_controller_that_does_not_answer_says_nothing_about_a_job(fake: Fake) -> None:
    (fake.folder / "away").touch()
    assert not requeue.gone("7_2")


def test_a_job_that_ended_well_leaves_its_log_alone(fake: Fake) -> None:
    theirs = ["7_2_0_log.out", "7_20_submitted.pkl", "7_3_0_result.pkl", "7_submission.sh"]
    for name in (*theirs, "7_2_submitted.pkl", "7_2_0_result.pkl", "7_2_1_result.pkl"):
        (fake.logs / name).touch()
    assert fake.script(1) == 1
    assert len(list(fake.logs.iterdir())) == 7
    assert fake.script(0) == 0
    assert sorted(path.name for path in fake.logs.iterdir()) == sorted(theirs)
