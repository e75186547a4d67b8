"""slurm/dev_cluster.sh against the real thing.  The cluster stays up: starting it costs seconds."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slurm

SCRIPT = Path(__file__).resolve().parents[2] / "slurm" / "dev_cluster.sh"


def script(*words, **environment):
    return subprocess.run(
        [str(SCRIPT), *words],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )


def slurm(state, *command):
    """What a Slurm client prints about the cluster in that state directory."""
    conf = {**os.environ, "SLURM_CONF": str(state / "slurm.conf")}
    done = subprocess.run(command, env=conf, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout.strip()


@pytest.fixture(scope="module")
def spare(dev_cluster):
    """A second cluster, for what would disturb others' jobs on the first: (state, environment)."""
    state = Path(tempfile.mkdtemp(prefix="hw5hpc_"))  # short: sockets need short paths
    where = {"HW5HPC_DEV_CLUSTER": str(state), "HW5HPC_DEV_PORT_BASE": str(free_port_base())}
    try:
        done = script("up", **where)
        assert done.returncode == 0, done.stdout + done.stderr
        yield state, where
    finally:
        assert script("down", **where).returncode == 0
        shutil.rmtree(state)


def submit(state, folder, *options, command):
    output = f"--output={folder}/%j.out"
    return slurm(state, "sbatch", "--parsable", output, *options, "--wrap", command)


def wait_for(what, answer, seconds=300):
    """Ask again until the answer is true; return it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := answer():
            return found
        time.sleep(0.3)
    raise AssertionError(f"{what}: not within {seconds} s")


def runs(state, job):
    return "JobState=RUNNING" in slurm(state, "scontrol", "show", "job", job)


def accounted(state, job, *options):
    """sacct's rows of a job itself, without its steps: (state, resources)."""
    fields = "--format=State,AllocTRES"
    rows = slurm(state, "sacct", "-X", "-n", "-P", *options, "-j", job, fields).splitlines()
    return [tuple(row.split("|")) for row in rows]


def ended(state, job):
    rows = accounted(state, job)
    return rows if rows and rows[0][0] not in ("PENDING", "RUNNING") else None


def pids(state):
    return {file.stem: int(file.read_text()) for file in (state / "run").glob("*.pid")}


def alive(pid):
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def free_port_base():
    """The first of 15 ports in a row that nobody uses."""

    def free(port):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) != 0

    return next(b for b in range(17810, 30000, 20) if all(map(free, range(b, b + 15))))


def test_help_and_wrong_usage():
    assert "up|down|status|env" in script("--help").stdout
    assert script("sideways").returncode == 2


def test_up_again_changes_nothing(dev_cluster):
    before = pids(dev_cluster)
    done = script("up")
    assert done.returncode == 0, done.stderr
    assert f"export SLURM_CONF={dev_cluster}/slurm.conf" in done.stdout
    assert pids(dev_cluster) == before
    assert len(before) == 8


def test_status_names_the_nodes(dev_cluster):
    done = script("status")
    assert done.returncode == 0, done.stdout
    assert all(f"n{i} " in done.stdout for i in range(1, 5))


def test_status_of_a_cluster_that_never_was(tmp_path):
    done = script("status", HW5HPC_DEV_CLUSTER=str(tmp_path / "none"))
    assert done.returncode == 1
    assert "not up" in done.stdout
    assert not (tmp_path / "none").exists()


def test_four_nodes_with_two_gpus_each(dev_cluster):
    rows = slurm(dev_cluster, "sinfo", "-h", "-N", "-p", "main", "-o", "%N %G").splitlines()
    assert sorted(rows) == [f"n{i} gpu:2" for i in range(1, 5)]


def test_node_names_mean_this_machine(dev_cluster):
    if os.geteuid() != 0:
        pytest.skip("only root can name the nodes in /etc/hosts")
    assert {socket.gethostbyname(f"n{i}") for i in range(1, 5)} == {"127.0.0.1"}


def test_a_gpu_job_completes_and_sacct_knows(dev_cluster, tmp_path):
    command = "srun printenv CUDA_VISIBLE_DEVICES"
    job = submit(dev_cluster, tmp_path, "--gres=gpu:1", command=command)
    state, resources = wait_for("sacct to see the end", lambda: ended(dev_cluster, job))[0]
    assert state == "COMPLETED"
    assert "gres/gpu=1" in resources
    assert (tmp_path / f"{job}.out").read_text().strip() in ("0", "1")


def test_eight_one_gpu_jobs_run_at_once(spare, tmp_path):
    state, _where = spare
    ask = ("--array=0-7", "--gres=gpu:1", "--mem=2G", "--cpus-per-task=1")
    job = submit(state, tmp_path, *ask, command="sleep 60")
    try:
        count = ("squeue", "-h", "-r", "-j", job, "-t", "running", "-o", "%i")
        wait_for("eight at once", lambda: len(slurm(state, *count).split()) == 8)
    finally:
        slurm(state, "scancel", job)


def test_an_urgent_job_preempts_and_requeues(spare, tmp_path):
    state, _where = spare
    everything = ("--nodes=4", "--gres=gpu:2")
    victim = submit(state, tmp_path, *everything, "--requeue", command="sleep 600")
    try:
        wait_for("the job to run", lambda: runs(state, victim))
        urgent = submit(state, tmp_path, *everything, "--partition=urgent", command="true")
        assert wait_for("the urgent job", lambda: ended(state, urgent))[0][0] == "COMPLETED"
        wait_for("the job to run again", lambda: runs(state, victim))
        assert "Restarts=1" in slurm(state, "scontrol", "show", "job", victim)
        assert "PREEMPTED" in [row[0] for row in accounted(state, victim, "--duplicates")]
    finally:
        slurm(state, "scancel", victim)


def test_killed_daemons_come_back(spare):
    state, where = spare
    before = pids(state)
    for pid in before.values():
        os.kill(pid, 9)
    wait_for("the daemons to die", lambda: not any(map(alive, before.values())))
    assert script("status", **where).returncode == 1
    assert script("up", **where).returncode == 0
    assert script("status", **where).returncode == 0
    assert not set(before.values()) & set(pids(state).values())


def test_one_node_and_the_controller_go_and_come_back(spare):
    state, where = spare
    before = pids(state)
    assert script("stop-node", "n9", **where).returncode == 2
    assert script("stop-node", "n2", **where).returncode == 0
    assert not alive(before["slurmd-n2"])
    assert script("status", **where).returncode == 1
    assert script("start-node", "n2", **where).returncode == 0
    assert script("restart-controller", **where).returncode == 0
    # The nodes have to report to the new controller first.
    wait_for("the cluster", lambda: script("status", **where).returncode == 0)
    changed = {name for name, pid in pids(state).items() if before[name] != pid}
    assert changed == {"slurmd-n2", "slurmctld"}


def test_down_stops_its_own_processes_only(spare, dev_cluster, tmp_path):
    state, where = spare
    first, second = pids(dev_cluster), pids(state)
    submit(state, tmp_path, command="srun sleep 600")  # down ends jobs too
    # A stale pid file that points at a foreign process must not stop that process.
    own = (state / "run" / "munged.pid").read_text()
    (state / "run" / "munged.pid").write_text(str(first["munged"]))
    assert script("down", **where).returncode == 0
    (state / "run" / "munged.pid").write_text(own)
    assert script("down", **where).returncode == 0
    assert script("down", **where).returncode == 0  # again is fine
    assert not [name for name, pid in second.items() if alive(pid)]
    assert all(map(alive, first.values()))
    assert script("status").returncode == 0
    assert script("up", **where).returncode == 0  # and back, on what was left
