"""Draw a report's figures, several at a time, each in a process of its own."""

import contextlib
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait
from multiprocessing.context import ForkProcess
from pathlib import Path

from hw5hpc.report.figures import NothingToDraw
from hw5hpc.report.render import Drawn, draw, warm_up
from hw5hpc.report.tables import Tables

log = logging.getLogger(__name__)

# Each may hold a large sweep's arrays.
MOST = 4
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


@dataclass(frozen=True)
class Undrawn:
    """Why a figure was not drawn; `broken` says that it should have been."""

    why: str
    broken: bool = False


def draw_all(
    names: Sequence[str], tables: Tables, folder: Path, at_a_time: int | None = None
) -> list[Drawn | Undrawn]:
    """Write the figures' files, as `render.draw` does, and return what became of each.

    `at_a_time` of them are drawn at once; None: as many as there are CPUs.
    """
    several = min(len(names), _cpus() if at_a_time is None else at_a_time)
    if several < 2 or not _may_fork():
        return [_outcome(name, tables, folder) for name in names]
    # Each copy would have to load it anew.
    warm_up()
    # What no garbage collector touches stays shared with the copies of this process.
    gc.freeze()
    try:
        found = dict(_side_by_side(names, tables, folder, several))
    finally:
        gc.unfreeze()
    # What ended its process, for want of memory perhaps, is drawn here.
    return [found[name] if name in found else _outcome(name, tables, folder) for name in names]


def _cpus() -> int:
    allotted = os.environ.get("SLURM_CPUS_PER_TASK", "")
    here = len(os.sched_getaffinity(0))
    return min(here, MOST, int(allotted) if allotted.isdecimal() else here)


def _may_fork() -> bool:
    """Whether a copy of this process works: threads, and torch's own, are not copied."""
    return threading.active_count() == 1 and "torch" not in sys.modules


def _side_by_side(
    names: Sequence[str], tables: Tables, folder: Path, several: int
) -> Iterator[tuple[str, Drawn | Undrawn]]:
    """Yield (name, outcome) of each figure whose process came to an end of its own."""
    waiting, drawing = list(names), dict[Connection, tuple[str, ForkProcess]]()
    while waiting or drawing:
        while waiting and len(drawing) < several:
            name = waiting.pop(0)
            begun = _begin(list(drawing), name, tables, folder)
            if begun:
                answer, process = begun
                drawing[answer] = name, process
        for ready in wait(list(drawing)) if drawing else ():
            assert isinstance(ready, Connection)
            name, process = drawing.pop(ready)
            # Its end may come in the middle of its answer.
            with ready, contextlib.suppress(EOFError, OSError):
                yield name, ready.recv()
            process.join()


def _begin(
    others: Sequence[Connection], name: str, tables: Tables, folder: Path
) -> tuple[Connection, ForkProcess] | None:
    """Begin a copy of this process that draws a figure; None where the system has no room for it.

    `others` are where earlier copies answer.
    """
    try:
        answer, end = Pipe(duplex=False)
    except OSError as error:
        log.warning("no more pipes to draw with: %s", error)
        return None
    words = (end, [*others, answer], name, tables, folder)
    process = ForkProcess(target=_draw_for, args=words, daemon=True)
    # What this process does about signals, its copy must not do: it might requeue a job.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        process.start()
    except OSError as error:
        answer.close()
        log.warning("no more processes to draw with: %s", error)
        return None
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        end.close()
    return answer, process


def _draw_for(
    end: Connection, others: Sequence[Connection], name: str, tables: Tables, folder: Path
) -> None:
    """Draw a figure and answer; `others` are ends of pipes that are not this copy's to hold.

    While it held one, whoever wrote there would wait for ever for a reader that has ended.
    """
    for other in others:
        other.close()
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    # Whoever asked may have ended.
    with contextlib.suppress(BrokenPipeError):
        end.send(_outcome(name, tables, folder))


def _outcome(name: str, tables: Tables, folder: Path) -> Drawn | Undrawn:
    try:
        return draw(name, tables, folder)
    except NothingToDraw as nothing:
        return Undrawn(str(nothing))
    except Exception as error:
        # One broken figure must not cost a finished sweep its whole report.
        log.exception("figure %s failed", name)
        return Undrawn(f"{type(error).__name__}: {error}", broken=True)
