"""Look for the data of a plan before anything is sent or trained."""

from hw5hpc.cluster.plan import Plan
from hw5hpc.data.find import require


def check(plan: Plan) -> None:
    """Raise DataError unless every data set that the plan needs is on this machine.

    Raises:
        DataError: one line with what is missing, where it was looked for, and the remedy.
    """
    asked = [item.config.images for item in (*plan.first, *plan.rest)]
    for name, root in dict.fromkeys((data.name, data.root) for data in asked if data):
        require(name, root)
