"""A sweep's name: its file's, with what the command line changes; or one that was given."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from hw5hpc.experiments import SCHEMAS
from hw5hpc.sweep import SweepError, load, names

SHIFT = Path(__file__).resolve().parents[2] / "sweeps" / "softmax_shift.yaml"


def name(*overrides: str, path: Path = SHIFT, debug: bool = False, given: str | None = None) -> str:
    return load(path, SCHEMAS, overrides, debug, name=given).name


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "softmax_shift"),
        (["softmax.offset=[0,88]"], "softmax_shift-offset=0,88"),
        (["softmax.offset=[0.0, 88.0]"], "softmax_shift-offset=0,88"),
        (["softmax.offset=1e-4"], "softmax_shift-offset=0.0001"),
        (["seed={range: [0, 5]}"], "softmax_shift-seed=range-0,5"),
        (["softmax.rows=5", "seed=1"], "softmax_shift-rows=5-seed=1"),
        (["seed=1", "softmax.rows=5"], "softmax_shift-rows=5-seed=1"),
        (["cluster.time=02:00:00", "cluster.nodes=2"], "softmax_shift"),
    ],
)
def test_overrides_that_change_points_change_the_name(words: list[str], expected: str) -> None:
    assert name(*words) == expected
    assert name(*words, debug=True) == f"{expected}_debug"


def test_where_data_lie_and_how_often_to_checkpoint_change_no_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("experiment: cnn\n")
    assert name("data.root=/a", "train.checkpoint_minutes=1", path=path) == "mine"
    assert name("data.limit=null", "model.batch_norm=[true]", path=path) == (
        "mine-batch_norm=true-limit=null"
    )


def test_keys_that_end_alike_are_written_in_full() -> None:
    known = ["gan.samples", "score.samples", "seed"]
    assert names.shortened({"gan.samples": 3, "seed": 1}, known) == {"gan.samples": 3, "seed": 1}


def test_a_name_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("experiment: softmax\nname: sharp\n")
    assert name(path=path) == "sharp"
    assert name("seed=1", path=path) == "sharp-seed=1"
    assert name("seed=1", path=path, given="blunt") == "blunt"
    assert name(path=path, given="blunt", debug=True) == "blunt_debug"
    named = load(path, SCHEMAS, ["seed=1"], name="blunt", seed_count=3)
    assert (named.base, named.changes) == ("sharp", ("seed=1", "--seeds 3"))


@pytest.mark.parametrize("bad", ["", "a/b", "..", "-x", "a b", "a\n", "x" * 101, "é", "a;b"])
def test_bad_names_are_one_line(tmp_path: Path, bad: str) -> None:
    with pytest.raises(SweepError, match="--name takes at most 100 letters") as caught:
        name(given=bad)
    assert str(caught.value).isprintable()
    path = tmp_path / "mine.yaml"
    path.write_text(f"experiment: softmax\nname: {bad!r}\n")
    with pytest.raises(SweepError, match="name"):
        name(path=path)


@pytest.mark.parametrize("bad", ["5", "true", "[a]", "{a: b}"])
def test_a_name_is_text(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"experiment: softmax\nname: {bad}\n")
    with pytest.raises(SweepError, match="'name' takes"):
        name(path=path)


def test_a_file_whose_name_is_no_name_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "my sweep.yaml"
    path.write_text("experiment: softmax\n")
    with pytest.raises(SweepError, match="give a --name"):
        name(path=path)
    assert name(path=path, given="mine") == "mine"


KEYS = some.text("abc._", min_size=1)
SCALARS = some.none() | some.booleans() | some.integers() | some.floats() | some.text()


@given(some.dictionaries(KEYS, SCALARS | some.lists(SCALARS), max_size=5))
def test_every_derived_name_is_safe_short_and_the_same_again(overrides: dict[str, object]) -> None:
    made = names.derive("base", overrides)
    assert names.check(made) == made
    assert names.derive("base", dict(reversed(overrides.items()))) == made


@given(some.lists(some.text(min_size=1), min_size=2, max_size=2, unique=True))
def test_texts_that_differ_only_in_unsafe_characters_have_other_names(texts: list[str]) -> None:
    first, second = (names.derive("base", {"key": text}) for text in texts)
    assert first != second


def test_a_long_name_is_cut_and_ends_in_a_hash() -> None:
    one, two = (name(f"softmax.offset={[*range(60), last]}") for last in (98, 99))
    assert len(one) == len(two) == 100
    assert one[:91] == two[:91]
    assert one != two
