"""A process that imports torch once and is forked for each run; it never touches a GPU itself."""

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, NoReturn

from hw5hpc.data.sets import DataError
from hw5hpc.errors import UserError
from hw5hpc.node.code import ROOT
from hw5hpc.node.requeue import STOPS

# The child process's side, which imports torch: named here, imported in the server alone.
CHILD = "hw5hpc.node.child"
# A child's exit status when a GPU ended it, whoever's error that was.
GPU_BROKEN = os.EX_SOFTWARE
ENDED = "the process that runs are forked from has ended; its own words stand above"


@dataclass(frozen=True)
class Order:
    """What a child process is to train, and with what; plain values, as they travel as JSON.

    `killed` says what ended the process that was at work on the run before, if one was killed.
    `slot` is its place among those beside it, `threads` its CPU threads, `gpu_share` its part of a
    GPU, `mps` whether by NVIDIA's MPS. `data` is the data set (name, root) that all processes share
    in memory.
    """

    folder: str
    sweep: str
    job: str = ""
    own: str = ""
    crashes: int = 2
    stops: int | None = None
    killed: str = ""
    slot: int = 0
    threads: int = 1
    gpu_share: float = 1.0
    mps: bool = False
    data: tuple[str, str | None] | None = None


class ServerBroken(UserError):
    """The server has ended; its children save and end, too."""


class ForkServer:
    """The server as its user sees it: children begin, and are reported when they have ended.

    `answered` says whether it has reported anything since it was started.
    """

    def __init__(self) -> None:
        self._begin()

    def __enter__(self) -> "ForkServer":
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def restart(self) -> None:
        """Begin anew after the server has ended."""
        self.close()
        self._begin()

    def _begin(self) -> None:
        self._closed = False
        orders, self._orders = os.pipe()
        self._reports, reports = os.pipe()
        self._rest, self.answered = b"", False
        # -P: a file in the working directory must not stand for a module.
        command = [sys.executable, "-P", "-m", "hw5hpc.node.fork_server", str(orders), str(reports)]
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        # A signal that comes before the server can turn it down waits until then.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
        try:
            self._process = subprocess.Popen(
                command,
                pass_fds=(orders, reports),
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": path},
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(orders)
        os.close(reports)

    def start(self, order: Order) -> None:
        """Begin a child; its number comes with a report."""
        self._send(asdict(order))

    def keep(self, name: str, root: str | None) -> str:
        """Let the server read a data set for all its children; return the hash of what is in it.

        Raises:
            DataError: it cannot be read.
            ServerBroken: the server has ended.
        """
        self._send({"keep": [name, root]})
        try:
            report = self._answer("content")
        except BaseException:
            # It has no children yet, and may be at work on many images.
            self._process.kill()
            raise
        if report["problem"]:
            raise DataError(report["problem"])
        return str(report["content"])

    def _answer(self, *words: str) -> dict[str, Any]:
        while True:
            for report in self.reports(60.0):
                if any(word in report for word in words):
                    return report

    def _send(self, words: dict[str, Any]) -> None:
        try:
            os.write(self._orders, json.dumps(words).encode() + b"\n")
        except BrokenPipeError as error:
            raise ServerBroken(ENDED) from error

    def free_gpu_memory_gb(self) -> tuple[float, ...]:
        """Return the free memory of each GPU that a child can use.

        Raises:
            ServerBroken: the server has ended.
        """
        self._send({})
        return tuple(self._answer("gpus", "status").get("gpus", ()))

    def reports(self, seconds: float) -> list[dict[str, Any]]:
        """Wait this long at most for reports: {folder, pid} of a start, {pid, status} of an end.

        What was asked for is answered with {content, problem} of data, and {gpus}.

        Raises:
            ServerBroken: the server has ended.
        """
        if not select.select([self._reports], [], [], seconds)[0]:
            return []
        read = os.read(self._reports, 1 << 16)
        if not read:
            raise ServerBroken(ENDED)
        self.answered = True
        *lines, self._rest = (self._rest + read).split(b"\n")
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        """End the server; a child that still works saves and ends."""
        if self._closed:
            return
        self._closed = True
        for end in (self._orders, self._reports):
            with contextlib.suppress(OSError):
                os.close(end)
        if not self.answered:
            # Nobody needs what it is still importing.
            self._process.kill()
        self._process.wait()


def serve(orders: int, reports: int) -> None:
    """Fork a child for each order until whoever gives them has ended."""
    for number in STOPS:
        # It lives as long as its user does, whoever else is told to stop.
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    child = importlib.import_module(CHILD)
    child.preload()
    gc.freeze()
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    server, rest = os.getpid(), b""
    while True:
        ready, _, _ = select.select([orders, woken], [], [])
        if woken in ready:
            os.read(woken, 1 << 12)
            for pid, status in _ended():
                _report(reports, {"pid": pid, "status": status})
        if orders in ready:
            read = os.read(orders, 1 << 16)
            if not read:
                return
            *lines, rest = (rest + read).split(b"\n")
            for words in map(json.loads, lines):
                if "keep" in words:
                    _report(reports, child.keep(*words["keep"]))
                    continue
                order = Order(**words) if words else None
                if order:
                    child.share(order)
                pid = os.fork()
                if not pid:
                    work = partial(_child, child, order, server, reports)
                    _end_as_child(work, orders, woken, wake)
                _report(reports, {"folder": words.get("folder"), "pid": pid})


def _child(child: Any, order: Order | None, server: int, reports: int) -> int:
    if order:
        return int(child.main(order, server))
    _report(reports, {"gpus": child.free_gpu_memory_gb()})
    return 0


def _end_as_child(work: Callable[[], int], *ends: int) -> NoReturn:
    """Do a child's work and end at once: to take torch apart takes longer than a small run."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for end in ends:
            os.close(end)
        status = work()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _ended() -> Iterator[tuple[int, int]]:
    """Yield (pid, status) of children that have ended; minus a signal's number where one did it."""
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, raw = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            yield pid, os.waitstatus_to_exitcode(raw)


def _report(reports: int, words: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(reports, json.dumps(words).encode() + b"\n")


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
    # Its user waits for it, and to take torch apart takes longer than a small run.
    sys.stdout.flush()
    os._exit(os.EX_OK)
