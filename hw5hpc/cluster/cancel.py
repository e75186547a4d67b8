"""Cancel what a sweep has in the queue, all of it or some points; what was saved is kept."""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from hw5hpc.cluster import folders, slurm
from hw5hpc.cluster.points import pick
from hw5hpc.cluster.recorded import jobs_of, needs, run_ids
from hw5hpc.errors import UserError, unknown
from hw5hpc.node.known_jobs import KnownJobs
from hw5hpc.node.standing import GOING, checked
from hw5hpc.store import Life, Outputs, RunFolder, State, SweepFolder, holder, life

# A run that is told to stop saves first; after that it is Slurm that ends it.
WAIT_SECONDS = 120.0
STATES = tuple(str(state) for state in GOING)


@dataclass(frozen=True)
class Cancelled:
    """What became of a call: runs cancelled, those that still stop, and what was left alone."""

    runs: tuple[str, ...] = ()
    stopping: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


def cancel(
    outputs: Outputs,
    sweep: SweepFolder,
    jobs: KnownJobs,
    words: Sequence[str] = (),
    states: Collection[str] = (),
    wait: float = WAIT_SECONDS,
    say: Callable[[str], None] = print,
) -> Cancelled:
    """Cancel the jobs of the points that `words` and `states` name; without any, of all.

    Then the report jobs go, too, and what only this sweep's points need finished first.

    Raises:
        UserError: a point or state that does not exist, a task that carries other points as well,
            or a Slurm that does not answer.
    """
    for state in states:
        if state not in STATES:
            raise UserError(unknown("state", state, STATES))
    runs = [outputs.run(name) for name in pick(sweep.points(), words)]
    whole = not words and not states
    if whole:
        runs = [*_own_prerequisites(outputs, sweep, runs), *runs]
    jobs.add_sweep(outputs, sweep)
    jobs.add(run.sent() for run in runs)
    jobs.add(sent for row in sweep.submissions() for sent in jobs_of(row))
    jobs.refresh()
    if jobs.trouble:
        raise UserError(f"{jobs.trouble}; nothing was cancelled")
    going = [run for run in runs if _goes(run, sweep, jobs, states)]
    ours, left = _ours(going, jobs)
    _check_companions(outputs, sweep, ours)
    reports = [row["report"] for row in sweep.submissions() if whole]
    report = [job for job in reports if jobs.alive(job)]
    return _end(ours, left, report, jobs, wait, say)


def _goes(run: RunFolder, sweep: SweepFolder, jobs: KnownJobs, states: Collection[str]) -> bool:
    state = checked(run, sweep, jobs.alive, jobs.words).state
    return state in GOING and (not states or state in states)


def _ours(runs: Sequence[RunFolder], jobs: KnownJobs) -> tuple[list[RunFolder], list[str]]:
    """Return the runs whose job Slurm can end, and lines on those that it cannot."""
    ours, left = [], []
    for run in runs:
        held = holder(run)
        if held is not None and not held.get("job"):
            left.append(
                f"{run.id} is trained by process {held.get('pid')} on {held.get('host')}; "
                "Ctrl-C or kill there stops it"
            )
            continue
        job = run.job_of(run.status())
        if jobs.alive(job):
            ours.append(run)
        elif job:
            left.append(f"{run.id}: {jobs.words(job) or 'Slurm does not know its job'}")
        else:
            left.append(f"{run.id}: no process works on it")
    return ours, left


def _check_companions(outputs: Outputs, sweep: SweepFolder, ours: Sequence[RunFolder]) -> None:
    """Refuse to end a task that carries other points which were not asked for."""
    chosen = {run.id: run.job() for run in ours}
    for run in (outputs.run(row["run"]) for row in sweep.points()):
        if run.id not in chosen and run.job() in chosen.values():
            status = run.status()
            if not status.state.done and status.state is not State.FAILED:
                raise UserError(
                    f"job {run.job()} trains run {run.id}, too (they are packed into one task); "
                    "name all of its points, or cancel the whole sweep"
                )


def _own_prerequisites(
    outputs: Outputs, sweep: SweepFolder, runs: Sequence[RunFolder]
) -> list[RunFolder]:
    """Return the runs at work that these need, but for those that another sweep waits for."""
    needed = {name for run in runs for name in needs(run)}
    going = {name for name in needed if outputs.run(name).status().state in GOING}
    others = [other for other in outputs.sweeps() if other.name != sweep.name] if going else []
    for run in (outputs.run(name) for other in others for name in run_ids(other)):
        if run.status().state in GOING:
            going -= needs(run)
    return [outputs.run(name) for name in sorted(going)]


def _end(
    runs: Sequence[RunFolder],
    left: Sequence[str],
    report: Sequence[str],
    jobs: KnownJobs,
    wait: float,
    say: Callable[[str], None],
) -> Cancelled:
    names = list(dict.fromkeys([*(run.job() for run in runs), *report]))
    reason = f"cancelled by {slurm.user()} on {time.strftime('%Y-%m-%d %H:%M')}"
    # Before their jobs end: whoever looks in between is to see why.
    for run in runs:
        run.set_cancelled(reason)
    if names:
        try:
            slurm.end(names)
        except UserError:
            for run in runs:
                run.set_cancelled("")
            raise
        say(f"told Slurm to end {len(names)} jobs; runs at work save first")
    stopping = _wait(runs, jobs, wait)
    ended = [run for run in runs if run not in stopping]
    for run in ended:
        status = run.status()
        if status.state in GOING:
            run.set_status(status.to(State.CANCELLED, reason=reason))
    return Cancelled(tuple(run.id for run in ended), tuple(run.id for run in stopping), tuple(left))


def _wait(runs: Sequence[RunFolder], jobs: KnownJobs, seconds: float) -> list[RunFolder]:
    """Return the runs that are still at work after so many seconds."""
    end, left = time.monotonic() + seconds, list(runs)
    # Most jobs only waited and are gone by then; the others are asked about as seldom as ever.
    time.sleep(min(1.0, seconds))
    jobs.refresh(now=True)
    while True:
        jobs.refresh()
        left = [run for run in left if life(run, jobs.alive) is not Life.GONE]
        if not left or time.monotonic() > end:
            return left
        time.sleep(1)


def lines(outputs: Outputs, sweep: SweepFolder, done: Cancelled) -> list[str]:
    """Return what was done, in words, and the command that goes on from there."""
    if not (done.runs or done.stopping or done.left):
        return ["nothing to cancel: none of these points waits or runs"]
    told = [f"cancelled: {len(done.runs)} runs"] if done.runs else []
    if done.stopping:
        told.append(f"still saving, and cancelled when it has ended: {', '.join(done.stopping)}")
    told += [f"left alone: {line}" for line in done.left]
    return [*told, f"  go on:   {folders.again(outputs, sweep)}"]
