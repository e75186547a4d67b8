"""Send a plan to Slurm: prerequisites, one array for the rest, and the report job after them."""

import dataclasses
import fcntl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from hw5hpc.cluster import slurm
from hw5hpc.cluster.freeze import freeze
from hw5hpc.cluster.plan import Item, Plan, pack, register
from hw5hpc.cluster.profile import Profile
from hw5hpc.node.job import ReportJob, TrainingJob
from hw5hpc.node.retry import Budget
from hw5hpc.store import Outputs, RunFolder, State


@dataclass(frozen=True)
class Submission:
    """The job ids of one submission."""

    first: list[str]
    rest: list[str]
    report: str

    @property
    def arrays(self) -> list[str]:
        """The ids without their task numbers, each once."""
        return list(dict.fromkeys(job.split("_")[0] for job in (*self.first, *self.rest)))


@contextmanager
def locked(outputs: Outputs) -> Iterator[None]:
    """Let one submitter at a time plan and send."""
    outputs.root.mkdir(parents=True, exist_ok=True)
    with (outputs.root / "submit.lock").open("w") as file:
        # Where locks do not work at all, the claims still let one job train each run.
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def send(plan: Plan, profile: Profile, outputs: Outputs) -> Submission:
    """Send what the plan holds; nothing stays in the queue when a part is refused.

    Raises:
        SlurmError: sbatch refused a job.
    """
    register(plan, outputs)
    code = freeze(outputs.sweep(plan.sweep.name).code, own=plan.sweep.own)
    sender = _Sender(plan, profile, outputs, code)
    sent: list[str] = []
    try:
        first = sender.send(plan.first, ())
        sent += first
        rest = sender.send(plan.rest, [*_arrays(first), *plan.waiting_for])
        sent += rest
        report = sender.send_report(_arrays([*first, *rest, *plan.waiting_for]))
    except slurm.SlurmError:
        slurm.cancel(sent)
        for item in (*plan.first, *plan.rest):
            _back_to_lost(outputs.run(item.id))
        raise
    submission = Submission(first, rest, report)
    record = dataclasses.asdict(submission) | {"time": time.time(), "code": code.name}
    outputs.sweep(plan.sweep.name).add_submission(record)
    return submission


def _arrays(jobs: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(job.split("_")[0] for job in jobs))


def _back_to_lost(run: RunFolder) -> None:
    status = run.status()
    if status.state is State.QUEUED:
        run.set_status(status.to(State.LOST, reason="its submission was refused"))


def scripts(plan: Plan, profile: Profile, outputs: Outputs) -> list[str]:
    """Return the sbatch scripts as they would be sent; nothing is written."""
    code = outputs.sweep(plan.sweep.name).code / "<hash of the code>"
    sender = _Sender(plan, profile, outputs, code)
    parts = [(plan.first, "prerequisites"), (plan.rest, "runs")]
    texts = []
    for items, title in parts:
        tasks = pack(items, profile, plan.sweep.own)
        if tasks:
            text = slurm.script(sender.executor(()), len(tasks))
            texts.append(f"# --- {title}: {len(tasks)} tasks ---\n{text}")
    return texts


class _Sender:
    """What all arrays of one submission share."""

    def __init__(self, plan: Plan, profile: Profile, outputs: Outputs, code: Any) -> None:
        self._sweep, self._own = outputs.sweep(plan.sweep.name), plan.sweep.own
        self._profile, self._outputs, self._code = profile, outputs, code

    def executor(self, after: Sequence[str]) -> Any:
        name = f"hw5hpc.{self._sweep.name}"
        logs = self._sweep.logs
        return slurm.make_executor(
            self._profile, logs, self._code, name, after, requeue_killed=True
        )

    def send(self, items: Sequence[Item], after: Sequence[str]) -> list[str]:
        """Send the runs of one shape and mark each as queued under its job's id."""
        groups = pack(items, self._profile, self._own)
        if not groups:
            return []
        folders = [[self._outputs.run(item.id).path for item in group] for group in groups]
        name, processes = self._sweep.name, self._profile.processes
        budget = Budget(self._profile.max_crashes, self._profile.max_stops)
        device = self._profile.trains_on
        tasks = [TrainingJob(name, group, budget, processes, device) for group in folders]
        jobs = slurm.submit(self.executor(after), tasks, slurm.max_array_size())
        for job, group in zip(jobs, groups, strict=True):
            for item in group:
                self._outputs.run(item.id).set_job(job)
        return jobs

    def send_report(self, after: Sequence[str]) -> str:
        small = dataclasses.replace(self._profile, gpus_per_node=0, nodes=1, tasks_per_node=1)
        name = f"hw5hpc.{self._sweep.name}.report"
        executor = slurm.make_executor(small, self._sweep.logs, self._code, name, after)
        task = ReportJob(self._outputs.root, self._sweep.name)
        return slurm.submit(executor, [task], 1)[0]
