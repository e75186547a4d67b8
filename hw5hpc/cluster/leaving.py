"""What a training on this machine leaves when it ends early: no run queued for nobody."""

from collections.abc import Mapping

from hw5hpc.cluster.plan import Plan
from hw5hpc.store import Outputs, State, Status, holder


def standing(plan: Plan, outputs: Outputs) -> dict[str, Status]:
    """Return the status of each run that the plan is to train, before it does."""
    return {item.id: outputs.run(item.id).status() for item in (*plan.first, *plan.rest)}


def restore(outputs: Outputs, before: Mapping[str, Status]) -> None:
    """Give the runs that were not begun the status that they had before."""
    for name, status in before.items():
        run = outputs.run(name)
        if run.status().state is State.QUEUED and holder(run) is None:
            run.set_status(status)


def told(outputs: Outputs, before: Mapping[str, Status]) -> str:
    """Return what became of the runs until Ctrl-C."""
    now = {name: outputs.run(name).status().state for name in before}
    begun = [state for state in now.values() if state not in (State.NEW, State.QUEUED)]
    ended = sum(state.done or state is State.FAILED for state in begun)
    waiting = len(now) - len(begun)
    were = "was" if waiting == 1 else "were"
    return (
        f"stopped: {ended} of {len(now)} runs have ended, {len(begun) - ended} can go on from a "
        f"checkpoint, {waiting} {were} not begun; run the same command to go on"
    )
