"""The doctor: what it asks, what it makes of the answers, and the profile that it writes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hw5hpc.cluster import profile as profiles
from hw5hpc.cluster import slurm
from hw5hpc.cluster.doctor import draft, probe, site, trial, visit
from hw5hpc.cluster.doctor.findings import ASK, NOTE, WORKS, Seen, findings
from hw5hpc.cluster.doctor.trial import Trial
from hw5hpc.cluster.profile import Profile
from hw5hpc.errors import UserError
from tests.cluster.conftest import Fake

ROOT = Path(__file__).resolve().parents[2]
NODES = """\
cpu|40|128|514000|(null)
gpu-a100|8|64|1031000+|gpu:a100:4(S:0-1)
gpu-a100|2|96|2063000|gpu:h100:8
"""
PARTITIONS = """\
PartitionName=cpu AllowAccounts=ALL Default=YES MaxTime=3-00:00:00 PreemptMode=OFF State=UP
PartitionName=gpu-a100 AllowAccounts=ALL Default=NO MaxTime=06:00:00 PreemptMode=CANCEL State=UP
PartitionName=old AllowAccounts=ALL Default=NO MaxTime=UNLIMITED PreemptMode=OFF State=DOWN
"""
CONFIG = """\
ClusterName             = big
SLURM_VERSION           = 23.11.4
MaxArraySize            = 301
JobRequeue              = 0
PreemptMode             = REQUEUE
AccountingStorageEnforce = associations,limits
"""


@pytest.fixture
def fake(stand_in: Fake) -> Fake:
    put = stand_in
    put("sinfo", f"cat <<'X'\n{NODES}X")
    put("scontrol", f"case $* in *partition*) cat <<'X'\n{PARTITIONS}X\n;; *ping*) echo is UP;; "
        f"*) cat <<'X'\n{CONFIG}X\n;; esac")  # fmt: skip
    put("sacctmgr", 'case $* in *assoc*) echo "p1|long,short"; echo "p2|long";; *) echo p1;; esac')
    return put


def test_a_site_is_read_with_its_partitions_limits_and_accounts(fake: Fake) -> None:
    found = site.ask()
    assert (found.name, found.version, found.max_array) == ("big", "23.11.4", 301)
    assert (found.accounts, found.qos) == (("p1", "p2"), ("long", "short"))
    chosen = found.choose(None)
    assert chosen is not None
    assert (chosen.name, chosen.gpu_types) == ("gpu-a100", ["a100", "h100"])
    assert chosen.best is not None
    assert (chosen.best.count, chosen.best.gpus, chosen.best.memory) == (8, {"a100": 4}, 1031000)
    cpu = found.choose("cpu")
    assert cpu is not None
    assert (cpu.has_gpus, cpu.max_time) == (False, "3-00:00:00")


@pytest.mark.parametrize(
    ("takes", "options"),
    [
        ("*gpus-per-node=1*", {"gpus-per-node": "1"}),
        ("*gpus-per-node=a100:1*", {"gpus-per-node": "a100:1"}),
        ("*gres=gpu:a100:1*", {"gres": "gpu:a100:1"}),
    ],
)
def test_gpus_are_asked_for_in_the_way_that_the_site_takes(
    fake: Fake, takes: str, options: dict[str, str]
) -> None:
    fake("sbatch", f"case $* in {takes}) exit 0;; *) echo no such way >&2; exit 1;; esac")
    chosen = site.ask().choose(None)
    assert chosen is not None
    found = trial.taken(chosen, "p2", None)
    assert found.problem == ""
    assert {key: found.options.get(key) for key in options} == options
    assert found.options["account"] == "p2"
    fake("sbatch", "echo You need a blessing >&2; exit 1")
    assert trial.taken(chosen, None, None).problem == "sbatch: You need a blessing"


def seen(tmp_path: Path, facts: dict[str, object], **options: str) -> Seen:
    found = site.ask()
    node = {"host": "g1", "unresolved": [], "internet": "", "torch": {}, "driver": {}, **facts}
    tried = Trial(options, node)
    return Seen(found, found.choose(None), tried, tmp_path / "out", "offline (no API key)")


def marks(one: Seen) -> dict[str, str]:
    return {finding.about: finding.mark for finding in findings(one)}


def words(one: Seen, about: str) -> str:
    return " ".join(line for finding in findings(one) if finding.about == about
                    for line in finding.lines())  # fmt: skip


@pytest.mark.parametrize(
    ("torch", "driver", "mark", "said"),
    [
        ({"version": "2.11", "cuda": "12.8", "gpu": "cuda:0"},
         {"version": "570", "gpu": "A100"}, WORKS, "trains on A100, driver 570"),
        ({"version": "2.11", "cuda": "13.0", "trouble": "driver too old"},
         {"version": "535", "cuda": "12.2"}, ASK, "built for CUDA 13.0, the driver knows"),
        ({"version": "2.11+cpu", "cuda": ""}, {"version": "570"}, ASK, "built for CPUs alone"),
        ({"version": "2.11", "cuda": "12.8"}, {}, ASK, "no NVIDIA driver"),
    ],
)  # fmt: skip
def test_cuda_is_held_against_the_driver(
    fake: Fake, tmp_path: Path, torch: dict[str, str], driver: dict[str, str], mark: str, said: str
) -> None:
    one = seen(tmp_path, {"torch": torch, "driver": driver})
    assert marks(one)["CUDA"] == mark
    assert said in words(one, "CUDA")


def test_what_the_administrator_must_do_is_told_from_what_is_only_worth_knowing(
    fake: Fake, tmp_path: Path
) -> None:
    one = seen(tmp_path, {"unresolved": ["g2"], "internet": "timed out", "seconds": 0})
    found = marks(one)
    assert (found["names"], found["clock"]) == (ASK, ASK)
    assert (found["internet"], found["preemption"], found["requeue"]) == (NOTE, NOTE, NOTE)
    assert "not requeued (CANCEL)" in words(one, "preemption")
    fake("sacctmgr", "true")
    assert marks(seen(tmp_path, {}))["account"] == ASK
    fake("sacctmgr", "exit 1")
    assert marks(seen(tmp_path, {}))["account"] == NOTE


def test_the_profile_is_one_that_a_submission_reads(
    fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOADEDMODULES", "cuda/12.4:python/3.11")
    one = seen(tmp_path, {"driver": {"version": "570"}}, gres="gpu:a100:1", mem="1G", qos="long")
    path = draft.write("mine", draft.text(one, "/etc/slurm.conf"), False, tmp_path)
    made = profiles.load("mine", {}, path, tmp_path)
    assert (made.partition, made.account, made.qos, made.time) == (
        "gpu-a100",
        "p1",
        "long",
        # Shorter than the partition's limit: each sweep says its own.
        "04:00:00",
    )
    assert (made.mem_gb, made.cpus_per_task, made.gpu_type) == (226, 16, "a100")
    assert (made.gpu_request, made.device, made.slurm_conf) == ("gres", "auto", "/etc/slurm.conf")
    assert made.setup == ["module load cuda/12.4", "module load python/3.11"]
    assert made.out == str(tmp_path / "out")
    with pytest.raises(UserError, match="is there already; --force replaces it"):
        draft.write("mine", "", False, tmp_path)
    with pytest.raises(UserError, match="the profile's name takes"):
        draft.write("my cluster", "", False, tmp_path)


def test_the_profile_may_stand_outside_a_checkout_that_cannot_be_written_to(
    fake: Fake, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"python jobs/doctor.py /scratch/me/mine\.yaml"):
        draft.target("mine", False, tmp_path / "nothing")
    path = draft.write(f"{tmp_path}/mine", draft.text(seen(tmp_path, {})), False)
    made = profiles.load(str(path), {}, path)
    assert (path, made.name) == (tmp_path / "mine.yaml", str(path))
    assert profiles.exists(made.name)
    assert profiles.load("dev", {}, path).name == "dev"
    with pytest.raises(profiles.ProfileError, match=r"other\.yaml: no such file"):
        profiles.load(str(tmp_path / "other.yaml"), {}, path)


def test_a_sweeps_own_time_counts_unless_the_partition_allows_less_than_the_default(
    fake: Fake, tmp_path: Path
) -> None:
    path = draft.write("mine", draft.text(seen(tmp_path, {})), False, tmp_path)
    assert profiles.load("mine", {"time": "00:30:00"}, path, tmp_path).time == "00:30:00"
    short = PARTITIONS.replace("06:00:00", "01:30:00")
    fake("scontrol", f"case $* in *partition*) cat <<'X'\n{short}X\n;; esac")
    path = draft.write("mine", draft.text(seen(tmp_path, {})), True, tmp_path)
    assert profiles.load("mine", {}, path, tmp_path).time == "01:30:00"


def test_the_probe_tells_what_is_here(tmp_path: Path) -> None:
    script = ROOT / "hw5hpc" / "cluster" / "doctor" / "probe.py"
    words = [str(tmp_path), "http://127.0.0.1:9", "no.such.host.invalid"]
    done = subprocess.run([sys.executable, str(script), *words])
    assert done.returncode == 0
    facts = json.loads((tmp_path / "probe.json").read_text())
    assert facts["unresolved"][-1] == "no.such.host.invalid"
    assert "refused" in facts["internet"]
    assert facts["torch"]["version"]
    assert probe.resolves("localhost")


def test_a_misspelt_partition_gets_the_list_and_the_nearest(fake: Fake, tmp_path: Path) -> None:
    for name in ("sbatch", "srun", "squeue"):
        fake(name, "exit 1")
    with pytest.raises(UserError, match=r"one of cpu, gpu-a100, old. Did you mean 'gpu-a100'"):
        visit.visit(visit.Wanted("gpu-a10"), tmp_path, print)


def test_without_slurm_it_says_so(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "jobs" / "doctor.py")]
    env = {**os.environ, "PATH": "/nonexistent"}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert (done.returncode, "no Slurm on this machine" in done.stderr) == (2, True)


@pytest.mark.slurm
def test_the_doctor_visits_a_real_slurm(dev_cluster: Path, tmp_path: Path) -> None:
    """The pretended GPUs have no driver, which is all that it finds fault with."""
    name = f"visited-{os.getpid()}"
    command = [sys.executable, str(ROOT / "jobs" / "doctor.py"), name, "--out", str(tmp_path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=400)
        made = profiles.load(name, {}, tmp_path)
    finally:
        (ROOT / "slurm" / f"{name}.yaml").unlink(missing_ok=True)
    asked = [line.split()[1] for line in done.stdout.splitlines() if line.startswith(ASK)]
    assert (done.returncode, asked) == (1, ["CUDA"]), done.stdout + done.stderr
    assert (made.partition, made.device, made.gpus_per_node) == ("main", "cpu", 1)
    assert list(tmp_path.iterdir()) == [], "the test job leaves nothing behind"


def test_a_submission_to_a_misspelt_partition_gets_the_list_and_the_nearest(fake: Fake) -> None:
    fake("sbatch", "echo 'sbatch: error: invalid partition specified: gpu-a10' >&2; exit 1")
    fake("sinfo", "echo cpu; echo gpu-a100; echo gpu-a100")
    with pytest.raises(UserError, match=r"one of cpu, gpu-a100. Did you mean 'gpu-a100'"):
        slurm.preflight(Profile(partition="gpu-a10"), None)
