"""What can go is named before it goes; a result, a run at work and its job's files never do."""

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hw5hpc.cluster import clean
from hw5hpc.cluster import plan as planning
from hw5hpc.experiments import SCHEMAS, rebuild
from hw5hpc.experiments.gan.config import GanConfig
from hw5hpc.node.known_jobs import KnownJobs
from hw5hpc.store import Outputs, RunFolder, State, Status, claim
from hw5hpc.sweep import load
from hw5hpc.sweep.point import flatten
from hw5hpc.sweep.schema import Schema

ROOT = Path(__file__).resolve().parents[2]
Kinds = dict[str, list[str]]


@pytest.fixture
def outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Outputs:
    """Three points: finished by job 7_0, at work in job 8, and new; a Slurm that knows job 8."""
    path, outputs = tmp_path / "test.yaml", Outputs(tmp_path / "out")
    path.write_text("experiment: ring\ngrid: {seed: [0, 1, 2]}\n")
    sweep = load(path, SCHEMAS)
    planning.register(planning.make(sweep, outputs, "code"), outputs)
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    monkeypatch.setenv("PATH", f"{bin_folder}:{os.environ['PATH']}")
    for name, body in (
        ("squeue", "echo '8|RUNNING|N/A|None'"),
        ("scontrol", "echo 'ClusterName = here'; echo 'Slurmctld(primary) is UP'"),
        ("sacct", "exit 1"),
        ("sbatch", "exit 1"),
        ("srun", "exit 1"),
    ):
        (bin_folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (bin_folder / name).chmod(0o755)
    done, going, _ = runs(outputs)
    done.set_job("7_0")
    done.set_provenance({"code": "aaa"})
    done.set_result({"state": "finished", "metrics": {}})
    going.set_job("8")
    going.set_status(Status().to(State.RUNNING, job="8"))
    return outputs


def runs(outputs: Outputs) -> list[RunFolder]:
    return [outputs.run(row["run"]) for row in outputs.sweep("test").points()]


def names(outputs: Outputs, asked: bool = True) -> Kinds:
    found = clean.leftovers(clean.Folder(outputs, KnownJobs(0) if asked else None))
    return {kind.split(" ")[0]: sorted(path.name for path in paths)
            for kind, paths in found.items()}  # fmt: skip


def test_nothing_of_results_and_runs_at_work_can_go(outputs: Outputs) -> None:
    done, going, new = runs(outputs)
    for run in (done, going, new):
        run.artifacts.mkdir(parents=True, exist_ok=True)
        run.add_metrics({"epoch": 1})
    going.checkpoint.write_bytes(b"x")
    (going.path / "checkpoint.damaged-1.pt").write_bytes(b"x")
    assert names(outputs) == {}


def test_leftovers_of_a_finished_run_go_unless_somebody_holds_it(outputs: Outputs) -> None:
    done, *_ = runs(outputs)
    done.checkpoint.write_bytes(b"x")
    (done.path / "checkpoint.unfit-1.pt").write_bytes(b"x")
    assert names(outputs) == {
        "checkpoints": ["checkpoint.pt"],
        "damaged": ["checkpoint.unfit-1.pt"],
    }
    assert claim(done) is not None
    assert names(outputs) == {}


def test_a_replaced_result_stays_while_it_is_the_only_one(outputs: Outputs) -> None:
    done, *_ = runs(outputs)
    aside = outputs.put_aside(done.id)
    assert names(outputs) == {}
    done.create("ring", {})
    done.set_result({"state": "finished", "metrics": {}})
    assert names(outputs) == {"results": [aside.name]}


def test_runs_that_no_sweep_has_go_only_without_a_result(outputs: Outputs) -> None:
    for name in ("stray", "kept"):
        outputs.run(name).create("ring", {})
    outputs.run("kept").set_result({"state": "finished", "metrics": {}})
    assert names(outputs) == {"runs": ["stray"]}


def test_files_of_ended_jobs_go_but_the_logs_of_last_ones_stay(outputs: Outputs) -> None:
    logs = outputs.sweep("test").logs
    logs.mkdir(parents=True)
    ended = ["6_0_log.out", "7_0_0_result.pkl", "7_0_submitted.pkl", "7_submission.sh"]
    kept = ["7_0_0_log.out", "8_0_log.out", "8_submitted.pkl", "8_submission.sh", "notes.txt"]
    for name in (*ended, *kept):
        (logs / name).write_text("x")
    outputs.sweep("test").add_submission({"first": [], "rest": ["6", "7_0", "8"], "report": ""})
    assert names(outputs) == {"files": ended}
    assert names(outputs, asked=False) == {}, "a job that Slurm does not tell of may still wait"


@pytest.mark.parametrize(
    ("code", "state", "goes"),
    [("aaa", "clean", True), ("aaa", "modified", False), ("bbb", "modified", True),
     ("ccc", "clean", False)],
)  # fmt: skip
def test_code_goes_unless_a_job_waits_or_only_the_copy_tells_what_made_a_result(
    outputs: Outputs, code: str, state: str, goes: bool
) -> None:
    sweep = outputs.sweep("test")
    (sweep.code / code).mkdir(parents=True)
    (sweep.code / code / "COMMIT").write_text(f"1234\n{state}\n")
    for name, job in (("aaa", "7_0"), ("ccc", "8")):
        sweep.add_submission({"first": [], "rest": [job], "report": "", "code": name})
    assert names(outputs) == ({"copies": [code]} if goes else {})


@pytest.fixture
def command(outputs: Outputs) -> Callable[..., str]:
    (runs(outputs)[0].checkpoint).write_bytes(b"x")

    def run(*words: str, **more: object) -> str:
        command = [sys.executable, str(ROOT / "jobs" / "clean.py"), *words]
        env = {**os.environ, "HW5HPC_OUT": str(outputs.root)}
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, **more)  # type: ignore[call-overload]
        assert done.returncode == 0
        return str(done.stdout)

    return run


def test_the_command_asks_first(outputs: Outputs, command: Callable[..., str]) -> None:
    checkpoint = runs(outputs)[0].checkpoint
    assert "--yes removes it" in command(stdin=subprocess.DEVNULL)
    ours, theirs = pty.openpty()
    for answer, left in ((b"\n", True), (b"y\n", False)):
        os.write(ours, answer)
        assert "[y/N]" in command("test", stdin=theirs)
        assert checkpoint.exists() is left
    assert "nothing can go" in command("--yes")
    assert runs(outputs)[0].result() is not None


def test_recorded_configs_that_differ_in_a_seed_are_checked_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A thousand runs of a sweep are looked at before any is removed or cancelled."""
    calls, original = [], Schema._convert

    def counted(self: Schema, key: str, value: object) -> object:
        calls.append(key)
        return original(self, key, value)

    monkeypatch.setattr(Schema, "_convert", counted)
    values = flatten(GanConfig())
    for seed in range(50):
        rebuild("gan", {**values, "seed": 7000 + seed})
    assert len(calls) <= 50 + len(values)
