"""The faults: each is put in at random, and counts only when its effect was seen."""

import os
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ground import Ground, Worker, cluster, node_of, read, restarts, slurm, wait_for


@dataclass(frozen=True)
class Effect:
    """Whether a fault's effect can be seen (asked again for a while), and the job that it hit.

    While it cannot, no other fault hits that job, so that one effect counts for one fault.
    """

    seen: Callable[[], bool]
    job: str = ""


class Faults:
    """Each method puts one fault in, or returns None while there is nothing to hit."""

    def __init__(self, ground: Ground, source: random.Random) -> None:
        self._ground, self._source = ground, source
        self.hit: set[str] = set()

    def _workers(self) -> list[Worker]:
        return [worker for worker in self._ground.workers() if worker.job not in self.hit]

    def _victim(self) -> Worker | None:
        workers = self._workers()
        return self._source.choice(workers) if workers else None

    def requeue(self) -> Effect | None:
        victim = self._victim()
        if victim is None:
            return None
        before = restarts(victim.job)
        slurm("scontrol", "requeue", victim.job)
        return Effect(lambda: before >= 0 and restarts(victim.job) > before, victim.job)

    def cancel_with_kill(self) -> Effect | None:
        return self._cancel("--signal=KILL")

    def cancel_with_term(self) -> Effect | None:
        return self._cancel()

    def _cancel(self, *how: str) -> Effect | None:
        victim = self._victim()
        if victim is None:
            return None
        slurm("scancel", *how, victim.job)
        return Effect(lambda: _state(victim.job) == "CANCELLED", victim.job)

    def term_signal(self) -> Effect | None:
        """What a preemption sends; the run must save and requeue itself."""
        victim = self._victim()
        if victim is None:
            return None
        before = restarts(victim.job)
        slurm("scancel", "--signal=TERM", victim.job)
        return Effect(lambda: before >= 0 and restarts(victim.job) > before, victim.job)

    def kill_worker(self) -> Effect | None:
        """Kill the process at work on a run, or that of its task, which may be another one."""
        victim = self._victim()
        if victim is None:
            return None
        os.kill(self._source.choice([victim.pid, victim.task_pid]), signal.SIGKILL)
        return Effect(lambda: not victim.alive, victim.job)

    def truncate_checkpoint(self) -> Effect | None:
        """Kill a worker and cut its newest checkpoint; the next attempt sets that one aside."""
        able = [w for w in self._workers() if (w.run / "checkpoint.previous.pt").exists()]
        if not able:
            return None
        victim = self._source.choice(able)
        aside = set(victim.run.glob("checkpoint.damaged-*"))
        # Held while it is done: a process may take the killed one's place at once.
        os.kill(victim.pid, signal.SIGSTOP)
        path = victim.run / "checkpoint.pt"
        if path.exists():
            os.truncate(path, int(path.stat().st_size * self._source.random()))
        os.kill(victim.pid, signal.SIGKILL)
        if not path.exists():
            return None
        found = lambda: set(victim.run.glob("checkpoint.damaged-*"))  # noqa: E731
        return Effect(lambda: bool(found() - aside), victim.job)

    def restart_slurmd(self) -> Effect | None:
        """A node's daemon goes and comes back while its job works on."""
        node = self._busy_node()
        if not node:
            return None
        before = _pid(f"slurmd-{node}")
        cluster("stop-node", node)
        cluster("start-node", node)
        return Effect(lambda: _pid(f"slurmd-{node}") not in ("", before))

    def lose_node(self) -> Effect | None:
        """A node is declared dead: Slurm requeues its job, whose old process may live on."""
        victim = self._victim()
        node = node_of(victim.job) if victim else ""
        if victim is None or not node:
            return None
        before = restarts(victim.job)
        cluster("stop-node", node)
        slurm("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=chaos")
        lost = wait_for(lambda: restarts(victim.job) > before >= 0, 10)
        cluster("start-node", node)
        return Effect(lambda: lost, victim.job)

    def restart_controller(self) -> Effect | None:
        before = _pid("slurmctld")
        cluster("restart-controller")
        return Effect(lambda: _pid("slurmctld") not in ("", before))

    def preempt(self) -> Effect | None:
        """A job in `urgent` takes a whole node."""
        victim = self._victim()
        node = node_of(victim.job) if victim else ""
        if victim is None or not node:
            return None
        before = restarts(victim.job)
        ask = ["--partition=urgent", f"--nodelist={node}", "--gres=gpu:2", "--time=1"]
        urgent = ["--job-name=hw5hpc.chaos_urgent", "--output=/dev/null", "--wrap", "sleep 1"]
        job = slurm("sbatch", "--parsable", *ask, *urgent).strip()
        over = lambda: _state(job) == "COMPLETED"  # noqa: E731
        return Effect(lambda: before >= 0 and restarts(victim.job) > before and over(), victim.job)

    def fill_disk(self) -> Effect | None:
        """Leave no byte free until a run says so."""
        if self._victim() is None:
            return None
        filler, before = self._ground.disk / "filler", self._say_full()
        try:
            _fill(filler)
            seen = wait_for(lambda: bool(self._say_full() - before), 20)
        finally:
            filler.unlink(missing_ok=True)
        return Effect(lambda: seen)

    def _say_full(self) -> set[tuple[str, float]]:
        """The runs that ended on a full disk, and when they said so."""
        found = [(run.name, read(run / "status.json")) for run in self._ground.runs()]
        words = "disk or quota is full"
        return {(run, s["updated"]) for run, s in found if words in s.get("reason", "")}

    def _busy_node(self) -> str:
        victim = self._victim()
        return node_of(victim.job) if victim else ""


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096):
            block = b"\0" * size
            try:
                while True:
                    file.write(block)
            except OSError:
                continue


def _state(job: str) -> str:
    shown = slurm("scontrol", "show", "job", job).split()
    return next((word[9:] for word in shown if word.startswith("JobState=")), "")


def _pid(daemon: str) -> str:
    folder = Path(os.environ["SLURM_CONF"]).parent / "run"
    try:
        return (folder / f"{daemon}.pid").read_text().strip()
    except OSError:
        return ""


KINDS = {
    "requeue": Faults.requeue,
    "cancel with KILL": Faults.cancel_with_kill,
    "cancel with TERM": Faults.cancel_with_term,
    "TERM signal": Faults.term_signal,
    "kill -9 of a worker": Faults.kill_worker,
    "slurmd restarted": Faults.restart_slurmd,
    "node lost": Faults.lose_node,
    "slurmctld restarted": Faults.restart_controller,
    "preemption": Faults.preempt,
    "disk filled": Faults.fill_disk,
    "checkpoint truncated": Faults.truncate_checkpoint,
}
