"""Load a sweep: read the file, apply overrides, expand the points and check every one of them."""

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hw5hpc.errors import brief, unknown
from hw5hpc.sweep import axes, names, seeds
from hw5hpc.sweep.grammar import Block, SweepError, SweepFile, read
from hw5hpc.sweep.point import Point
from hw5hpc.sweep.reader import read_word
from hw5hpc.sweep.schema import Schema

MAX_POINTS = 100_000
CLUSTER = "cluster."


@dataclass(frozen=True)
class Sweep:
    """A checked sweep: its points, and the raw blocks for the layers above.

    `own` is the file of the user's own experiment, whose name `experiment` is then. `base` is the
    name that the sweep file alone gives; `changes` are the words of the command line that decide
    its points, `typed` all that gave it beside the file. `cluster` is the file's block with the
    command line's `cluster_words` in it.
    """

    path: Path
    name: str
    experiment: str
    points: tuple[Point, ...]
    swept: tuple[str, ...]
    cluster: Block
    report: tuple[str, ...]
    own: Path | None = None
    wandb: Block = dataclasses.field(default_factory=dict)
    base: str = ""
    changes: tuple[str, ...] = ()
    cluster_words: Block = dataclasses.field(default_factory=dict)
    typed: tuple[str, ...] = ()


def own_file(file: SweepFile) -> Path | None:
    """Return the user's own experiment: a Python file, given by its path from the sweep file."""
    return file.path.parent / file.experiment if file.experiment.endswith(".py") else None


def load(
    path: Path,
    schemas: Mapping[str, type],
    overrides: Sequence[str] = (),
    debug: bool = False,
    seed_count: int | None = None,
    name: str | None = None,
) -> Sweep:
    """Load a sweep file into validated points.

    Args:
        path: the sweep file.
        schemas: experiment name -> its config dataclass; with the name of the user's own file.
        overrides: `key=value` words of the command line; they win over everything in the file.
        debug: apply the file's `debug:` block.
        seed_count: top every setting up to so many seeds.
        name: the sweep's name; without one, the file's with what the overrides change.

    Raises:
        SweepError: one line with the file, the key, what is wrong and what is allowed.
    """
    file = read(path)
    own = own_file(file)
    file = file if own is None else dataclasses.replace(file, experiment=own.name)
    if file.experiment not in schemas:
        raise SweepError(f"{path}: {unknown('experiment', file.experiment, schemas)}")
    schema = Schema(file.experiment, schemas[file.experiment])
    file = dataclasses.replace(file, zip=[_lists(file, block) for block in file.zip])
    if debug:
        file = override(file, file.debug, f"{path}: debug")
    typed = parse_overrides(overrides)
    file = override(file, typed, "command line")
    cluster = {k.removeprefix(CLUSTER): v for k, v in typed.items() if k.startswith(CLUSTER)}
    points, swept = _points(file, schema, seed_count)
    base = file.name or path.stem
    changing = {key: value for key, value in typed.items() if schema.changes_points(key)}
    changes = [f"{key}={names.text(value)}" for key, value in sorted(changing.items())]
    try:
        full = names.choose(name, base, names.shortened(changing, schema.defaults))
    except ValueError as error:
        raise SweepError(f"{path}: {error}") from error
    return Sweep(
        path=path,
        name=full + ("_debug" if debug else ""),
        experiment=file.experiment,
        points=points,
        swept=swept,
        cluster=file.cluster,
        report=tuple(file.report),
        own=own,
        wandb=file.wandb,
        base=base,
        changes=(*changes, *([f"--seeds {seed_count}"] if seed_count is not None else [])),
        cluster_words=cluster,
        typed=_typed(overrides, debug, seed_count, name),
    )


def _typed(
    overrides: Sequence[str], debug: bool, seed_count: int | None, name: str | None
) -> tuple[str, ...]:
    seeds_words = () if seed_count is None else ("--seeds", str(seed_count))
    name_words = () if name is None else ("--name", name)
    return (*overrides, *seeds_words, *name_words, *(("--debug",) if debug else ()))


def parse_overrides(words: Iterable[str]) -> Block:
    """Parse `key=value` words, the value by the rules of the files.

    Raises:
        SweepError: a word without '=', or a value that is not YAML.
    """
    parsed: Block = {}
    for word in words:
        key, equals, text = word.partition("=")
        key = key.strip()
        if not equals or not key:
            raise SweepError(f"command line: {brief(word)} is not of the form key=value")
        try:
            parsed[key] = read_word(key, text)
        except ValueError as error:
            raise SweepError(f"command line: {error}") from error
    return parsed


def override(file: SweepFile, values: Block, where: str) -> SweepFile:
    """Return the file with keys set; a swept key is replaced by the value (or list of values)."""
    config, grid, cluster = dict(file.config), dict(file.grid), dict(file.cluster)
    for key, value in values.items():
        if any(key in block for block in (*file.zip, *file.points)):
            raise SweepError(
                f"{where}: key {brief(key)} is set by a 'zip' or 'points' block; edit the file"
            )
        if key.startswith(CLUSTER):
            cluster[key.removeprefix(CLUSTER)] = value
        elif isinstance(value, list | Mapping):
            grid[key] = value
            config.pop(key, None)
        elif key in grid:
            grid[key] = [value]
        else:
            config[key] = value
    return dataclasses.replace(file, config=config, grid=grid, cluster=cluster)


def _lists(file: SweepFile, block: Block) -> Block:
    lists = {key: _axis(file, key, raw) for key, raw in block.items()}
    lengths = {key: len(values) for key, values in lists.items()}
    if len(set(lengths.values())) > 1:
        shown = brief(lengths)
        raise SweepError(f"{file.path}: the lists of one 'zip' block differ in length: {shown}")
    return lists


def _axis(file: SweepFile, key: str, raw: Any) -> list[Any]:
    try:
        return axes.values(raw)
    except ValueError as error:
        raise SweepError(f"{file.path}: key {brief(key)} {error}") from error


def _combinations(file: SweepFile) -> Iterable[Block]:
    """Every grid combination with every row of every zip block, then the single points."""
    columns: list[list[Block]] = [
        [{key: value} for value in _axis(file, key, raw)] for key, raw in file.grid.items()
    ]
    for block in file.zip:
        rows = zip(*block.values(), strict=True)
        columns.append([dict(zip(block, row, strict=True)) for row in rows])
    total = 1
    for column in columns:
        total *= len(column)
    if total > MAX_POINTS:
        raise SweepError(f"{file.path}: gives {total} points; at most {MAX_POINTS} are allowed")
    if columns or not file.points:
        for choice in itertools.product(*columns):
            yield {key: value for part in choice for key, value in part.items()}
    yield from file.points


def _points(
    file: SweepFile, schema: Schema, count: int | None
) -> tuple[tuple[Point, ...], tuple[str, ...]]:
    try:
        if count is not None:
            seeds.check((*file.zip, *file.points))
        fixed = {key: schema.check(key, value) for key, value in file.config.items()}
        excluded = [_checked(schema, block) for block in file.exclude]
        swept = [key for block in (file.grid, *file.zip, *file.points) for key in block]
        swept += ["seed"] if count is not None else []
        keys = tuple(dict.fromkeys(swept))
        _check_once(key for block in (file.grid, *file.zip) for key in block)
        for key in keys:
            schema.check(key, schema.defaults.get(key))
        found: dict[str, Point] = {}
        for combination in _combinations(file):
            point = _point(schema, {**fixed, **_checked(schema, combination)}, keys, excluded)
            if point is not None:
                _add(found, point)
        if count is not None:
            added = seeds.missing(tuple(found.values()), count, excluded, MAX_POINTS)
            found |= {point.id: point for point in added}
    except ValueError as error:
        raise SweepError(f"{file.path}: {error}") from error
    if not found:
        raise SweepError(f"{file.path}: no points are left; 'exclude' leaves out every one")
    return tuple(found.values()), keys


def _check_once(keys: Iterable[str]) -> None:
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            raise ValueError(f"key {brief(key)} is swept twice, in 'grid' and 'zip' blocks")
        seen.add(key)


def _checked(schema: Schema, block: Block) -> Block:
    return {key: schema.check(key, value) for key, value in block.items()}


def _point(
    schema: Schema, values: Block, keys: tuple[str, ...], excluded: list[Block]
) -> Point | None:
    full = {**schema.defaults, **values}
    if seeds.leaves_out(excluded, full):
        return None
    return Point(schema.experiment, schema.build(values), {key: full[key] for key in keys})


def _add(found: dict[str, Point], point: Point) -> None:
    identifier = point.id
    if identifier in found:
        raise ValueError(f"two points are the same run {identifier}: {brief(point.swept)}")
    found[identifier] = point
