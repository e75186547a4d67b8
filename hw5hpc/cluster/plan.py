"""The plan: which runs of a sweep still have to go out, packed into tasks, and what they cost."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from hw5hpc.cluster import folders
from hw5hpc.cluster.causes import cause_of
from hw5hpc.cluster.damage import damage_of
from hw5hpc.cluster.profile import Profile
from hw5hpc.errors import UserError
from hw5hpc.experiments import find
from hw5hpc.experiments.config import ExperimentConfig
from hw5hpc.node.needs import blames
from hw5hpc.node.standing import GOING
from hw5hpc.store import JobAlive, Life, Outputs, RunFolder, Sent, State, holder, life, tidy
from hw5hpc.sweep import Point, Sweep, run_id
from hw5hpc.sweep.point import flatten


@dataclass(frozen=True)
class Item:
    """One run of the plan: a point of the sweep, or a prerequisite of some points.

    `job` is the Slurm job that waits for it or trains it, '' when there is none. `unknown` is a
    job that may still do so: Slurm does not tell. `stale` says that another version of the code
    finished it, or began it and left a checkpoint: from that only that version could go on, so the
    run starts anew. `damage` names a file of its result that is not what the run wrote; a
    prerequisite that has one is lost. `reason` is why it failed.
    """

    id: str
    experiment: str
    config: ExperimentConfig
    state: State
    job: str = ""
    stale: bool = False
    unknown: str = ""
    damage: str = ""
    reason: str = ""

    @property
    def needs(self) -> set[str]:
        """The ids of the runs that must be finished before it."""
        return {run_id(*wanted) for wanted in self.config.prerequisites().values()}


@dataclass(frozen=True)
class Plan:
    """What a submission does: `first` are prerequisites to send, `rest` the points to send.

    `busy` are prerequisites at work already, `blocked` those that ended without a usable result
    and do not go out again; `held` are the points that would fail for want of these.
    """

    sweep: Sweep
    points: tuple[Item, ...]
    first: tuple[Item, ...]
    rest: tuple[Item, ...]
    busy: tuple[Item, ...] = ()
    blocked: tuple[Item, ...] = ()
    held: tuple[Item, ...] = ()

    @property
    def waiting_for(self) -> list[str]:
        """The Slurm jobs of prerequisites at work already."""
        return [entry.job for entry in self.busy]

    @property
    def empty(self) -> bool:
        return not self.first and not self.rest

    def count(self, *states: State) -> int:
        return sum(item.state in states for item in self.points)

    @property
    def stale(self) -> int:
        """How many results are of another version of the code."""
        return sum(item.stale for item in self.points if item.state.done)

    @property
    def anew(self) -> int:
        """How many runs start anew though they have a checkpoint, which is of other code."""
        return sum(item.stale for item in (*self.first, *self.rest) if not item.state.done)


def make(
    sweep: Sweep,
    outputs: Outputs,
    code: str,
    job_alive: JobAlive = lambda job: None,
    retry_failed: bool | str = False,
    force: bool = False,
    trust_unknown: bool = False,
) -> Plan:
    """Compare a sweep with what is on disk and in the queue.

    Finished and running runs are left alone; new, lost, cancelled and interrupted ones go out;
    failed ones only with `retry_failed`, of one cause where it names one (or when an earlier run
    was to blame, which is made anew or whole again), finished ones again only with `force`, or when
    others need what is damaged. With `trust_unknown`, a job that is not known to be gone is taken
    to be at work.

    Raises:
        UserError: the sweep's folder is that of another one.
    """

    def item(point: Point, needed: bool = False) -> Item:
        found = _inspect(point, outputs, code, job_alive, trust_unknown)
        if not found.state.done or (needed and found.state is not State.FINISHED):
            return found
        damage = damage_of(outputs.run(found.id), needed)
        return replace(found, damage=damage, state=State.LOST if needed and damage else found.state)

    def wanted(entry: Item) -> bool:
        if entry.state is State.FAILED:
            blameless = any(blames(entry.reason, other) for other in entry.needs)
            return _retried(entry.reason, retry_failed) or force or blameless
        return not entry.state.done and entry.state is not State.RUNNING

    folders.check_own(sweep, outputs)
    points = tuple(map(item, sweep.points))
    asked = tuple(entry for entry in points if wanted(entry) or (force and entry.state.done))
    needed = tuple(_prerequisites(asked, partial(item, needed=True)))
    first = tuple(entry for entry in needed if wanted(entry))
    busy = tuple(entry for entry in needed if entry.state is State.RUNNING)
    useless = (State.FAILED, State.DIVERGED)
    blocked = tuple(entry for entry in needed if entry.state in useless and not wanted(entry))
    held = tuple(entry for entry in asked if entry.needs & {other.id for other in blocked})
    rest = tuple(entry for entry in asked if entry not in held)
    return Plan(sweep, points, first, rest, busy, blocked, held)


def _retried(reason: str, which: bool | str) -> bool:
    return which if isinstance(which, bool) else cause_of(reason).name == which


def check_waits(plan: Plan, for_jobs: bool) -> None:
    """Refuse a plan that needs a run at work elsewhere whose end nothing here can wait for.

    A Slurm job can wait for another (`for_jobs`), but for no process, and a process for neither.

    Raises:
        UserError: one line that names the run.
    """
    for entry in plan.busy:
        if not (entry.job and for_jobs):
            raise UserError(
                f"the {entry.experiment} run {entry.id}, which this sweep needs, is being trained "
                "already, and nothing here can wait for it; submit again when it has ended"
            )


def sent_jobs(sweep: Sweep, outputs: Outputs) -> list[Sent]:
    """Return the jobs sent last for the points of a sweep and for what they need."""
    needed: list[tuple[str, Any]] = []
    for point in sweep.points:
        for wanted in point.config.prerequisites().values():
            if wanted not in needed:
                needed.append(wanted)
    ids = [*(point.id for point in sweep.points), *(run_id(*wanted) for wanted in needed)]
    return [outputs.run(name).sent() for name in ids]


def _prerequisites(items: Iterable[Item], item: Callable[[Point], Item]) -> Iterable[Item]:
    known: dict[str, Item] = {}
    for entry in items:
        for experiment, config in entry.config.prerequisites().values():
            point = Point(experiment, config, {})
            if point.id not in known:
                known[point.id] = item(point)
    return known.values()


def _inspect(
    point: Point, outputs: Outputs, code: str, job_alive: JobAlive, trust_unknown: bool
) -> Item:
    """Return a run with its state; RUNNING stands for every run that somebody still works on."""
    config: Any = point.config
    run = outputs.run(point.id)
    status = run.status()
    state, unknown = status.state, ""
    job = "" if state.done else run.job_of(status)
    if state in GOING:
        found = life(run, job_alive)
        unknown = job if trust_unknown and found is Life.UNKNOWN else ""
        busy = found in (Life.HELD, Life.WAITING)
        ended = State.CANCELLED if run.cancelled() else State.LOST
        ended = State.INTERRUPTED if state is State.INTERRUPTED and not job else ended
        state = State.RUNNING if unknown or busy else ended
    job = job if job and job_alive(job) else ""
    made = state.done or (state is not State.RUNNING and run.checkpoint.exists())
    stale = made and run.provenance().get("code", code) != code
    reason = (run.cancelled() if state is State.CANCELLED else "") or status.reason
    return Item(point.id, point.experiment, config, state, job, stale, unknown, reason=reason)


def pack_size(experiment: str, profile: Profile, own: Path | None = None) -> int:
    """Return how many runs a full task carries: `pack`, or as many as the experiment suggests.

    Where none is said, a task carries as many as it is to train at a time.
    """
    if profile.pack != "auto":
        return int(profile.pack)
    return max(find(experiment, own).runs_per_task, profile.at_a_time or 1)


def pack(items: Iterable[Item], profile: Profile, own: Path | None = None) -> list[list[Item]]:
    """Group runs into tasks of `pack_size` runs each.

    `own` is the file of the user's own experiment, where the sweep has one.
    """
    tasks: dict[str, list[list[Item]]] = {}
    for entry in items:
        size = pack_size(entry.experiment, profile, own)
        groups = tasks.setdefault(entry.experiment, [[]])
        if len(groups[-1]) == size:
            groups.append([])
        groups[-1].append(entry)
    return [group for groups in tasks.values() for group in groups if group]


def gpu_hours(tasks: int, profile: Profile) -> float:
    """The most that the tasks can use: every one up to its time limit."""
    return tasks * profile.gpus * profile.minutes / 60


def _queue(run: RunFolder) -> None:
    """Mark a run as queued, before it is sent: a job that starts at once has the later word.

    One that was never begun is new until its job is known.
    """
    status = run.status()
    if run.cancelled():
        run.set_cancelled("")
    # Since the plan was made, somebody who plans without a lock (--local) may have begun it.
    if status.state is not State.NEW and not status.state.done and holder(run) is None:
        anew = {"reason": "", "crashes": 0, "crash_epoch": 0, "stops": 0, "host": "", "pid": 0}
        run.set_status(status.to(State.QUEUED, **anew), sync=False)


def register(plan: Plan, outputs: Outputs) -> dict[str, Path]:
    """Write the config of every run that goes out, mark it queued, and record the sweep.

    A finished run that goes out again (`--force`, or a damaged prerequisite) is moved aside first;
    returns {run: where to}.
    """
    again = [entry for entry in plan.rest if entry.state.done]
    again += [entry for entry in plan.first if entry.damage]
    aside = {entry.id: outputs.put_aside(entry.id) for entry in again}
    for entry in (*plan.first, *plan.rest):
        run = outputs.run(entry.id)
        run.register(entry.experiment, flatten(entry.config))
        _queue(run)
    outputs.sync()
    for entry in plan.points:
        if entry.state.done:
            tidy(outputs.run(entry.id))
    sweep = plan.sweep
    rows = [
        {"run": entry.id, **point.swept}
        for entry, point in zip(plan.points, sweep.points, strict=True)
    ]
    record = {
        "name": sweep.name,
        "base": sweep.base,
        "changes": list(sweep.changes),
        "typed": list(sweep.typed),
        "path": str(sweep.path.absolute()),
        "experiment": sweep.experiment,
        "headline": find(sweep.experiment, sweep.own).headline,
        "swept": list(sweep.swept),
        "report": list(sweep.report),
        "wandb": dict(sweep.wandb),
        "runs": [entry.id for entry in plan.points],
    }
    outputs.sweep(sweep.name).save(record, rows)
    return aside
