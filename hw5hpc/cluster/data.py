"""Look for the data of a plan, and read them once, before anything is sent or trained."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from functools import cache

from hw5hpc.cluster.plan import Item, Plan
from hw5hpc.data.find import require, root_for_nodes
from hw5hpc.data.read import read
from hw5hpc.data.sets import DATA_SETS, DataError
from hw5hpc.experiments.config import ImagesConfig
from hw5hpc.store import Outputs, State
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


# Where a data set was looked for: its name, and its root (None for the usual places).
Place = tuple[str, str | None]


def check_found(plan: Plan) -> None:
    """Look for each data set that the plan needs; nothing is read, and nothing is written.

    Raises:
        DataError: one is not on this machine.
    """
    for place in _places((*plan.first, *plan.rest)):
        require(*place)


def content_of(name: str, root: str | None) -> str:
    """Read a data set here, and return the hash of what is in it."""
    return read(name, root).content


def check(
    plan: Plan, outputs: Outputs, reader: Callable[[str, str | None], str] = content_of
) -> list[str]:
    """Read each data set that the plan needs as its runs will; what cannot be read is told now.

    Idx files and pickles take about a second. Folders of images are decoded once
    (hw5hpc.data.class_folders); after that only the files' names, sizes and times are compared.
    `reader` reads one (name, root) and returns the hash of what is in it.

    Returns:
        Lines on points whose results, or checkpoints, are of other data than are here now.

    Raises:
        DataError: one line with what is missing or damaged, and the remedy.
    """
    needed = _places((*plan.first, *plan.rest))
    here = {place: reader(*place) for place in needed}
    for place in _places(plan.points) - needed:
        # Finished runs need no data, so there may be none here to compare theirs with.
        with contextlib.suppress(DataError):
            here[place] = content_of(*place)
    return _differing(plan, outputs, here)


def _places(items: Iterable[Item]) -> set[Place]:
    asked = (item.config.images for item in items)
    return {(data.name, data.root) for data in asked if data and DATA_SETS[data.name].reader}


def _differing(plan: Plan, outputs: Outputs, here: Mapping[Place, str]) -> list[str]:
    done: dict[str, int] = {}
    begun: dict[str, int] = {}
    going = {item.id for item in plan.rest}
    for item in plan.points:
        if item.state is State.RUNNING or (item.state.done and item.id in going):
            continue
        data = item.config.images
        content = here.get((data.name, data.root)) if data else None
        before = outputs.run(item.id).provenance().get("data_sha256") if content else None
        if data and before and before != content:
            counts = done if item.state.done else begun
            counts[data.name] = counts.get(data.name, 0) + 1
    return [
        *(f"  {count} finished on other {name} data than are here now (--force runs them again)"
          for name, count in done.items()),
        *(f"  {count} began on other {name} data than are here now, and start anew"
          for name, count in begun.items()),
    ]  # fmt: skip
