"""What the faults work on: the output folder on its small disk, our jobs, and their workers."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CLUSTER = ROOT / "slurm" / "dev_cluster.sh"
DISK_MB = 384
PREFIX = "hw5hpc.chaos_"


@dataclass(frozen=True)
class Worker:
    """A living process at work on a run, as its claim says."""

    run: Path
    pid: int
    job: str

    @property
    def alive(self) -> bool:
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text()
        except OSError:
            return False
        return stat.rpartition(")")[2].split()[0] != "Z"

    @property
    def task_pid(self) -> int:
        """The process that submitit started: this one, or the one above what it was forked from."""
        pid = self.pid
        while pid > 1:
            try:
                if "submitit" in Path(f"/proc/{pid}/cmdline").read_text():
                    return pid
                stat = Path(f"/proc/{pid}/stat").read_text()
            except OSError:
                break
            pid = int(stat.rpartition(")")[2].split()[1])
        return self.pid


def read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def slurm(*words: str) -> str:
    """What one of Slurm's commands prints; '' when the controller does not answer."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    return done.stdout if done.returncode == 0 else ""


def jobs_named(prefix: str) -> list[str]:
    """Our jobs whose name begins so; each submission adds a word of its own to it."""
    rows = [row.split() for row in slurm("squeue", "--me", "-h", "-o", "%F %j").splitlines()]
    return sorted({job for job, name in rows if name.startswith(prefix)})


def cluster(*words: str) -> str:
    done = subprocess.run(["bash", str(CLUSTER), *words], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"dev_cluster.sh {' '.join(words)}: {done.stdout}{done.stderr}")
    return done.stdout


def wait_for(seen: Callable[[], bool], seconds: float) -> bool:
    """Ask until it is true; return whether it became true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if seen():
            return True
        time.sleep(0.2)
    return seen()


class Ground:
    """The folder of one chaos run; `disk` is a small tmpfs of its own."""

    def __init__(self, folder: Path, sweeps: dict[str, str]) -> None:
        self.folder, self.disk = folder, folder / "disk"
        self.reference, self.laps = self.disk / "reference", [self.disk / "lap-1"]
        self.sweeps = [self._write(name, text) for name, text in sweeps.items()]
        self.environment = {**os.environ, "OMP_NUM_THREADS": "1", "WANDB_MODE": "disabled"}

    def _write(self, name: str, text: str) -> Path:
        path = self.folder / f"chaos_{name}.yaml"
        path.write_text(text)
        return path

    @property
    def out(self) -> Path:
        """Where this lap's runs go."""
        return self.laps[-1]

    def next_lap(self) -> None:
        """Begin the same sweeps anew, so that there is again something to hit."""
        self.laps.append(self.disk / f"lap-{len(self.laps) + 1}")

    def __enter__(self) -> "Ground":
        self.disk.mkdir()
        options = ["-t", "tmpfs", "-o", f"size={DISK_MB}m", "hw5hpc_chaos"]
        subprocess.run(["mount", *options, str(self.disk)], check=True)
        return self

    def __exit__(self, *details: object) -> None:
        for sweep in self.sweeps:
            slurm("scancel", *(jobs_named(f"hw5hpc.{sweep.stem}.") or ["0"]))
        wait_for(lambda: not slurm("squeue", "--me", "-h", "-t", "completing", "-o", "%i"), 30)
        subprocess.run(["umount", "--lazy", str(self.disk)], check=False)

    def start(self, sweep: Path, *words: str) -> "subprocess.Popen[str]":
        """Call jobs/submit.py."""
        command = [sys.executable, str(ROOT / "jobs" / "submit.py"), str(sweep), *words]
        return subprocess.Popen(
            command,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def submit(self, sweep: Path) -> bool:
        """Submit what is missing or failed; return whether Slurm was there to take it."""
        # Of several reports that wait, the last one is enough.
        waiting = jobs_named(f"hw5hpc.{sweep.stem}.report.")
        slurm("scancel", "--state=PENDING", *(waiting or ["0"]))
        job = self.start(sweep, "--cluster", "dev", "--retry-failed", "--out", str(self.out))
        said, _ = job.communicate(timeout=300)
        if "Traceback" in said:
            raise RuntimeError(f"submit.py ended in a traceback:\n{said}")
        return job.returncode == 0

    def runs(self) -> list[Path]:
        return sorted(path.parent for path in self.out.glob("runs/*/config.yaml"))

    def unfinished(self, sweep: Path) -> list[Path]:
        """The sweep's runs without a result."""
        listed = read(self.out / "sweeps" / sweep.stem / "sweep.json").get("runs", [])
        folders = [self.out / "runs" / run for run in listed]
        return [folder for folder in folders if not (folder / "result.json").exists()]

    def workers(self) -> list[Worker]:
        """Living workers whose run has begun to train."""
        claims = [(path.parent, read(path)) for path in self.out.glob("runs/*/claim.json")]
        found = [Worker(run, claim.get("pid", 0), claim.get("job", "")) for run, claim in claims]
        return [worker for worker in found if worker.alive and _trains(worker)]

    def queued(self) -> set[str]:
        """Our jobs that wait or run."""
        rows = slurm("squeue", "--me", "-h", "-r", "-o", "%i %j").split("\n")
        return {row.split()[0] for row in rows if f" {PREFIX}" in row}


def _trains(worker: Worker) -> bool:
    status = read(worker.run / "status.json")
    return status.get("pid") == worker.pid and status.get("epoch", 0) > 0


def node_of(job: str) -> str:
    return slurm("squeue", "-h", "-j", job, "-t", "running", "-o", "%N").strip()


def restarts(job: str) -> int:
    """How often Slurm has started a job again; -1 when it is not known."""
    shown = slurm("scontrol", "show", "job", job)
    found = [word for word in shown.split() if word.startswith("Restarts=")]
    return int(found[0].partition("=")[2]) if found else -1
