"""Top every setting of a sweep up to a number of seeds."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from hw5hpc.sweep.grammar import Block
from hw5hpc.sweep.point import Point, flatten


def check(fixed: Iterable[Block]) -> None:
    """Refuse 'zip' and 'points' blocks that tie a seed to other values.

    Raises:
        ValueError: one of them sets `seed`.
    """
    if any("seed" in block for block in fixed):
        raise ValueError(
            "--seeds cannot add to seeds that stand in a 'zip' or 'points' block; "
            "move 'seed' to 'grid' or edit the file"
        )


def missing(
    points: Sequence[Point], count: int, excluded: Sequence[Block], most: int
) -> Iterator[Point]:
    """Yield what each setting (all keys but `seed`) lacks to `count` seeds.

    A setting keeps its seeds and gets the smallest whole numbers from 0 that it has not, without
    those that an `exclude` block leaves out; one that has as many seeds or more gets none.

    Raises:
        ValueError: there would be more than `most` points.
    """
    settings: dict[str, list[Point]] = {}
    for point in points:
        settings.setdefault(_with_seed(point, 0).id, []).append(point)
    if count * len(settings) > most:
        raise ValueError(f"--seeds {count} gives too many points; at most {most} are allowed")
    for group in settings.values():
        used = {point.config.seed for point in group}
        fresh = (_with_seed(group[0], seed) for seed in itertools.count() if seed not in used)
        allowed = (point for point in fresh if not leaves_out(excluded, flatten(point.config)))
        yield from itertools.islice(allowed, max(count - len(used), 0))


def leaves_out(excluded: Sequence[Block], values: dict[str, Any]) -> bool:
    """Whether an `exclude` block matches a point's values."""
    return any(block.items() <= values.items() for block in excluded)


def _with_seed(point: Point, seed: int) -> Point:
    config = dataclasses.replace(point.config, seed=seed)
    return dataclasses.replace(point, config=config, swept={**point.swept, "seed": seed})
