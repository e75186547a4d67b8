"""Many lines are read at once: what comes out is what each line says by itself."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw5hpc.store.values import parse_json, parse_json_lines

TORN = [
    b'{"a": 1}\n{"b": ',
    b'{"a": 1\n"b": 2}\n{"c": 3}',
    b'{"a": "x}\n{"b": "y"}\n{"c": 3}',
    b'{"a": 1},{"b": 2}\n{"c": [1\n2]}',
    b'{"a": 1}\n\n{"b": NaN}\n7\n[1]\nnull',
    b'{"a": {"b": 1}}\n{"c": 2}',
    b'{"a": "}{"}\n{"c": 2}',
    b"{" * 100_000,
    b"",
]


def one_by_one(content: bytes) -> str:
    rows = [parse_json(line) for line in content.splitlines()]
    return json.dumps([row for row in rows if row is not None])


@pytest.mark.parametrize("content", TORN)
def test_a_line_never_reaches_over_into_the_next(content: bytes) -> None:
    assert json.dumps(parse_json_lines(content)) == one_by_one(content)


PIECES = ["{", "}", "[", "]", '"a"', ":", ",", "1", '"', "\n", "NaN", " ", '{"a": 1}\n']


@given(st.lists(st.sampled_from(PIECES), max_size=30))
def test_nor_does_it_on_any_mixture(pieces: list[str]) -> None:
    content = "".join(pieces).encode()
    assert json.dumps(parse_json_lines(content)) == one_by_one(content)
