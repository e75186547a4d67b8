"""Look for the data of a plan before anything is sent or trained."""

from hw5hpc.cluster.plan import Plan
from hw5hpc.data.find import require


def check(plan: Plan) -> None:
    """Raise DataError unless every data set that the plan needs is on this machine.

    Raises:
        DataError: one line with what is missing, where it was looked for, and the remedy.
    """
    wanted = [
        item.config.data for item in (*plan.first, *plan.rest) if hasattr(item.config, "data")
    ]
    for name, root in dict.fromkeys((data.name, data.root) for data in wanted):
        require(name, root)
