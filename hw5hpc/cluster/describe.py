"""A plan and a submission in words, for the terminal."""

import os
from collections.abc import Sequence
from pathlib import Path

from hw5hpc.cluster import cost, explain
from hw5hpc.cluster.plan import Plan
from hw5hpc.cluster.profile import KEYS, Profile
from hw5hpc.cluster.shell import counting
from hw5hpc.console import shown
from hw5hpc.store import Outputs, State
from hw5hpc.text import safe
from hw5hpc.tracking.words import CHOSEN

# What of a profile a plan shows, and of its defaults.
ASKED = [key for key in KEYS if key not in ("setup", "slurm_conf", "wandb", "out")]
DEFAULTS = ("time", "mem_gb", "cpus_per_task", "gpus_per_node", "nodes")


def describe_plan(
    plan: Plan, profile: Profile | None = None, outputs: Outputs | None = None
) -> str:
    """Return how many points stand where, what goes out and why.

    With a profile also what it may cost; with the outputs, what measured runs let expect.
    """
    lines = [f"sweep {plan.sweep.name}: {len(plan.points)} points ({plan.sweep.experiment})"]
    lines += [*_states(plan), *explain.points(plan)]
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
    unknown = [item.unknown for item in plan.points if item.unknown]
    if unknown:
        jobs = f"{', '.join(unknown[:3])}{', ...' if len(unknown) > 3 else ''}"
        lines.append(
            f"  {len(unknown)} are left alone, as Slurm does not show their jobs here ({jobs}); "
            "where such a job is gone, remove job.json in the run's folder"
        )
    if plan.first:
        lines.append(f"  first: {len(plan.first)} prerequisite ({plan.first[0].experiment})")
    lines += _needs(plan)
    if plan.empty:
        lines.append(f"  nothing to submit: {_why_empty(plan)}")
    elif profile is not None:
        lines += [*_costs(plan, profile, outputs), *_sources(profile)]
    lines.append(f"  W&B: {plan.sweep.wandb.get(CHOSEN, 'not decided')}")
    return "\n".join(lines)


def _needs(plan: Plan) -> list[str]:
    """What is damaged, and which points are kept back for want of an earlier run."""
    lines = [
        f"  the {entry.experiment} run {entry.id} is made anew: {safe(entry.damage)}"
        for entry in plan.first
        if entry.damage
    ]
    for entry in plan.blocked:
        count = sum(entry.id in item.needs for item in plan.held)
        remedy = "; --retry-failed sends both" if entry.state is State.FAILED else ""
        lines.append(
            f"  {count} kept back: they need the {entry.experiment} run {entry.id}, which "
            f"{entry.state} ({safe(entry.reason)}){remedy}"
        )
    going = {item.id for item in plan.rest}
    damaged = [item for item in plan.points if item.damage and item.id not in going]
    lines += [f"  finished, but damaged: {safe(item.damage)}" for item in damaged[:3]]
    if damaged:
        lines.append(f"  {len(damaged)} damaged in all (--force runs finished points again)")
    return lines


def _states(plan: Plan) -> list[str]:
    going = {item.id for item in plan.rest}
    lines = []
    for state in State:
        count = plan.count(state)
        if count:
            sent = sum(item.state is state and item.id in going for item in plan.points)
            lines.append(f"  {state:<12}{count:>5}" + (f"   {sent} to run" if sent else ""))
    return lines


def _costs(plan: Plan, profile: Profile, outputs: Outputs | None) -> list[str]:
    count, hours = cost.most(plan, profile)
    guess = cost.estimate(plan, profile, outputs) if outputs else None
    abreast = profile.at_a_time or 1
    beside = f"{abreast} of its runs at a time in each, " if abreast > 1 else ""
    highest = f"  {count} tasks, {beside}at most {hours:.1f} GPU-hours (each up to {profile.time})"
    return [highest, *([f"  {guess}"] if guess else [])]


def _sources(profile: Profile) -> list[str]:
    """Return what each source of values says about a task, and what of it another overruled."""
    options = profile.options()
    shell = {name: name.removeprefix("SBATCH_").lower() for name in counting(options)}
    given: dict[str, list[str]] = {"default": [], **{layer.name: [] for layer in profile.layers}}
    overruled = []
    known = {key: layer for layer in profile.layers for key in layer.values}
    for key in ASKED:
        value = getattr(profile, key)
        source = known[key].name if key in known else "default"
        if value not in (None, {}) and (key in known or key in DEFAULTS):
            given[source].append(f"{key}={value}")
        overruled += [
            f"{key}={layer.values[key]} ({layer.name})"
            for layer in profile.layers
            if key in layer.values and str(layer.values[key]) != str(value)
        ]
    lines = [f"    {name}: {' '.join(words)}" for name, words in given.items() if words]
    lines += [f"    ${name}: {key}={os.environ[name]}" for name, key in shell.items()]
    lines += [f"    overruled: {', '.join(overruled)}"] if overruled else []
    return ["  asked for, and by whom:", *lines]


def _why_empty(plan: Plan) -> str:
    if plan.count(State.FINISHED) == len(plan.points):
        return "all points are finished"
    if plan.held:
        return "what is left needs an earlier run that ended without a result"
    return "the rest is running" if plan.count(State.RUNNING) else "all points have ended"


def next_steps(arrays: Sequence[str], report: str, status_words: str, index: Path) -> str:
    """Return the commands that follow a submission; `status_words` show it with status.py.

    `report` is '' where no report job was taken.
    """
    make = shown(index) if report else f"python jobs/aggregate.py {status_words}"
    return "\n".join(
        [
            f"submitted: {' '.join(arrays)}" + (f", then the report: {report}" if report else ""),
            f"  watch:   python jobs/status.py {status_words} --watch",
            f"  cancel:  python jobs/cancel.py {status_words}",
            f"  report:  {make}",
        ]
    )
