"""What a user asks for, from the plan to the report: trained here, or sent to Slurm."""

from collections.abc import Callable
from dataclasses import dataclass

from hw5hpc.cluster import local
from hw5hpc.cluster import plan as planning
from hw5hpc.cluster.describe import describe_plan, next_steps
from hw5hpc.cluster.freeze import mend
from hw5hpc.cluster.plan import JobAlive, Plan
from hw5hpc.cluster.profile import Profile
from hw5hpc.console import shown
from hw5hpc.node.code import code_hash
from hw5hpc.store import Outputs, State
from hw5hpc.sweep import Sweep

Say = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """A sweep, what it may use, where its outputs go, and which of its runs are wanted.

    `status_words` are what a user types after jobs/status.py to see it. It is trained `here`, or
    sent to Slurm and, with `wait`, followed to its end. A `dry_run` touches nothing.
    """

    sweep: Sweep
    profile: Profile
    outputs: Outputs
    status_words: str
    here: bool = False
    dry_run: bool = False
    wait: bool = False
    retry_failed: bool = False
    force: bool = False

    def plan(self, job_alive: JobAlive) -> Plan:
        code = code_hash(own=self.sweep.own)
        return planning.make(
            self.sweep, self.outputs, code, job_alive, self.retry_failed, self.force
        )


def carry_out(request: Request, say: Say) -> bool:
    """Train or send what is missing; return False when a run is known to have failed.

    `say` is told, in lines, what goes out and where the report is.

    Raises:
        UserError: one line that says why nothing was begun.
    """
    return _train_here(request, say) if request.here else _send_to_slurm(request, say)


def _train_here(request: Request, say: Say) -> bool:
    from hw5hpc.cluster.data import check as check_data

    request.outputs.check_writable()
    plan = request.plan(lambda job: None)
    say(describe_plan(plan))
    if request.dry_run:
        return True
    planning.check_waits(plan, for_jobs=False)
    for line in check_data(plan, request.outputs):
        say(line)
    local.run(plan, request.outputs, request.profile.max_crashes)
    return _report(request, say)


def _send_to_slurm(request: Request, say: Say) -> bool:
    from hw5hpc.cluster import slurm
    from hw5hpc.cluster.data import check as check_data

    slurm.require(request.profile)
    if request.dry_run:
        return _preview(request, say)
    plan = request.plan(slurm.Queue().alive)
    other_data = check_data(plan, request.outputs)
    request.outputs.check_writable()
    if not plan.empty:
        slurm.preflight(request.profile, request.outputs.existing)
    plan = _send(request, say)
    for line in other_data:
        say(line)
    if plan.empty and not plan.count(State.RUNNING):
        return _report(request, say)
    return _wait(request, say) if request.wait else True


def _preview(request: Request, say: Say) -> bool:
    from hw5hpc.cluster import slurm, submit

    plan = request.plan(slurm.Queue().alive)
    planning.check_waits(plan, for_jobs=True)
    say(describe_plan(plan, request.profile))
    say("\n".join(submit.scripts(plan, request.profile, request.outputs)))
    return True


def _send(request: Request, say: Say) -> Plan:
    """Plan once more, with no other submitter beside this one, and send the plan."""
    from hw5hpc.cluster import slurm, submit

    outputs = request.outputs
    with submit.locked(outputs):
        plan = request.plan(slurm.Queue().alive)
        planning.check_waits(plan, for_jobs=True)
        say(describe_plan(plan, request.profile))
        if plan.empty:
            # The points may all be another sweep's work; this one's report needs its own list.
            planning.register(plan, outputs)
            # Jobs may wait for code that a purge has taken from them.
            mend(outputs.sweep(plan.sweep.name).code, own=plan.sweep.own)
        else:
            sent = submit.send(plan, request.profile, outputs)
            index = outputs.sweep(request.sweep.name).report / "index.html"
            say(next_steps(sent.arrays, sent.report, request.status_words, index))
    return plan


def _wait(request: Request, say: Say) -> bool:
    """Follow until the report is there."""
    from hw5hpc.cluster import follow, slurm

    outputs, folder = request.outputs, request.outputs.sweep(request.sweep.name)
    jobs = [
        job for row in folder.submissions() for job in (*row["first"], *row["rest"], row["report"])
    ]

    def over() -> bool:
        queue = slurm.Queue()
        return not any(queue.alive(job) for job in jobs)

    rows = follow.follow(lambda: follow.standings(outputs, folder, slurm.Queue().alive), over)
    say(follow.summary(rows))
    index = folder.report / "index.html"
    if not index.exists():
        return _report(request, say)
    say(f"report: {shown(index)}")
    return all(row.status.state.done for row in rows)


def _report(request: Request, say: Say) -> bool:
    """Write the sweep's report and say where it is; return whether no run of it has failed."""
    from hw5hpc.report.aggregate import aggregate

    outputs = request.outputs
    written = aggregate(outputs, outputs.sweep(request.sweep.name))
    for sentence in written.missing:
        say(sentence)
    say(f"report: {shown(written.index)}")
    states = [outputs.run(point.id).status().state for point in request.sweep.points]
    return State.FAILED not in states
