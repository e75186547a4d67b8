"""Processes that a signal killed, as the next turn is told of them."""

from pathlib import Path

import pytest

from hw5hpc.node import deaths


def test_a_death_is_told_once(tmp_path: Path) -> None:
    assert deaths.take(tmp_path, "7_1") == ""
    deaths.record(tmp_path, "7_1", 11)
    assert deaths.take(tmp_path, "7_1") == "its process was killed by SIGSEGV"
    assert deaths.take(tmp_path, "7_1") == ""
    deaths.record(tmp_path, "7_1", 9)
    assert "out of memory" in deaths.take(tmp_path, "7_1")


@pytest.mark.parametrize("number", [0, 99, -1])
def test_a_strange_signal_is_still_told(tmp_path: Path, number: int) -> None:
    deaths.record(tmp_path, "7_1", number)
    assert str(number) in deaths.take(tmp_path, "7_1")
