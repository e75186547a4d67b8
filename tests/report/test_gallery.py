"""A report's figures, several at a time: the same as one by one, whatever becomes of a process."""

import errno
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from hw5hpc.report import gallery
from hw5hpc.report.collect import collect
from hw5hpc.report.figures import NothingToDraw, drawable
from hw5hpc.report.gallery import Undrawn, draw_all
from hw5hpc.report.render import Drawn, draw
from hw5hpc.report.tables import Tables


@pytest.fixture
def tables(fake: Any) -> Tables:
    made = fake("ring_unroll")
    return collect(made.outputs, made.folder)


@pytest.fixture(autouse=True)
def forking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here torch may be loaded by other tests; nothing of it is used in the copies."""
    monkeypatch.setattr(gallery, "_may_fork", lambda: True)


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_figures_are_the_same_as_one_by_one(tables: Tables, tmp_path: Path) -> None:
    names = drawable(tables)
    one, many = _folder(tmp_path / "one"), _folder(tmp_path / "many")
    assert draw_all(names, tables, one, 1) == draw_all(names, tables, many, 3)
    files = sorted(path.name for path in one.iterdir())
    assert len(files) >= 4
    assert files == sorted(path.name for path in many.iterdir())
    assert all((one / name).read_bytes() == (many / name).read_bytes() for name in files)


@pytest.mark.parametrize("at_a_time", [1, 2])
def test_what_cannot_be_drawn_says_why(
    tables: Tables, tmp_path: Path, at_a_time: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drawing(name: str, tables: Tables, folder: Path) -> Drawn:
        if name == "broken":
            raise ZeroDivisionError("a number")
        if name == "nothing":
            raise NothingToDraw("no rows")
        return draw(name, tables, folder)

    monkeypatch.setattr(gallery, "draw", drawing)
    found = draw_all(["nothing", "losses", "broken"], tables, tmp_path, at_a_time)
    assert found[0] == Undrawn("no rows")
    assert isinstance(found[1], Drawn)
    assert found[2] == Undrawn("ZeroDivisionError: a number", broken=True)


def both_are_drawn(tables: Tables, folder: Path) -> None:
    names = ["losses", "ring_modes"]
    found = draw_all(names, tables, folder, 2)
    assert [one.name for one in found if isinstance(one, Drawn)] == names


def test_what_ends_its_process_is_drawn_here(
    tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = os.getpid()

    def dying(name: str, tables: Tables, folder: Path) -> Drawn:
        if name == "losses" and os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return draw(name, tables, folder)

    monkeypatch.setattr(gallery, "draw", dying)
    both_are_drawn(tables, tmp_path)


def test_what_dies_while_it_answers_is_drawn_here(
    tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dying(connection: Any, answer: object) -> None:
        # The length of an answer, and none of it.
        os.write(connection.fileno(), b"\0\0\1\0")
        os._exit(1)

    monkeypatch.setattr(Connection, "send", dying)
    both_are_drawn(tables, tmp_path)


def test_without_room_for_another_process_it_draws_here(
    tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused() -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(os, "fork", refused)
    both_are_drawn(tables, tmp_path)


def test_copies_end_with_whom_they_draw_for(tables: Tables, tmp_path: Path) -> None:
    """Answers are longer than a pipe holds, so who writes one needs a reader, or its end."""
    begun, begin = os.pipe()
    alive, held = os.pipe()

    def drawing(name: str, tables: Tables, folder: Path) -> Any:
        os.write(begin, b"x")
        time.sleep(0.5)
        return Undrawn("x" * (1 << 20))

    asked = os.fork()
    if not asked:
        gallery.draw = drawing  # type: ignore[assignment]
        draw_all(["a", "b", "c", "d"], tables, tmp_path, 2)
        os._exit(0)
    os.close(held)
    assert os.read(begun, 1) == b"x"
    os.kill(asked, signal.SIGKILL)
    os.waitpid(asked, 0)
    # All copies hold an end of this pipe until they have ended.
    ended = bool(select.select([alive], [], [], 20)[0])
    for end in (begun, begin, alive):
        os.close(end)
    assert ended


@pytest.fixture
def handled() -> Iterator[list[int]]:
    """A process that does something of its own about a signal, as a Slurm job does."""
    seen: list[int] = []
    before = signal.signal(signal.SIGUSR2, lambda number, frame: seen.append(os.getpid()))
    yield seen
    signal.signal(signal.SIGUSR2, before)


def test_a_copy_does_nothing_about_the_jobs_signals(
    tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handled: list[int]
) -> None:
    def signalled(name: str, tables: Tables, folder: Path) -> Drawn:
        os.kill(os.getpid(), signal.SIGUSR2)
        raise NothingToDraw(f"handled: {handled}")

    monkeypatch.setattr(gallery, "draw", signalled)
    assert draw_all(["a", "b"], tables, tmp_path, 2) == [Undrawn("handled: []")] * 2
    assert handled == []
    assert signal.getsignal(signal.SIGUSR2) is not signal.SIG_IGN


def test_it_draws_as_many_at_a_time_as_slurm_allotted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(3)))
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    assert gallery._cpus() == 3
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1")
    assert gallery._cpus() == 1


def test_nothing_is_forked_beside_threads_or_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    assert gallery._may_fork()
    monkeypatch.setattr(threading, "active_count", lambda: 2)
    assert not gallery._may_fork()
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    monkeypatch.setitem(sys.modules, "torch", threading)
    assert not gallery._may_fork()
