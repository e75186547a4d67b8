"""Look for the data of a plan, and read them once, before anything is sent or trained."""

import dataclasses
from functools import cache

from hw5hpc.cluster.plan import Plan
from hw5hpc.data.find import root_for_nodes
from hw5hpc.data.read import read
from hw5hpc.data.sets import DATA_SETS
from hw5hpc.experiments.config import DataConfig
from hw5hpc.sweep import Point, Sweep


def located(sweep: Sweep) -> Sweep:
    """Return the sweep with each `data.root` as every node and every working directory reads it.

    Raises:
        DataError: a home folder (`~nobody/x`) is not known.
    """
    settled = cache(root_for_nodes)

    def placed(point: Point) -> Point:
        data = getattr(point.config, "data", None)
        if not isinstance(data, DataConfig):
            return point
        root = settled(data.name, data.root)
        if root == data.root:
            return point
        data = dataclasses.replace(data, root=root)
        return dataclasses.replace(point, config=dataclasses.replace(point.config, data=data))

    return dataclasses.replace(sweep, points=tuple(placed(point) for point in sweep.points))


def check(plan: Plan) -> None:
    """Read each data set that the plan needs as its runs will; what cannot be read is told now.

    Idx files and pickles take about a second. Folders of images are decoded once
    (hw5hpc.data.class_folders); after that only the files' names, sizes and times are compared.

    Raises:
        DataError: one line with what is missing or damaged, and the remedy.
    """
    wanted = [getattr(item.config, "data", None) for item in (*plan.first, *plan.rest)]
    chosen = dict.fromkeys((d.name, d.root) for d in wanted if isinstance(d, DataConfig))
    for name, root in chosen:
        if DATA_SETS[name].reader:
            read(name, root)
