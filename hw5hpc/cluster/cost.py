"""What a plan is likely to cost, from runs that were measured: where there are none, no number."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hw5hpc.cluster.plan import Item, Plan, gpu_hours, pack, pack_size
from hw5hpc.cluster.profile import Profile
from hw5hpc.errors import UserError
from hw5hpc.store import Outputs, RunFolder, StoreError
from hw5hpc.store.files import numbers
from hw5hpc.sweep.point import flatten

# Enough to know what an epoch takes; more would only make a plan slow.
MOST_MEASURED = 60


@dataclass(frozen=True)
class Measured:
    """A run that has a result: its config without the seed, its seconds, and its device."""

    config: Mapping[str, Any]
    epochs: int
    seconds: float
    device: str


@dataclass(frozen=True)
class Estimate:
    """GPU-hours of a plan, from so many measured runs on these devices."""

    hours: float
    runs: int
    devices: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        return (
            f"about {self.hours:.2g} GPU-hours, from {self.runs} measured runs "
            f"({', '.join(self.devices)})"
        )


def most(plan: Plan, profile: Profile) -> tuple[int, float]:
    """Return (tasks, GPU-hours) at most: every task up to its time limit."""
    parts = [(plan.first, profile.for_prerequisites()), (plan.rest, profile)]
    tasks = [(len(pack(items, asked, plan.sweep.own)), asked) for items, asked in parts]
    return sum(count for count, _ in tasks), sum(gpu_hours(count, one) for count, one in tasks)


def estimate(plan: Plan, profile: Profile, outputs: Outputs) -> Estimate | None:
    """Return what the plan's runs are likely to take; None without a measured run of each kind.

    A run takes what runs of its config but for the seed took, else the mean of an epoch of its
    experiment. Runs on CPUs count for jobs that train on CPUs alone. Runs abreast share their GPU.
    """
    hours, used = 0.0, dict[str, list[Measured]]()
    for items, asked in ((plan.first, profile.for_prerequisites()), (plan.rest, profile)):
        for experiment in dict.fromkeys(item.experiment for item in items):
            mine = [item for item in items if item.experiment == experiment]
            known = used.setdefault(experiment, measured(plan, outputs, experiment, asked))
            if not known:
                return None
            gpus = asked.gpus / min(
                asked.at_a_time or 1, pack_size(experiment, asked, plan.sweep.own)
            )
            hours += sum(_seconds(item, known) for item in mine) * gpus / 3600
    runs = [run for known in used.values() for run in known]
    return Estimate(hours, len(runs), tuple(sorted({run.device for run in runs}))) if runs else None


def measured(plan: Plan, outputs: Outputs, experiment: str, profile: Profile) -> list[Measured]:
    """Return measured runs of an experiment: this sweep's own first, then others of the folder."""
    own = [outputs.run(item.id) for item in plan.points if item.state.done]
    folder = outputs.root / "runs"
    others = (RunFolder(path) for path in sorted(folder.iterdir())) if folder.is_dir() else ()
    cpu = profile.trains_on == "cpu" or not profile.gpus
    found: dict[str, Measured] = {}
    for run in _first([*own, *others], MOST_MEASURED):
        if made := _read(run, experiment, cpu):
            found[run.id] = made
    return list(found.values())


def _first(runs: Sequence[RunFolder], most: int) -> Iterable[RunFolder]:
    return list({run.id: run for run in runs}.values())[:most]


def _read(run: RunFolder, experiment: str, cpu: bool) -> Measured | None:
    try:
        result = run.result() or {}
        name, config = run.config() if result else ("", {})
    except (StoreError, ValueError):
        return None
    facts, epochs = numbers(result), run.status().epochs
    seconds, devices = facts.get("seconds"), facts.get("devices")
    if name != experiment or not seconds or devices is None or (devices == 0) is not cpu:
        return None
    return Measured(_settings(config), epochs, seconds, str(result.get("device") or "CPU"))


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key != "seed"}


def _seconds(item: Item, known: Sequence[Measured]) -> float:
    config = _settings(flatten(item.config))
    same = [run.seconds for run in known if run.config == config]
    if same:
        return sum(same) / len(same)
    epochs = sum(max(run.epochs, 1) for run in known)
    return sum(run.seconds for run in known) / epochs * item.config.epochs


def check(plan: Plan, profile: Profile, outputs: Outputs, limit: float | None) -> None:
    """Refuse a plan that takes more than `limit` GPU-hours, by estimate or else at most.

    Raises:
        UserError: one line with the number and where it comes from.
    """
    if limit is None or plan.empty:
        return
    guess, (_, highest) = estimate(plan, profile, outputs), most(plan, profile)
    hours = guess.hours if guess else highest
    if hours > limit:
        told = str(guess) if guess else f"at most {highest:.1f} GPU-hours, by its time limits"
        raise UserError(f"the plan takes {told}; --max-gpu-hours {limit:g} allows less")
