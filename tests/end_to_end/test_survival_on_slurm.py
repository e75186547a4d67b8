"""Kills, preemption, short time limits and racing submitters on a real Slurm: nothing is lost."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAME = "hw5hpc.survive"
pytestmark = [pytest.mark.slurm, pytest.mark.timeout(900)]

SWEEP = """
experiment: ring
config:
  {train.epochs: 200, train.batch_size: 32, ring.steps_per_epoch: 5, ring.samples: 200,
   train.checkpoint_minutes: 0.01}
grid: {seed: [0]}
cluster: {time: "00:10:00", pack: 2, abreast: 1}
report: [losses]
"""


class Site:
    """A sweep file, its output folder, and the same sweep left undisturbed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out = folder, folder / "out"
        self.sweep = folder / "survive.yaml"
        self.sweep.write_text(SWEEP)

    def start(self, *words: str, root: Path = ROOT) -> "subprocess.Popen[str]":
        script = str(root / "jobs/submit.py")
        command = [sys.executable, script, str(self.sweep), "--name", "survive", *words]
        env = {**os.environ, "WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def submit(self, *words: str, root: Path = ROOT) -> str:
        job = self.start("--cluster", "dev", "--out", str(self.out), *words, root=root)
        said, _ = job.communicate(timeout=300)
        assert job.returncode == 0, said
        return said

    def run(self, index: int = 0) -> Path:
        record = json.loads((self.out / "sweeps" / "survive" / "sweep.json").read_text())
        return Path(self.out / "runs" / record["runs"][index])

    def status(self, index: int = 0) -> dict[str, object]:
        found: dict[str, object] = json.loads((self.run(index) / "status.json").read_text())
        return found

    def epoch(self) -> int:
        return int(str(self.status()["epoch"]))

    def job(self) -> str:
        return str(json.loads((self.run() / "job.json").read_text())["job"])

    def log(self, job: str) -> str:
        logs = self.out / "sweeps" / "survive" / "logs"
        return "".join(path.read_text() for path in logs.glob(f"{job}*.out"))

    def ends_as_undisturbed(self, *words: str) -> None:
        wait_until(lambda: not queue(), 300)
        assert self.status()["state"] == "finished"
        reference = self.folder / "reference"
        job = self.start("--local", "--out", str(reference), *words)
        said, _ = job.communicate(timeout=600)
        assert job.returncode == 0, said
        straight = reference / "runs" / self.run().name
        rows = [(run / "metrics.jsonl").read_bytes() for run in (self.run(), straight)]
        assert rows[0] == rows[1]
        arrays = {path.name: path.read_bytes() for path in straight.glob("artifacts/*.np[yz]")}
        assert arrays == {p.name: p.read_bytes() for p in self.run().glob("artifacts/*.np[yz]")}


def queue() -> list[str]:
    words = ["squeue", "--me", "-h", "-r", "-o", "%i %j"]
    shown = subprocess.run(words, capture_output=True, text=True).stdout.splitlines()
    return [line.split()[0] for line in shown if NAME in line]


def field(job: str, name: str) -> str:
    shown = subprocess.run(["scontrol", "show", "job", job], capture_output=True, text=True).stdout
    found = [word for word in shown.split() if word.startswith(f"{name}=")]
    return found[0].partition("=")[2] if found else ""


def wait_until(condition: Callable[[], object], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.3)


@pytest.fixture
def site(dev_cluster: Path, tmp_path: Path) -> Iterator[Site]:
    yield Site(tmp_path)
    subprocess.run(["scancel", *(queue() or ["0"])], capture_output=True)
    wait_until(lambda: not queue())


def changed_code(folder: Path, line: str) -> Path:
    """A copy of the code whose ring runs this line before each step."""
    clone = folder / "clone"
    clone.mkdir()
    for name in ("hw5hpc", "jobs", "slurm"):
        shutil.copytree(ROOT / name, clone / name)
    path = clone / "hw5hpc/experiments/ring/train.py"
    before = '        source = generator(self._device, self.seed, "real", epoch, index)\n'
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, f"        {line}\n{before}"))
    return clone


def test_a_killed_worker_comes_back_by_itself(site: Site) -> None:
    site.submit()
    wait_until(lambda: site.epoch() > 3 and (site.run() / "checkpoint.pt").exists())
    os.kill(int(str(site.status()["pid"])), signal.SIGKILL)
    wait_until(lambda: field(site.job(), "Restarts") == "1")
    wait_until(lambda: site.status()["crashes"] == 1)
    site.ends_as_undisturbed()


def test_a_run_that_always_kills_its_process_ends_failed(site: Site, tmp_path: Path) -> None:
    """And the run packed with it finishes."""
    line = "if (self.seed, epoch) == (0, 3): import os; os.kill(os.getpid(), 9)"
    clone = changed_code(tmp_path, line)
    site.submit("seed=[0,1]", "train.epochs=20", root=clone)
    wait_until(lambda: not queue(), 400)
    assert site.status(0)["state"] == "failed"
    assert "killed by SIGKILL" in str(site.status(0)["reason"])
    assert "max_crashes is 2" in str(site.status(0)["reason"])
    assert site.status(1)["state"] == "finished"
    assert field(site.job(), "Restarts") == "3"


def test_a_cancelled_job_does_not_come_back(site: Site) -> None:
    site.submit()
    wait_until(lambda: site.epoch() > 1)
    job = site.job()
    subprocess.run(["scancel", job], check=True)
    wait_until(lambda: field(job, "JobState") == "CANCELLED")
    wait_until(lambda: site.status()["state"] == "interrupted")
    time.sleep(8)
    assert job not in queue()
    assert field(job, "Restarts") == "0"


@pytest.mark.alone
def test_preemption_requeues_once_and_changes_nothing(site: Site) -> None:
    site.submit()
    wait_until(lambda: site.epoch() > 3)
    job = site.job()
    ask = ["--partition=urgent", f"--nodelist={field(job, 'NodeList')}", "--gres=gpu:2", "--time=1"]
    command = ["sbatch", "--parsable", *ask, "--output=/dev/null", "--wrap", "sleep 1"]
    urgent = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    wait_until(lambda: field(urgent, "JobState") == "COMPLETED")
    wait_until(lambda: field(job, "Restarts") == "1")
    site.ends_as_undisturbed()
    assert field(job, "Restarts") == "1", "not requeued by Slurm and by submitit as well"
    assert site.status()["crashes"] == 0
    assert site.status()["stops"] == 1


def test_a_time_limit_shorter_than_the_run_means_several_turns(site: Site, tmp_path: Path) -> None:
    clone = changed_code(tmp_path, "import time; time.sleep(0.15)")
    site.sweep.write_text(SWEEP.replace("00:10:00", "00:01:00"))
    site.submit("train.epochs=60", root=clone)
    job = site.job()
    wait_until(lambda: not queue(), 700)
    assert int(field(job, "Restarts")) >= 1
    assert site.status()["crashes"] == 0
    site.ends_as_undisturbed("train.epochs=60")


def test_two_submitters_at_once_start_each_run_once(site: Site) -> None:
    words = ["--cluster", "dev", "--out", str(site.out), "seed=[0,1,2,3]", "train.epochs=10"]
    both = [site.start(*words) for _ in range(3)]
    for job in both:
        said, _ = job.communicate(timeout=300)
        assert job.returncode == 0, said
    wait_until(lambda: not queue(), 300)
    folder = site.out / "sweeps" / "survive"
    assert len((folder / "submissions.jsonl").read_text().splitlines()) == 1
    for index in range(4):
        rows = (site.run(index) / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(row)["epoch"] for row in rows] == list(range(1, 11))


def test_runs_abreast_in_one_task_outlive_a_kill_and_a_preemption(site: Site) -> None:
    """One of two processes is killed and replaced; then the task is stopped, requeued, goes on."""
    seeds = "seed=[0,1,2]"
    site.submit(seeds, "cluster.pack=3", "cluster.abreast=2")
    wait_until(lambda: all((site.run(i) / "checkpoint.pt").exists() for i in (0, 1)))
    before = [site.status(index) for index in (0, 1)]
    job = site.job()
    assert [status["job"] for status in before] == [job, job]
    assert before[0]["pid"] != before[1]["pid"]
    os.kill(int(str(before[0]["pid"])), signal.SIGKILL)
    wait_until(lambda: site.status()["pid"] != before[0]["pid"])
    assert site.status(1)["pid"] == before[1]["pid"]
    assert (site.status()["crashes"], site.status(1)["crashes"]) == (1, 0)
    assert field(job, "Restarts") == "0"
    subprocess.run(["scancel", "--signal=TERM", job], check=True)
    wait_until(lambda: field(job, "Restarts") == "1")
    site.ends_as_undisturbed(seeds)
    for index in (1, 2):
        rows = [(folder / "runs" / site.run(index).name / "metrics.jsonl").read_bytes()
                for folder in (site.out, site.folder / "reference")]  # fmt: skip
        assert rows[0] == rows[1]
    assert "3 runs, 2 at a time, CPU threads each: 1" in site.log(job)
