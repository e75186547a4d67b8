"""The two budgets: crashes that get no further, and stops by a signal."""

import errno

from hypothesis import given
from hypothesis import strategies as st

from hw5hpc.data.sets import DataError
from hw5hpc.node.retry import Budget, after_crash, after_stop, is_final
from hw5hpc.store import State, Status


def running(epoch: int, status: Status | None = None) -> Status:
    return (status or Status()).to(State.RUNNING, epoch=epoch)


def test_the_third_crash_at_one_place_is_the_end() -> None:
    status = Status()
    for expected in (State.RUNNING, State.RUNNING, State.FAILED):
        status = after_crash(running(4, status), "boom", Budget(crashes=2))
        assert status.state is expected
    assert status.reason == "boom (3 times in a row; max_crashes is 2)"


def test_a_crash_further_along_starts_the_count_anew() -> None:
    status = Status()
    for epoch in (0, 1, 1, 2, 2, 7, 7):
        status = after_crash(running(epoch, status), "boom", Budget(crashes=2))
        assert status.state is State.RUNNING, epoch
    assert after_crash(running(7, status), "boom", Budget(crashes=2)).state is State.FAILED


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=30),
    st.integers(0, 3),
)
def test_a_run_fails_when_and_only_when_it_is_stuck(epochs: list[int], allowed: int) -> None:
    """Stuck: more crashes than allowed since one that got further than its predecessor."""
    status, in_a_row, before = Status(), 0, None
    for epoch in epochs:
        in_a_row = 1 if before is None or epoch > before else in_a_row + 1
        before = epoch
        status = after_crash(running(epoch, status), "boom", Budget(crashes=allowed))
        assert (status.state is State.FAILED) == (in_a_row > allowed)
        if status.state is State.FAILED:
            return


def test_what_cannot_get_better_fails_at_once() -> None:
    assert after_crash(running(1), "full", Budget(), final=True).state is State.FAILED
    lasting = (OSError(errno.ENOSPC, "x"), OSError(errno.EROFS, "x"), DataError("gone"))
    assert all(map(is_final, lasting))
    passing = (OSError(errno.EIO, "x"), OSError(errno.ESTALE, "x"), RuntimeError("x"))
    assert not any(map(is_final, passing))


def test_stops_are_free_unless_they_are_limited() -> None:
    status = Status()
    for _ in range(50):
        status = after_stop(running(1, status), "stopped by a signal", Budget())
        assert status.state is State.INTERRUPTED
    assert status.crashes == 0
    limited = after_stop(running(1), "stopped by a signal", Budget(stops=1))
    assert limited.state is State.INTERRUPTED
    ended = after_stop(running(1, limited), "stopped by a signal", Budget(stops=1))
    assert (ended.state, ended.reason) == (
        State.FAILED,
        "stopped by a signal 2 times; max_stops is 1",
    )
