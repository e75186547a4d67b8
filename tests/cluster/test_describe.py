"""A plan says what is asked for, and who asked for it."""

from pathlib import Path

import pytest

from hw5hpc.cluster import plan as planning
from hw5hpc.cluster import profile as profiles
from hw5hpc.cluster.describe import describe_plan, next_steps
from hw5hpc.experiments import SCHEMAS
from hw5hpc.store import Outputs
from hw5hpc.sweep import load

SWEEP = """
experiment: gan
config: {data.name: synthetic}
grid: {seed: [0, 1]}
cluster: {time: "04:00:00", gpus_per_node: 4, mem_gb: 4}
"""
PROFILE = """
partition: gpu
gpus_per_node: 2
mem_per_cpu_gb: 3
prerequisites: {gpus_per_node: 1}
"""


def described(tmp_path: Path, *words: str) -> str:
    (tmp_path / "mine.yaml").write_text(PROFILE)
    path = tmp_path / "depth.yaml"
    path.write_text(SWEEP)
    sweep = load(path, SCHEMAS, words)
    profile = profiles.load("mine", sweep.cluster, path, tmp_path, sweep.cluster_words)
    return describe_plan(planning.make(sweep, Outputs(tmp_path / "out"), "code"), profile)


def test_a_plan_says_where_each_value_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setenv("SBATCH_ACCOUNT", "proj1")
    monkeypatch.setenv("SBATCH_PARTITION", "mine")
    lines = described(tmp_path, "cluster.nodes=3").splitlines()
    expected = [
        "    default: cpus_per_task=4",
        "    depth.yaml: time=04:00:00",
        "    slurm/mine.yaml: partition=gpu mem_per_cpu_gb=3 gpus_per_node=2 "
        "prerequisites={'gpus_per_node': 1}",
        "    command line: nodes=3",
        "    $SBATCH_ACCOUNT: account=proj1",
        "    overruled: mem_gb=4 (depth.yaml), gpus_per_node=4 (depth.yaml)",
    ]
    start = lines.index("  asked for, and by whom:") + 1
    assert lines[start : start + 6] == expected


def test_gpu_hours_count_prerequisites_as_they_are_sent(tmp_path: Path) -> None:
    """Two runs of four hours on two GPUs, and one classifier on one."""
    assert "3 tasks, at most 20.0 GPU-hours" in described(tmp_path)


def test_runs_abreast_share_the_gpu_hours_of_their_task(tmp_path: Path) -> None:
    """Both runs in one task of four hours, and the classifier in another."""
    said = described(tmp_path, "cluster.gpus_per_node=1", "cluster.abreast=2")
    assert "2 tasks, 2 of its runs at a time in each, at most 8.0 GPU-hours" in said


def test_without_a_report_job_the_next_steps_make_the_report() -> None:
    told = next_steps(["7"], "", "depth --out x", Path("/x/index.html"))
    assert "report:  python jobs/aggregate.py depth --out x" in told
    assert "cancel:  python jobs/cancel.py depth --out x\n" in told
    assert "then the report" not in told
