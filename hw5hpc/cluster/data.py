"""Look for the data of a plan, and read them once, before anything is sent or trained."""

import dataclasses
from functools import cache

from hw5hpc.cluster.plan import Plan
from hw5hpc.data.find import root_for_nodes
from hw5hpc.data.read import read
from hw5hpc.data.sets import DATA_SETS
from hw5hpc.experiments.config import ImagesConfig
from hw5hpc.sweep import Point, Sweep


def located(sweep: Sweep) -> Sweep:
    """Return the sweep with each `data.root` as every node and every working directory reads it.

    Raises:
        DataError: a home folder (`~nobody/x`) is not known.
    """
    settled = cache(root_for_nodes)

    def placed(point: Point) -> Point:
        config = point.config
        if not isinstance(config, ImagesConfig):
            return point
        data = dataclasses.replace(config.data, root=settled(config.data.name, config.data.root))
        return dataclasses.replace(point, config=dataclasses.replace(config, data=data))

    return dataclasses.replace(sweep, points=tuple(placed(point) for point in sweep.points))


def check(plan: Plan) -> None:
    """Read each data set that the plan needs as its runs will; what cannot be read is told now.

    Idx files and pickles take about a second. Folders of images are decoded once
    (hw5hpc.data.class_folders); after that only the files' names, sizes and times are compared.

    Raises:
        DataError: one line with what is missing or damaged, and the remedy.
    """
    asked = [item.config.images for item in (*plan.first, *plan.rest)]
    for name, root in dict.fromkeys((data.name, data.root) for data in asked if data):
        if DATA_SETS[name].reader:
            read(name, root)
