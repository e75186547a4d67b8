"""Send a plan to Slurm: prerequisites, one array for the rest, and the report job after them."""

import dataclasses
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hw5hpc.cluster import sbatch, slurm
from hw5hpc.cluster.freeze import freeze
from hw5hpc.cluster.plan import Item, Plan, pack, pack_size, register
from hw5hpc.cluster.profile import Profile
from hw5hpc.errors import Stopped, UserError
from hw5hpc.node.job import ReportJob, TrainingJob
from hw5hpc.node.known_jobs import sender as this_sender
from hw5hpc.node.pack import Packing
from hw5hpc.node.retry import Budget
from hw5hpc.store import Outputs, RunFolder, Sent, State


@dataclass(frozen=True)
class Submission:
    """The job ids of one submission; without a report job `problem` says why, else both are ''."""

    first: list[str]
    rest: list[str]
    report: str
    problem: str = ""

    @property
    def arrays(self) -> list[str]:
        """The ids without their task numbers, each once."""
        return list(dict.fromkeys(job.split("_")[0] for job in (*self.first, *self.rest)))


def send(plan: Plan, profile: Profile, outputs: Outputs, canary: bool = False) -> Submission:
    """Send what the plan holds; nothing stays in the queue when runs are refused.

    With `canary`, one of the points goes first, and the others only when it has succeeded.

    Raises:
        SlurmError: sbatch refused a job that trains; what `--force` had moved aside is back in its
            place.
    """
    # Before anything is moved or marked: it refuses another user's folder.
    code = freeze(outputs.sweep(plan.sweep.name).code, own=plan.sweep.own)
    aside = register(plan, outputs)
    sender = _Sender(plan, profile, outputs, code)
    sender.who = this_sender()
    sent: list[str] = []
    try:
        first = sender.send(plan.first, profile.for_prerequisites(), ())
        sent += first
        after = [*_arrays(first), *plan.waiting_for]
        tried, others = (plan.rest[:1], plan.rest[1:]) if canary else ((), plan.rest)
        ahead = sender.send(tried, profile, after, canary=True)
        sent += ahead
        rest = [*ahead, *sender.send(others, profile, after, needs=ahead)]
        sent += rest
    except (UserError, KeyboardInterrupt) as error:
        slurm.cancel(sent)
        for item in (*plan.first, *plan.rest):
            if item.id in aside:
                outputs.put_back(item.id, aside[item.id])
            else:
                _back_to_lost(outputs.run(item.id))
        if isinstance(error, KeyboardInterrupt):
            raise Stopped("stopped while sending; what was sent is cancelled again") from None
        raise
    report, problem = sender.send_report(_arrays([*first, *rest, *plan.waiting_for]))
    submission = Submission(first, rest, report, problem)
    record = dataclasses.asdict(submission) | {"time": time.time(), "code": code.name}
    record |= {"canary": ahead} if ahead else {}
    record |= {
        "profile": profile.name,
        "id": sender.id,
        "user": sender.who.user,
        "cluster": sender.who.cluster,
    }
    outputs.sweep(plan.sweep.name).add_submission(record)
    return submission


def _arrays(jobs: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(job.split("_")[0] for job in jobs))


def _back_to_lost(run: RunFolder) -> None:
    status = run.status()
    if status.state is State.QUEUED:
        run.set_status(status.to(State.LOST, reason="its submission was refused"))


def scripts(plan: Plan, profile: Profile, outputs: Outputs, canary: bool = False) -> list[str]:
    """Return the sbatch scripts as they would be sent; nothing is written."""
    code = outputs.sweep(plan.sweep.name).code / "<hash of the code>"
    sender = _Sender(plan, profile, outputs, code)
    parts = [
        (plan.first, profile.for_prerequisites(), "prerequisites"),
        *([(plan.rest[:1], profile, "the canary")] if canary else []),
        (plan.rest[1:] if canary else plan.rest, profile, "runs"),
    ]
    texts = []
    for items, asked, title in parts:
        tasks = pack(items, asked, plan.sweep.own)
        if tasks:
            executor = sender.executor(asked, ())
            text = executor.text(len(tasks), f"{executor.base_name}.preview")
            texts.append(f"# --- {title}: {len(tasks)} tasks ---\n{text}")
    return texts


class _Sender:
    """What all arrays of one submission share."""

    def __init__(self, plan: Plan, profile: Profile, outputs: Outputs, code: Any) -> None:
        self._sweep, self._own = outputs.sweep(plan.sweep.name), plan.sweep.own
        self._profile, self._outputs, self._code = profile, outputs, code
        self.id, self.who = secrets.token_hex(4), Sent("")

    def executor(
        self, asked: Profile, after: Sequence[str], needs: Sequence[str] = ()
    ) -> sbatch.Executor:
        name = f"hw5hpc.{self._sweep.name}"
        logs = self._sweep.logs
        return sbatch.make_executor(
            asked, logs, self._code, name, after, requeue_killed=True, needs=needs
        )

    def send(
        self,
        items: Sequence[Item],
        asked: Profile,
        after: Sequence[str],
        needs: Sequence[str] = (),
        canary: bool = False,
    ) -> list[str]:
        """Send the runs of one shape and mark each as queued under its job's id.

        They begin when the jobs `after` have ended, and only if the jobs `needs` have succeeded.
        """
        groups = pack(items, asked, self._own)
        if not groups:
            return []
        folders = [[self._outputs.run(item.id).path for item in group] for group in groups]
        name, processes = self._sweep.name, asked.processes
        budget = Budget(asked.max_crashes, asked.max_stops)
        packings = [self._packing(group, asked) for group in groups]
        tasks = [
            TrainingJob(name, paths, budget, processes, asked.trains_on, canary, packing)
            for paths, packing in zip(folders, packings, strict=True)
        ]
        jobs = sbatch.submit(self.executor(asked, after, needs), tasks, slurm.max_array_size())
        for job, group in zip(jobs, groups, strict=True):
            for item in group:
                run = self._outputs.run(item.id)
                run.set_job(job, self.who.user, self.who.cluster, sync=False)
        self._outputs.sync()
        return jobs

    def _packing(self, group: Sequence[Item], asked: Profile) -> Packing:
        return Packing(pack_size(group[0].experiment, asked, self._own), asked.at_a_time)

    def send_report(self, after: Sequence[str]) -> tuple[str, str]:
        """Return the report job's id, or '' and why there is none: it never costs the runs."""
        asked, name = self._profile.for_report(), f"hw5hpc.{self._sweep.name}.report"
        executor = sbatch.make_executor(asked, self._sweep.logs, self._code, name, after)
        when = time.strftime("%Y-%m-%d %H:%M:%S")
        words = f"the submission of {when} (jobs {', '.join(after)})"
        task = ReportJob(self._outputs.root, self._sweep.name, self.id, words)
        try:
            return sbatch.submit(executor, [task], 1)[0], ""
        except slurm.SlurmError as error:
            return "", slurm.report_refused(error)
        except KeyboardInterrupt:
            return "", "Ctrl-C came while the report job was sent; the runs go on without it"
