"""`--seeds N` tops every setting up to N seeds and leaves what is there as it is."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from hw5hpc.experiments import SCHEMAS
from hw5hpc.sweep import Sweep, SweepError, load

GRID = "experiment: ring\ngrid:\n  gan.unroll_steps: [0, 5]\n"


@pytest.fixture
def top_up(tmp_path: Path) -> Callable[..., Sweep]:
    def made(text: str, count: int, *overrides: str, debug: bool = False) -> Sweep:
        path = tmp_path / "test.yaml"
        path.write_text(text)
        return load(path, SCHEMAS, overrides, debug, seed_count=count)

    return made


def seeds(sweep: Sweep) -> dict[int, list[int]]:
    """Return {unroll steps: seeds in the order of the points}."""
    found = defaultdict(list)
    for point in sweep.points:
        assert point.swept["seed"] == point.config.seed
        found[point.config.gan.unroll_steps].append(point.config.seed)
    assert len({point.id for point in sweep.points}) == len(sweep.points)
    return dict(found)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("  seed: [5, 1]\n", [5, 1, 0, 2]),
        ("  seed: {range: [0, 3]}\n", [0, 1, 2, 3]),
        ("config: {seed: 7}\n", [7, 0, 1, 2]),
        ("", [0, 1, 2, 3]),
        ("  seed: [9, 8, 7, 6]\n", [9, 8, 7, 6]),
        ("  seed: [9, 8, 7, 6, 5]\n", [9, 8, 7, 6, 5]),
    ],
)
def test_the_files_seeds_stay_and_the_smallest_unused_come(
    top_up: Callable[..., Sweep], line: str, expected: list[int]
) -> None:
    sweep = top_up(GRID + line, 4)
    assert seeds(sweep) == {0: expected, 5: expected}
    assert "seed" in sweep.swept


def test_points_of_the_file_keep_their_ids_and_places(top_up: Callable[..., Sweep]) -> None:
    text = GRID + "  seed: [3]\n"
    plain = [point.id for point in top_up(text, 1).points]
    assert [point.id for point in top_up(text, 6).points][:2] == plain


def test_debugs_own_list_and_the_command_lines_are_topped_up(
    top_up: Callable[..., Sweep],
) -> None:
    text = GRID + "  seed: [0]\ndebug: {seed: [4], gan.unroll_steps: [1]}\n"
    assert seeds(top_up(text, 2, debug=True)) == {1: [4, 0]}
    assert seeds(top_up(text, 3, "seed=[8, 9]")) == {0: [8, 9, 0], 5: [8, 9, 0]}


def test_excluded_seeds_stay_out_and_their_setting_gets_others(
    top_up: Callable[..., Sweep],
) -> None:
    text = GRID + "  seed: [0, 1]\nexclude: [{gan.unroll_steps: 5, seed: 1}, {seed: 2}]\n"
    assert seeds(top_up(text, 3)) == {0: [0, 1, 3], 5: [0, 3, 4]}


def test_zip_and_single_points_without_seeds_are_topped_up(top_up: Callable[..., Sweep]) -> None:
    zipped = "experiment: ring\nzip: [{gan.unroll_steps: [1, 2], train.epochs: [3, 4]}]\n"
    assert seeds(top_up(zipped, 2)) == {1: [0, 1], 2: [0, 1]}
    single = "experiment: ring\npoints: [{gan.unroll_steps: 7}]\n"
    assert seeds(top_up(single, 2)) == {7: [0, 1]}


@pytest.mark.parametrize("block", ["zip: [{seed: [1, 2]}]", "points: [{seed: 3}]"])
def test_seeds_tied_to_other_values_are_one_clear_line(
    top_up: Callable[..., Sweep], block: str
) -> None:
    with pytest.raises(SweepError, match=r"test.yaml: --seeds .* 'zip' or 'points' block"):
        top_up(f"experiment: ring\n{block}\n", 3)


def test_too_many_points_are_refused_before_they_are_made(top_up: Callable[..., Sweep]) -> None:
    with pytest.raises(SweepError, match="at most 100000"):
        top_up(GRID, 50_001)
