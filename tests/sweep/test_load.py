"""From a sweep file to points: the grammar, overrides, ids and error lines."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from hw5hpc.experiments import SCHEMAS
from hw5hpc.experiments.classifier.config import ClassifierConfig
from hw5hpc.experiments.gan.config import GanConfig
from hw5hpc.experiments.optimizers import OptimConfig
from hw5hpc.sweep import RunConfig, Sweep, SweepError, load, run_id
from hw5hpc.sweep.point import added, flatten, identity
from hw5hpc.sweep.schema import Schema

Write = Callable[[str], Path]

BASE = """
experiment: gan
config: {train.epochs: 3}
grid:
  gan.unroll_steps: [0, 1]
  seed: {range: [0, 3]}
"""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(text: str) -> Path:
        path = tmp_path / "test.yaml"
        path.write_text(text)
        return path

    return to_file


def read(path: Path, *overrides: str, debug: bool = False) -> Sweep:
    return load(path, SCHEMAS, overrides, debug)


def values(sweep: Sweep, key: str) -> list[object]:
    return [flatten(point.config)[key] for point in sweep.points]


def test_grid_is_every_combination(write: Write) -> None:
    sweep = read(write(BASE))
    assert len(sweep.points) == 6
    assert sweep.swept == ("gan.unroll_steps", "seed")
    assert len({point.id for point in sweep.points}) == 6
    assert set(values(sweep, "train.epochs")) == {3}


def test_zip_walks_side_by_side(write: Write) -> None:
    text = BASE + "zip:\n  - {optim.lr: [0.1, 0.2], train.batch_size: [8, 16]}\n"
    pairs = {(p.config.optim.lr, p.config.train.batch_size) for p in read(write(text)).points}
    assert pairs == {(0.1, 8), (0.2, 16)}


def test_points_and_exclude(write: Write) -> None:
    text = (
        BASE + "points:\n  - {gan.unroll_steps: 7}\nexclude:\n  - {gan.unroll_steps: 1, seed: 2}\n"
    )
    sweep = read(write(text))
    assert len(sweep.points) == 6
    assert values(sweep, "gan.unroll_steps").count(7) == 1
    assert values(sweep, "gan.unroll_steps").count(1) == 2


def test_only_points(write: Write) -> None:
    sweep = read(write("experiment: gan\npoints:\n  - {seed: 3}\n  - {seed: 4}\n"))
    assert values(sweep, "seed") == [3, 4]


def test_nested_config_equals_dotted(write: Write) -> None:
    dotted = read(write("experiment: gan\nconfig: {train.epochs: 2, data.limit: 9}\n"))
    nested = read(write("experiment: gan\nconfig: {train: {epochs: 2}, data: {limit: 9}}\n"))
    assert dotted.points[0].id == nested.points[0].id


def test_command_line_replaces_values_and_axes(write: Write) -> None:
    sweep = read(write(BASE), "seed=[7, 8]", "gan.unroll_steps=5", "optim.lr=1e-3")
    assert values(sweep, "seed") == [7, 8]
    assert set(values(sweep, "gan.unroll_steps")) == {5}
    assert set(values(sweep, "optim.lr")) == {1e-3}


def test_command_line_wins_over_debug_wins_over_config(write: Write) -> None:
    path = write(BASE + "debug: {train.epochs: 1, seed: [0]}\n")
    assert set(values(read(path, debug=True), "train.epochs")) == {1}
    assert len(read(path, debug=True).points) == 2
    assert set(values(read(path, "train.epochs=9", debug=True), "train.epochs")) == {9}
    assert read(path, debug=True).name == "test_debug"


def test_ids_hold_over_spelling_order_and_place(write: Write) -> None:
    first = read(write("experiment: gan\nconfig: {optim.lr: 1, data.root: /a}\n")).points[0]
    second = read(write("experiment: gan\nconfig: {data.root: /b, optim.lr: 1.0}\n")).points[0]
    assert first.id == second.id


def test_id_is_stable_over_versions(write: Write) -> None:
    """A change of this id loses every finished run of every user: only with a format change."""
    point = read(write("experiment: classifier\n")).points[0]
    assert point.id == "e96e9e92ba9e"


@dataclass(frozen=True)
class Group:
    """A config group with a field that came later."""

    size: int = 1
    kind: str = added("plain")


@dataclass(frozen=True)
class Old(RunConfig):
    size: int = 1


@dataclass(frozen=True)
class Grown(Old):
    colour: str | None = added(None)
    group: Group = field(default_factory=Group)


def test_an_added_field_moves_no_id_while_it_has_its_default() -> None:
    assert identity(Group()) == {"size": 1}
    assert identity(Group(kind="new")) == {"size": 1, "kind": "new"}
    assert "colour" not in identity(Grown())
    assert run_id("toy", Grown(colour="red")) != run_id("toy", Grown())
    assert run_id("toy", Grown(group=Group(kind="new"))) != run_id("toy", Grown())


def test_an_added_group_of_added_fields_moves_no_id() -> None:
    @dataclass(frozen=True)
    class Late:
        kind: str = added("plain")

    @dataclass(frozen=True)
    class Later(Old):
        late: Late = field(default_factory=Late)

    assert run_id("toy", Later()) == run_id("toy", Old())
    assert run_id("toy", Later(late=Late("new"))) != run_id("toy", Old())


def test_another_default_of_the_classifier_moves_the_gans_id(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def scored_by(classifier: ClassifierConfig) -> str:
        needed = {"classifier": ("classifier", classifier)}
        monkeypatch.setattr(GanConfig, "prerequisites", lambda self: needed)
        return run_id("gan", GanConfig())

    plain = run_id("gan", GanConfig())
    ((_, today),) = GanConfig().prerequisites().values()
    assert isinstance(today, ClassifierConfig)
    assert scored_by(today) == plain
    assert scored_by(replace(today, optim=OptimConfig(lr=2e-3))) != plain
    elsewhere = replace(today, data=replace(today.data, root="/elsewhere"))
    assert scored_by(elsewhere) == plain


def test_every_scientific_key_changes_the_id(write: Write) -> None:
    plain = read(write("experiment: gan\n")).points[0]
    changes = ["seed=1", "data.limit=5", "optim.lr=0.5", "gan.unroll_steps=1", "score.samples=99"]
    ids = {read(write("experiment: gan\n"), change).points[0].id for change in changes}
    assert len(ids | {plain.id}) == len(changes) + 1


def test_a_value_is_checked_once_however_many_points_have_it(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, checked = Schema._convert, []

    def convert(self: Schema, key: str, value: object) -> object:
        checked.append((key, repr(value)))
        return real(self, key, value)

    monkeypatch.setattr(Schema, "_convert", convert)
    sweep = read(write(BASE), "seed={range: [0, 500]}")
    assert len({point.id for point in sweep.points}) == 1000
    assert len(checked) == len(set(checked)) < 520


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("experiment: gan\ngird: {seed: [1]}\n", "unknown block 'gird'.*Did you mean 'grid'"),
        ("grid: {seed: [1]}\n", "'experiment' is missing"),
        ("experiment: gam\n", "unknown experiment 'gam'.*Did you mean 'gan'"),
        ("experiment: gan\nconfig: {gan.unrol_steps: 1}\n", "Did you mean 'gan.unroll_steps'"),
        ("experiment: gan\nconfig: {gan.unroll_steps: -1}\n", "at least 0, got -1"),
        ("experiment: gan\nconfig: {gan.unroll_steps: abc}\n", "takes int, got 'abc'"),
        ("experiment: gan\nconfig: {gan.unroll_steps: 1.5}\n", "takes int, got 1.5"),
        ("experiment: gan\nconfig: {data.name: cifar}\n", "Did you mean 'cifar10'"),
        ("experiment: gan\nconfig: {data.name: '${oc.env:HOME}'}\n", "plain value"),
        ("experiment: gan\nconfig: {data.name: '???'}\n", "which stands for none"),
        ("experiment: gan\ngrid: {seed: []}\n", "'seed' is empty"),
        ("experiment: gan\ngrid: {seed: [1, 1]}\n", "two points are the same run"),
        ("experiment: gan\ngrid: {gan: [1]}\n", "is a group"),
        ("experiment: gan\nzip: [{seed: [1, 2], optim.lr: [1]}]\n", "differ in length"),
        ("experiment: gan\ngrid: {seed: [1]}\nzip: [{seed: [1]}]\n", "'seed' is swept twice"),
        ("experiment: gan\nexclude: [{seed: 0}]\n", "no points are left"),
        ("experiment: gan\nconfig: [1]\n", "'config' takes 'key: value'"),
        ("experiment: gan\nreport: losses\n", "list of figure names"),
        ("experiment: [gan\n", "broken YAML"),
        ("- a\n", "mapping of blocks"),
        ("", "mapping of blocks"),
        ("experiment: gan\ngrid: {seed: {range: [0, 1000]}, data.limit: {range: [1, 1001]}}\n",
         "at most 100000"),
    ],
)  # fmt: skip
def test_bad_files_give_one_line(write: Write, text: str, words: str) -> None:
    path = write(text)
    with pytest.raises(SweepError, match=words) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_names_its_neighbour(write: Write) -> None:
    path = write(BASE)
    with pytest.raises(SweepError, match=r"no such file.*Did you mean 'test.yaml'"):
        read(path.with_name("tset.yaml"))


@pytest.mark.parametrize("word", ["seed", "=1", "seed=[", "seed={range: [0]}"])
def test_bad_overrides(write: Write, word: str) -> None:
    with pytest.raises(SweepError):
        read(write(BASE), word)


def test_a_zipped_key_is_not_overridden(write: Write) -> None:
    path = write("experiment: gan\nzip: [{seed: [1, 2]}]\n")
    with pytest.raises(SweepError, match="zip"):
        read(path, "seed=3")
