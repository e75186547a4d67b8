"""The list of sweeps: where the points of each stand, and when it was last at work."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hw5hpc.cluster import listing
from hw5hpc.cluster import plan as planning
from hw5hpc.experiments import SCHEMAS
from hw5hpc.store import Outputs, State, Status
from hw5hpc.sweep import load

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    outputs = Outputs(tmp_path / "out")
    for name, count in (("one", 3), ("two", 1)):
        path = tmp_path / f"{name}.yaml"
        path.write_text(f"experiment: ring\ngrid: {{seed: {{range: [0, {count}]}}}}\n")
        sweep = load(path, SCHEMAS)
        planning.register(planning.make(sweep, outputs, "code"), outputs)
    done, failed, _ = (outputs.run(row["run"]) for row in outputs.sweep("one").points())
    done.set_result({"state": "finished", "metrics": {}})
    failed.set_status(Status(state=State.FAILED, updated=4e9))
    return outputs


def test_each_sweep_is_counted_by_state_the_last_at_work_first(outputs: Outputs) -> None:
    one, two = listing.rows(outputs, None)
    assert (one.name, one.points, two.points) == ("one", 3, 1)
    assert one.counts == {State.FINISHED: 1, State.NEW: 1, State.FAILED: 1}
    assert two.counts == {State.FINISHED: 1}, "a point is one run in every sweep"


def test_a_damaged_record_is_named_and_costs_only_its_own_row(outputs: Outputs) -> None:
    outputs.sweep("two").sweep_path.write_text("{")
    problems = {row.name: row.problem for row in listing.rows(outputs, None)}
    assert problems["one"] == ""
    assert "damaged" in problems["two"]


def test_the_command_lists_as_a_table_and_as_json(outputs: Outputs) -> None:
    def run(*words: str) -> str:
        command = [sys.executable, str(ROOT / "jobs" / "list.py"), *words]
        env = {**os.environ, "PATH": "/nonexistent", "HW5HPC_OUT": str(outputs.root)}
        return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout

    assert "1 finished, 1 new, 1 failed" in run()
    assert [row["sweep"] for row in json.loads(run("--json"))] == ["one", "two"]
    assert "no sweep was submitted here yet" in run("--out", str(outputs.root / "nowhere"))
