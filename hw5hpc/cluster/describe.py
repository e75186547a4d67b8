"""A plan and a submission in words, for the terminal."""

from collections.abc import Sequence
from pathlib import Path

from hw5hpc.cluster.plan import Plan, gpu_hours, pack
from hw5hpc.cluster.profile import Profile
from hw5hpc.console import shown
from hw5hpc.store import State
from hw5hpc.tracking.words import CHOSEN


def describe_plan(plan: Plan, profile: Profile | None = None) -> str:
    """Return how many points stand where, and what goes out; with a profile, what it may cost."""
    lines = [f"sweep {plan.sweep.name}: {len(plan.points)} points ({plan.sweep.experiment})"]
    lines += _states(plan)
    if plan.stale:
        lines.append(
            f"  {plan.stale} finished by another version of the code (--force runs them again)"
        )
    if plan.anew:
        lines.append(
            f"  {plan.anew} start anew: another version of the code began them, and a result is "
            "of one version"
        )
    if plan.count(State.FAILED) and not any(item.state is State.FAILED for item in plan.rest):
        lines.append("  failed points stay as they are; --retry-failed sends them again")
    if plan.first:
        lines.append(f"  first: {len(plan.first)} prerequisite ({plan.first[0].experiment})")
    if plan.empty:
        lines.append(f"  nothing to submit: {_why_empty(plan)}")
    elif profile is not None:
        parts = (plan.first, plan.rest)
        tasks = sum(len(pack(items, profile, plan.sweep.own)) for items in parts)
        hours = gpu_hours(tasks, profile)
        lines.append(f"  {tasks} tasks, at most {hours:.1f} GPU-hours (each up to {profile.time})")
    lines.append(f"  W&B: {plan.sweep.wandb.get(CHOSEN, 'not decided')}")
    return "\n".join(lines)


def _states(plan: Plan) -> list[str]:
    going = {item.id for item in plan.rest}
    lines = []
    for state in State:
        count = plan.count(state)
        if count:
            sent = sum(item.state is state and item.id in going for item in plan.points)
            lines.append(f"  {state:<12}{count:>5}" + (f"   {sent} to run" if sent else ""))
    return lines


def _why_empty(plan: Plan) -> str:
    if plan.count(State.FINISHED) == len(plan.points):
        return "all points are finished"
    return "the rest is running" if plan.count(State.RUNNING) else "all points have ended"


def next_steps(arrays: Sequence[str], report: str, status_words: str, index: Path) -> str:
    """Return the commands that follow a submission; `status_words` show it with status.py."""
    return "\n".join(
        [
            f"submitted: {' '.join(arrays)}, then the report: {report}",
            f"  watch:   python jobs/status.py {status_words} --watch",
            f"  cancel:  scancel {' '.join([*arrays, report])}",
            f"  report:  {shown(index)}",
        ]
    )
