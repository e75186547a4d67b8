"""What a user asks for, from the plan to the report: trained here, or sent to Slurm."""

import contextlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

from hw5hpc import debugger
from hw5hpc.cluster import causes, cost, leaving, local
from hw5hpc.cluster import plan as planning
from hw5hpc.cluster.describe import describe_plan, next_steps
from hw5hpc.cluster.freeze import mend
from hw5hpc.cluster.plan import Plan
from hw5hpc.cluster.profile import Profile
from hw5hpc.cluster.standings import Ended, Standing, asked
from hw5hpc.console import shown
from hw5hpc.errors import Stopped, UserError
from hw5hpc.node.code import code_hash
from hw5hpc.node.fork_server import ForkServer
from hw5hpc.node.known_jobs import KnownJobs
from hw5hpc.node.processes import Processes
from hw5hpc.node.standing import GOING, tail
from hw5hpc.store import Outputs, State, SweepFolder, files
from hw5hpc.sweep import Sweep

# How long --wait asks a Slurm that does not answer before it gives up.
PATIENCE_SECONDS = 3600.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """A sweep, what it may use, where its outputs go, and which of its runs are wanted.

    `status_words` are what a user types after jobs/status.py to see it. It is trained `here`, or
    sent to Slurm and, with `wait`, followed to its end; here `at_a_time` runs train side by side
    (None: as many as the machine carries). A `dry_run` touches nothing. `retry_failed` may name the
    cause of the failed runs that are wanted. With `canary`, one run of each shape goes first, and
    the others when it has succeeded. Plans of more than `max_gpu_hours` are refused.
    """

    sweep: Sweep
    profile: Profile
    outputs: Outputs
    status_words: str
    here: bool = False
    dry_run: bool = False
    wait: bool = False
    canary: bool = False
    max_gpu_hours: float | None = None
    retry_failed: bool | str = False
    force: bool = False
    at_a_time: int | None = None

    def plan(self, jobs: KnownJobs | None = None) -> Plan:
        """Return the plan; with `jobs`, Slurm says which of them still wait or run.

        Raises:
            UserError: the sweep's folder is another one's, or Slurm does not answer.
        """
        if jobs is not None:
            jobs.add(planning.sent_jobs(self.sweep, self.outputs))
            jobs.refresh()
            if jobs.trouble:
                raise UserError(f"{jobs.trouble}; nothing was submitted")
        plan = planning.make(
            self.sweep,
            self.outputs,
            code_hash(own=self.sweep.own),
            jobs.alive if jobs else _not_asked,
            self.retry_failed,
            self.force,
            trust_unknown=jobs is not None or (self.dry_run and not self.here),
        )
        if isinstance(self.retry_failed, str):
            failed = [item.reason for item in plan.points if item.state is State.FAILED]
            causes.check(self.retry_failed, failed)
        return plan


def _not_asked(job: str) -> None:
    """Nothing is known of any job."""


def carry_out(request: Request, say: Say, server: ForkServer | None = None) -> bool:
    """Train or send what is missing; return False when a run that was to end has not ended well.

    `say` is told, in lines, what goes out and where the report is. `server` is what runs here are
    forked from, where it was begun ahead.

    Raises:
        UserError: one line that says why nothing was begun.
    """
    return _train_here(request, say, server) if request.here else _send_to_slurm(request, say)


def _train_here(request: Request, say: Say, server: ForkServer | None) -> bool:
    from hw5hpc.cluster.data import check as check_data
    from hw5hpc.cluster.data import check_found, content_of

    request.outputs.check_writable()
    plan = request.plan()
    if request.dry_run:
        say(describe_plan(plan))
        check_found(plan)
        return True
    warming = threading.Thread(target=_warm_up, daemon=True)
    with contextlib.ExitStack() as stack:
        processes = None
        if not plan.empty and not local.under_torchrun() and not debugger.asked_for():
            several = len(plan.first) + len(plan.rest) > 1 and request.at_a_time != 1
            processes = stack.enter_context(Processes(several, server))
            # They import torch meanwhile, and this one what the report takes.
            warming.start()
        elif server:
            server.close()
        say(describe_plan(plan))
        planning.check_waits(plan, for_jobs=False)
        reader = processes.server.keep if processes else content_of
        for line in check_data(plan, request.outputs, reader):
            say(line)
        before = leaving.standing(plan, request.outputs)
        crashes = request.profile.max_crashes
        try:
            local.run(plan, request.outputs, crashes, processes, request.at_a_time)
        except KeyboardInterrupt as stopped:
            raise Stopped(str(stopped) or leaving.told(request.outputs, before)) from None
        finally:
            leaving.restore(request.outputs, before)
    if warming.ident:
        warming.join()
    return _report(request, say)


def _warm_up() -> None:
    """Load what the report takes; what is wrong with it, the report itself will say."""
    with contextlib.suppress(Exception):
        import_module("hw5hpc.report.aggregate").warm_up()


def _send_to_slurm(request: Request, say: Say) -> bool:
    from hw5hpc.cluster import slurm
    from hw5hpc.cluster.data import check as check_data
    from hw5hpc.cluster.preview import preview

    slurm.check_folder(request.outputs.root)
    if request.dry_run:
        preview(request, say)
        return True
    try:
        slurm.require(request.profile)
    except slurm.NoSlurm as error:
        raise UserError(
            f"{error}; --debug and --local run here, --dry-run shows the plan"
        ) from error
    jobs = KnownJobs(request.profile.ask_seconds)
    plan = request.plan(jobs)
    other_data = check_data(plan, request.outputs)
    request.outputs.check_writable()
    if not plan.empty:
        cost.check(plan, request.profile, request.outputs, request.max_gpu_hours)
        for warning in slurm.preflight(
            request.profile, request.outputs.existing, prerequisites=bool(plan.first)
        ):
            say(f"warning: {warning}")
    plan = _send(request, jobs, say)
    for line in other_data:
        say(line)
    if plan.empty and not plan.count(State.RUNNING):
        return _report(request, say)
    return _wait(request, jobs, say) if request.wait else True


def _send(request: Request, jobs: KnownJobs, say: Say) -> Plan:
    """Plan once more, with no other submitter beside this one, and send the plan."""
    from hw5hpc.cluster import submit

    outputs = request.outputs
    with outputs.locked():
        plan = request.plan(jobs)
        planning.check_waits(plan, for_jobs=True)
        say(describe_plan(plan, request.profile, request.outputs))
        if plan.empty:
            # The points may all be another sweep's work; this one's report needs its own list.
            planning.register(plan, outputs)
            # Jobs may wait for code that a purge has taken from them.
            mend(outputs.sweep(plan.sweep.name).code, own=plan.sweep.own)
        else:
            sent = submit.send(plan, request.profile, outputs, request.canary)
            index = outputs.sweep(request.sweep.name).report / "index.html"
            if sent.problem:
                say(f"warning: {sent.problem}")
            say(next_steps(sent.arrays, sent.report, request.status_words, index))
    return plan


def _wait(request: Request, jobs: KnownJobs, say: Say) -> bool:
    """Follow until the report is there; make it here if the submission's report job did not."""
    from hw5hpc.cluster import follow
    from hw5hpc.cluster.view import summary

    outputs, folder = request.outputs, request.outputs.sweep(request.sweep.name)

    ended = Ended()

    def turn() -> follow.Turn:
        rows = asked(outputs, folder, jobs, ended)
        going = any(row.status.state in GOING for row in rows)
        going = going or any(jobs.alive(sent.job) for sent in folder.last_sent())
        over = not going and not jobs.trouble
        return follow.Turn(rows, over or jobs.silent_seconds > PATIENCE_SECONDS, jobs.trouble)

    try:
        rows = follow.follow(turn)
    except KeyboardInterrupt:
        raise follow.goes_on("stopped waiting", request.status_words) from None
    say(summary(rows))
    for line in follow.unfinished(rows):
        say(line)
    if jobs.trouble:
        minutes = PATIENCE_SECONDS / 60
        say(f"Slurm has not answered for {minutes:.0f} min ({jobs.trouble}); the jobs may go on")
        return False
    if _is_reported(folder, rows):
        say(f"report: {shown(folder.report / 'index.html')}")
    else:
        _report(request, say, _why_here(folder, jobs))
    return all(row.status.state.done for row in rows)


def _is_reported(folder: SweepFolder, rows: Sequence[Standing]) -> bool:
    """Whether the report is the last submission's, and no run has ended since."""
    made, sent = folder.report_origin(), next(iter(folder.submissions()[::-1]), {})
    ends = [row.status.updated for row in rows if row.status.state.done]
    when = files.numbers(made).get("time", 0.0)
    ours = bool(sent.get("id")) and made.get("submission") == sent["id"]
    return ours and when >= max(ends, default=0)


def _why_here(folder: SweepFolder, jobs: KnownJobs) -> str:
    """Say what became of the report job."""
    last = folder.last_sent()
    if not last:
        return "no submission of this sweep had a report job"
    job = last[-1].job
    if not job:
        return "the report job was refused"
    said = jobs.words(job).removeprefix("its job ") or "is gone"
    log = tail(folder.log_of(job))
    return f"the report job {job} {said}" + (f"; its log ends: {log}" if log else "")


def _report(request: Request, say: Say, why: str = "") -> bool:
    """Write the sweep's report and say where it is; return whether every run of it is done.

    `why` says why the submission's report job did not write it.
    """
    from hw5hpc.report.aggregate import Maker, aggregate

    outputs = request.outputs
    because = f": {why}" if why else " (jobs/submit.py)"
    maker = Maker(f"Made where the sweep was submitted{because}.")
    if why:
        say(f"the report is made here: {why}")
    written = aggregate(outputs, outputs.sweep(request.sweep.name), maker)
    # With a reason given, what is missing was told before.
    for sentence in () if why else written.missing:
        say(sentence)
    say(f"report: {shown(written.index)}")
    states = [outputs.run(point.id).status().state for point in request.sweep.points]
    return all(state.done for state in states)
