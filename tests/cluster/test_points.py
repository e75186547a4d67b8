"""Points are named by the beginning of their ids, or by what the sweep varies."""

import pytest

from hw5hpc.cluster.points import pick, pick_one
from hw5hpc.errors import UserError

POINTS = [
    {"run": "3f2a11", "gan.unroll_steps": "0", "optim.lr": "0.001"},
    {"run": "3f2b22", "gan.unroll_steps": "5", "optim.lr": "0.001"},
    {"run": "91c033", "gan.unroll_steps": "5", "optim.lr": "0.01"},
]


@pytest.mark.parametrize(
    ("words", "runs"),
    [
        ([], ["3f2a11", "3f2b22", "91c033"]),
        (["91"], ["91c033"]),
        (["91c033", "3f2a"], ["3f2a11", "91c033"]),
        (["unroll_steps=5"], ["3f2b22", "91c033"]),
        (["gan.unroll_steps=0,5", "lr=1e-3"], ["3f2a11", "3f2b22"]),
        (["3f", "unroll_steps=5"], ["3f2b22"]),
    ],
)
def test_words_mean_points(words: list[str], runs: list[str]) -> None:
    assert pick(POINTS, words) == runs


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("3g2a", "no point '3g2a'; give a run id, .* Did you mean '3f2a11'"),
        ("unrol_steps=5", "varies gan.unroll_steps, optim.lr. Did you mean 'gan.unroll_steps'"),
        ("lr=7", "no point has lr=7; optim.lr is one of 0.001, 0.01"),
    ],
)
def test_a_word_that_means_none_is_told_what_there_is(word: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        pick(POINTS, [word])


def test_one_point_is_asked_for_by_name_where_there_are_several() -> None:
    assert pick_one(POINTS, ["lr=0.01"]) == "91c033"
    assert pick_one(POINTS[:1], []) == "3f2a11"
    with pytest.raises(UserError, match=r"means 2 points.*3f2b22 unroll_steps=5 lr=0.001; 91c033"):
        pick_one(POINTS, ["unroll_steps=5"])
