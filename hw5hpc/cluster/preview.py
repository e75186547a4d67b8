"""What would be sent, on a machine without Slurm too: the plan and the script, nothing touched."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from hw5hpc.cluster import cost, slurm, submit
from hw5hpc.cluster import plan as planning
from hw5hpc.cluster.data import check_found
from hw5hpc.cluster.describe import describe_plan
from hw5hpc.cluster.plan import Plan
from hw5hpc.errors import UserError
from hw5hpc.node.known_jobs import KnownJobs

if TYPE_CHECKING:
    from hw5hpc.cluster.request import Request


def preview(request: "Request", say: Callable[[str], None]) -> None:
    """Show the plan and the script; all that can be known here is checked.

    Raises:
        UserError: Slurm would refuse it, it costs too much, or data that are needed are not here.
    """
    try:
        slurm.require(request.profile)
    except slurm.SlurmError as error:
        jobs, trouble = None, str(error)
    else:
        jobs, trouble = KnownJobs(request.profile.ask_seconds), ""
    plan = request.plan(jobs)
    for warning in _warnings(request, plan, asked=jobs is not None):
        say(f"warning: {warning}")
    say(describe_plan(plan, request.profile, request.outputs))
    if trouble:
        say(
            f"  {trouble}: whether the partition and the account exist is not known, nor whether "
            "jobs sent before still wait or run"
        )
    cost.check(plan, request.profile, request.outputs, request.max_gpu_hours)
    # A script is no prose to be folded.
    print("\n".join(submit.scripts(plan, request.profile, request.outputs, request.canary)))


def _warnings(request: "Request", plan: Plan, asked: bool) -> list[str]:
    """Data that are not on a machine without Slurm may be on the cluster."""
    if asked:
        planning.check_waits(plan, for_jobs=True)
        check_found(plan)
        return slurm.preflight(request.profile, None, bool(plan.first)) if not plan.empty else []
    try:
        check_found(plan)
    except UserError as error:
        return [f"on this machine {error}"]
    return []
