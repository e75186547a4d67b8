"""The user's own SBATCH_ words count; filters, formats and an enclosing job's variables do not."""

import pytest

from hw5hpc.cluster.profile import Profile
from hw5hpc.cluster.shell import counting, environment


@pytest.fixture(autouse=True)
def outside_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)


@pytest.mark.parametrize(
    "name", ["SQUEUE_FORMAT", "SQUEUE_STATES", "SLURM_TIME_FORMAT", "SCANCEL_NAME", "SACCT_FORMAT",
             "SLURM_CLUSTERS", "SRUN_CPUS_PER_TASK", "SBATCH_ARRAY_INX", "SBATCH_TIMELIMIT",
             "SBATCH_JOB_NAME", "SBATCH_WAIT"],
)  # fmt: skip
def test_what_would_change_an_answer_or_a_job_is_left_out(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "1")
    assert name not in environment(Profile().options())


def test_the_users_words_count_outside_a_job_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SBATCH_ACCOUNT", "SBATCH_HINT", "SLURM_CONF"):
        monkeypatch.setenv(name, "word")
    assert {"SBATCH_ACCOUNT", "SBATCH_HINT", "SLURM_CONF"} <= set(environment())
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert {"SBATCH_ACCOUNT", "SBATCH_HINT", "SLURM_CONF"} & set(environment()) == {"SLURM_CONF"}


def test_a_word_of_the_profile_is_not_overruled_by_the_shell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """sbatch itself would let a variable win over its script."""
    for name in ("ACCOUNT", "HINT", "MEM_PER_CPU", "EXCLUSIVE"):
        monkeypatch.setenv(f"SBATCH_{name}", "1")
    assert set(counting(Profile(mem_gb=None).options())) >= {
        "SBATCH_ACCOUNT", "SBATCH_HINT", "SBATCH_MEM_PER_CPU", "SBATCH_EXCLUSIVE"
    }  # fmt: skip
    own = Profile(account="a", sbatch={"hint": "x", "exclusive": True}).options()
    assert counting(own) == {}
