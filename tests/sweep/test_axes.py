"""The short forms of an axis."""

import pytest

from hw5hpc.sweep import axes


def test_range_is_pythons_range() -> None:
    assert axes.values({"range": [0, 5]}) == [0, 1, 2, 3, 4]
    assert axes.values({"range": [10, 0, -5]}) == [10, 5]


def test_logspace_includes_both_ends_exactly() -> None:
    assert axes.values({"logspace": [1e-5, 1e-1, 5]}) == [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]


def test_linspace_includes_both_ends_exactly() -> None:
    assert axes.values({"linspace": [0, 1, 5]}) == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_one_value_spaces() -> None:
    assert axes.values({"logspace": [0.1, 1.0, 1]}) == [0.1]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ([], "is empty"),
        ({"range": [0, 0]}, "is empty"),
        ({"range": [0]}, "start, stop"),
        ({"range": [0, 1, 0]}, "other than 0"),
        ({"range": [0, 1.5]}, "whole numbers"),
        ({"range": [0, 10**9]}, "at most"),
        ({"logspace": [0, 1, 3]}, "above 0"),
        ({"logspace": [1, 2, 0]}, "whole count"),
        ({"linspace": [0, float("inf"), 3]}, "finite"),
        ({"linspace": [True, 1, 3]}, "takes numbers"),
        ({"ranges": [0, 1]}, "one of {range"),
        ("abc", "list of values"),
        ([[1, 2]], "plain values"),
    ],
)
def test_wrong_axes_say_what_is_allowed(raw: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        axes.values(raw)
