"""What sites do: a real Slurm behind commands that refuse, answer and fail as some sites' do."""

import os
import pwd
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hw5hpc.cluster import sbatch, slurm
from hw5hpc.cluster.freeze import freeze
from hw5hpc.cluster.profile import Profile
from hw5hpc.cluster.slurm import SlurmError

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slurm
USER = pwd.getpwuid(os.getuid()).pw_name
SWEEP = """
experiment: softmax
grid: {softmax.offset: [0, 88]}
cluster: {time: "00:05:00", gpus_per_node: 1, pack: 1}
"""
# Each refuses what its site does not take, whether it stands in the script or among the words.
ACCOUNT = """
grep -qs -e '--account=' "${@: -1}" || [[ "$*$SBATCH_ACCOUNT" == *proj1* ]] || {
  echo "sbatch: error: No account given; yours are proj1 and proj2" >&2
  echo "sbatch: error: use --account" >&2
  echo "sbatch: error: Batch job submission failed: Unspecified error" >&2; exit 1; }
unset SBATCH_ACCOUNT
exec {real} "$@"
"""
GPUS_ONLY = """
grep -qs -e '--gpus-per-node=' "${@: -1}" || [[ "$*" == *--gpus-per-node=* ]] || {
  echo "sbatch: error: This partition takes GPU jobs only; for others use the partition cpu" >&2
  echo "sbatch: error: Batch job submission failed: Unspecified error" >&2; exit 1; }
exec {real} "$@"
"""
NO_MEMORY = """
! grep -qs -e '--mem=' "${@: -1}" && [[ "$*" != *--mem=* ]] || {
  echo "sbatch: error: Memory is given per CPU here: use --mem-per-cpu, or leave it out" >&2
  exit 1; }
exec {real} "$@"
"""
OLD_SQUEUE = """
for word in "$@"; do
  [[ $word != --me ]] || { echo "squeue: unrecognized option '--me'" >&2; exit 1; }
done
exec {real} "$@"
"""
BACKUP_DOWN = """
[[ $1 != ping ]] || { echo "Slurmctld(primary) at a is UP"; echo "Slurmctld(backup) at b is DOWN"
  exit 1; }
exec {real} "$@"
"""
OLD_BACKUP_DOWN = """
[[ $1 != ping ]] || { echo "Slurmctld(primary/backup) at a/b are UP/DOWN"; exit 0; }
exec {real} "$@"
"""
ALL_DOWN = """
[[ $1 != ping ]] || { echo "Slurmctld(primary) at a is DOWN"; echo "Slurmctld(backup) at b is DOWN"
  exit 1; }
exec {real} "$@"
"""
BARE_ID = '{real} "$@" | grep -oE "[0-9]+"'
UNREADABLE = '{real} "$@" >/dev/null; echo "Your job is on its way. Thank you!"'
LOST = """
{real} "$@" >/dev/null
echo "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation" >&2
exit 1
"""
NOTHING_TAKEN = """
echo "sbatch: error: Batch job submission failed: Unable to contact slurm controller" >&2
exit 1
"""
TWICE = '{real} "$@" >/dev/null; {real} "$@" >/dev/null; echo done'
Site = Callable[..., None]


@pytest.fixture
def site(dev_cluster: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Put a site's habit before one of Slurm's real commands."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def habit(program: str, text: str) -> None:
        real = subprocess.run(["which", program], capture_output=True, text=True, check=True)
        path = folder / program
        path.write_text("#!/bin/bash\n" + text.replace("{real}", real.stdout.strip()))
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    yield habit
    end(f"hw5hpc.{tmp_path.name}")


def named(prefix: str) -> list[str]:
    """Return the ids of the jobs in the queue whose name begins so."""
    words = ["squeue", "-h", "-u", USER, "-o", "%F %j"]
    rows = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    return sorted({row.split()[0] for row in rows if row.split()[1].startswith(prefix)})


def end(prefix: str) -> None:
    subprocess.run(["scancel", *(named(prefix) or ["0"])], capture_output=True)


def submit(
    tmp_path: Path, *words: str, out: str = "out", **environment: str
) -> "subprocess.CompletedProcess[str]":
    path = tmp_path / "softmax.yaml"
    path.write_text(SWEEP)
    where = [] if "--local" in words else ["--cluster", "dev"]
    command = [sys.executable, str(ROOT / "jobs/submit.py"), str(path), *where]
    command += ["--name", tmp_path.name, "--out", str(tmp_path / out), *words]
    env = {**os.environ, "WANDB_MODE": "disabled", **environment}
    env = {key: value for key, value in env.items() if value}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=400)


def test_all_of_a_sites_words_are_shown_and_the_users_own_count(site: Site, tmp_path: Path) -> None:
    site("sbatch", ACCOUNT)
    refused = submit(tmp_path)
    assert refused.returncode == 2
    for words in ("yours are proj1 and proj2", "use --account", "Unspecified error"):
        assert words in refused.stderr
    assert not (tmp_path / "out").exists()
    taken = submit(tmp_path, SBATCH_ACCOUNT="proj1", SLURM_JOB_ID="")
    assert taken.returncode == 0, taken.stderr
    assert "$SBATCH_ACCOUNT: account=proj1" in taken.stdout


def test_a_refused_report_job_does_not_cost_the_runs(site: Site, tmp_path: Path) -> None:
    site("sbatch", GPUS_ONLY)
    sent = submit(tmp_path)
    assert sent.returncode == 0, sent.stderr
    assert "report job is refused, and the runs go on without it" in sent.stdout
    assert "for others use the partition cpu" in sent.stdout
    assert f"python jobs/aggregate.py {tmp_path.name}" in sent.stdout
    assert re.search(r"^submitted: \d+$", sent.stdout, re.MULTILINE)
    end(f"hw5hpc.{tmp_path.name}")
    own = submit(tmp_path, "cluster.report={gpus_per_node: 1}", "--force")
    assert "then the report: " in own.stdout, own.stdout + own.stderr
    assert "warning" not in own.stdout


def test_memory_can_be_left_out_of_the_request(site: Site, tmp_path: Path) -> None:
    site("sbatch", NO_MEMORY)
    refused = submit(tmp_path)
    assert "use --mem-per-cpu, or leave it out" in refused.stderr
    for word in ("cluster.mem_gb=null", "cluster.mem_per_cpu_gb=1"):
        sent = submit(tmp_path, word)
        assert (sent.returncode, "then the report" in sent.stdout) == (0, True), sent.stderr
        end(f"hw5hpc.{tmp_path.name}")


@pytest.mark.parametrize(
    ("program", "habit"),
    [("squeue", OLD_SQUEUE), ("scontrol", BACKUP_DOWN), ("scontrol", OLD_BACKUP_DOWN)],
)
def test_old_commands_and_a_backup_that_is_down_do_no_harm(
    site: Site, tmp_path: Path, program: str, habit: str
) -> None:
    site(program, habit)
    assert submit(tmp_path, "--dry-run").returncode == 0


def test_controllers_that_are_all_down_are_named(site: Site, tmp_path: Path) -> None:
    site("scontrol", ALL_DOWN)
    shown = submit(tmp_path)
    assert shown.returncode == 2
    assert "(primary) at a is DOWN" in shown.stderr
    assert "(backup) at b is DOWN" in shown.stderr


def test_filters_in_the_users_shell_hide_no_job(site: Site, tmp_path: Path) -> None:
    shell = {"SQUEUE_FORMAT": "%u", "SQUEUE_STATES": "SUSPENDED", "SQUEUE_PARTITION": "urgent",
             "SLURM_TIME_FORMAT": "relative", "SCANCEL_STATE": "SUSPENDED"}  # fmt: skip
    everything = ["cluster.nodes=4", "cluster.gpus_per_node=2", "cluster.max_parallel=1"]
    assert submit(tmp_path, *everything, **shell).returncode == 0
    again = submit(tmp_path, *everything, **shell)
    assert "then the report" not in again.stdout
    assert "nothing to submit" in again.stdout, again.stdout + again.stderr


@pytest.fixture
def executor(site: Site, tmp_path: Path) -> sbatch.Executor:
    profile = Profile(partition="main", mem_gb=1, cpus_per_task=1, time="5", gpus_per_node=0)
    logs = tmp_path / "logs"
    logs.mkdir()
    code = freeze(tmp_path / "code")
    return sbatch.make_executor(profile, logs, code, f"hw5hpc.{tmp_path.name}-seed=0,1")


@pytest.mark.parametrize(
    "habit", [BARE_ID, UNREADABLE, LOST], ids=["bare id", "unreadable", "lost"]
)
def test_jobs_whose_answer_is_odd_or_lost_are_found_and_run(
    site: Site, executor: sbatch.Executor, tmp_path: Path, habit: str
) -> None:
    site("sbatch", habit)
    jobs = executor.send([os.getpid, os.getpid])
    assert [job.partition("_")[2] for job in jobs] == ["0", "1"]
    logs = [tmp_path / "logs" / f"{job}_0_log.out" for job in jobs]
    limit = time.monotonic() + 400
    while not all(log.exists() and "completed successfully" in log.read_text() for log in logs):
        assert time.monotonic() < limit, list((tmp_path / "logs").iterdir())
        time.sleep(0.5)


def test_where_nobody_knows_the_name_is_told(
    site: Site, executor: sbatch.Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site("sbatch", NOTHING_TAKEN)
    monkeypatch.setattr(sbatch, "SEARCH_SECONDS", 0.0)
    name = re.escape(f"hw5hpc.{tmp_path.name}-seed=0+1.")
    told = rf"contact slurm controller\n  jobs named {name}\w+ may be queued .*squeue -u .*scancel"
    with pytest.raises(SlurmError, match=told):
        executor.send([os.getpid])
    assert not list((tmp_path / "logs").iterdir())


def test_a_plain_refusal_is_told_at_once(
    site: Site, executor: sbatch.Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sbatch, "SEARCH_SECONDS", 300.0)
    executor.parameters["additional_parameters"]["partition"] = "nowhere"
    with pytest.raises(SlurmError, match="invalid partition") as caught:
        executor.send([os.getpid])
    assert "may be queued" not in str(caught.value)


def test_jobs_that_a_site_made_twice_are_cancelled(
    site: Site, executor: sbatch.Executor, tmp_path: Path
) -> None:
    site("sbatch", TWICE)
    with pytest.raises(SlurmError, match="2 jobs were made of one, and were cancelled"):
        executor.send([os.getpid])
    limit = time.monotonic() + 300
    while named(f"hw5hpc.{tmp_path.name}"):
        assert time.monotonic() < limit
        time.sleep(0.5)


def test_each_shape_is_tried_before_anything_is_sent(site: Site, tmp_path: Path) -> None:
    small = Profile(partition="main", mem_gb=1, cpus_per_task=1, gpus_per_node=0)
    assert slurm.preflight(small, tmp_path) == []
    report = Profile(**{**vars(small), "report": {"partition": "nowhere"}})
    (warning,) = slurm.preflight(report, tmp_path)
    assert "invalid partition" in warning
    assert "choose one of main, urgent." in warning
    first = Profile(**{**vars(small), "prerequisites": {"partition": "nowhere"}})
    assert slurm.preflight(first, tmp_path) == []
    with pytest.raises(SlurmError, match="of the prerequisites: sbatch: "):
        slurm.preflight(first, tmp_path, prerequisites=True)


def test_blanks_quotes_and_umlauts_in_the_path_are_fine(site: Site, tmp_path: Path) -> None:
    out = 'Größe 3 "it\'s" $HOME #1'
    done = submit(tmp_path, "--wait", out=out)
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / out / "sweeps" / tmp_path.name
    watch = next(line for line in done.stdout.splitlines() if line.startswith("  watch:"))
    assert str(tmp_path / out) in shlex.split(watch)
    assert (folder / "report" / "index.html").exists()
    assert len(list((folder / "logs").glob("*_log.out"))) == 3


@pytest.mark.parametrize("out", ["50%", "%j", "back\\slash", "%a\\b"])
def test_what_slurm_reads_in_a_logs_path_is_refused(site: Site, tmp_path: Path, out: str) -> None:
    refused = submit(tmp_path, out=out)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1), refused.stderr
    assert "Slurm takes no" in refused.stderr
    assert not (tmp_path / out).exists()


def test_it_is_taken_where_no_slurm_reads_it(site: Site, tmp_path: Path) -> None:
    assert submit(tmp_path, "--local", out="%a\\b 50%").returncode == 0


def test_prerequisites_are_sent_with_resources_of_their_own(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "gan.yaml"
    path.write_text("experiment: gan\nconfig: {data.name: synthetic}\ncluster: {time: '5'}\n")
    words = ["--cluster", "dev", "--dry-run", "cluster.prerequisites={time: 7, mem_gb: null}"]
    command = [sys.executable, str(ROOT / "jobs/submit.py"), str(path), *words]
    env = {**os.environ, "WANDB_MODE": "disabled"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    first, runs = done.stdout.split("# --- runs")
    assert "#SBATCH --time=7\n" in first
    assert "#SBATCH --mem" not in first
    assert "#SBATCH --time=5\n" in runs
    assert "#SBATCH --mem=2G\n" in runs
