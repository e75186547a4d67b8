"""Train several runs at a time, each in a process of its own that touches no other."""

import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hw5hpc.node import deaths, requeue
from hw5hpc.node.entry import Entry, in_order
from hw5hpc.node.fork_server import GPU_BROKEN, ForkServer, Order, ServerBroken
from hw5hpc.node.gpu_faults import GpuFaults, Verdict
from hw5hpc.node.task import Task, nobody
from hw5hpc.store import RunFolder, State, Status, process

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
# A child that was told to stop may have heard of it before this process does.
STOP_SECONDS = 2.0
VANISHED = "its process was killed together with the one it was forked from"


@dataclass(frozen=True)
class _Child:
    """A process at work on a run; without a `pid` it is about to begin."""

    entry: Entry
    slot: int
    pid: int = 0
    started: str = ""

    @property
    def gone(self) -> bool:
        record = {"pid": self.pid, "started": self.started}
        return not self.pid or process.lives(record) is False


class Abreast:
    """The runs of one task, `abreast` of them at a time; `task` is what they share.

    A process that dies counts as a crash of its run, and another one takes its place.

    `leave_mps` is given where NVIDIA's MPS joins the processes, which ends all of them for some GPU
    errors of one, so that nobody knows whose it was. Then it counts for none, and all go on without
    MPS: `leave_mps` is told how many are at work at a time, and returns how many may be then.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        task: Task,
        abreast: int,
        leave_mps: Callable[[int], int] | None = None,
    ) -> None:
        self._entries, self._task, self._abreast = entries, task, abreast
        self._leave_mps, self._leaving = leave_mps, False
        self._faults = GpuFaults()
        # To leave MPS is a stop, of which no run is guilty.
        stops = task.budget.stops
        self._stops = stops + 1 if leave_mps and stops is not None else stops
        self._waiting = in_order(entries)
        self._children: dict[str, _Child] = {}
        self._killed = dict.fromkeys((entry.id for entry in entries), task.killed)
        self._unseen = dict.fromkeys(self._killed, 0)
        self._not_before: dict[str, float] = {}
        self._looked = 0.0

    def train(self, server: ForkServer) -> list[State]:
        """Train until all have ended, or until `task.stop` and each has its checkpoint.

        Raises:
            ServerBroken: the processes could not be forked.
        """
        while self._children or (self._waiting and not self._task.stop()):
            try:
                self._turn(server)
            except ServerBroken:
                if not server.answered:
                    raise
                self._outlive(server)
            self._look()
        return [_status(entry).state for entry in self._entries]

    def _turn(self, server: ForkServer) -> None:
        if self._leaving and not self._children and self._leave_mps:
            before, self._abreast = self._abreast, self._leave_mps(self._abreast)
            share = min(1.0, self._task.gpu_share * before / self._abreast)
            self._task = replace(self._task, gpu_share=share)
            self._leave_mps, self._leaving = None, False
        if self._task.stop() or self._leaving:
            self._stop_children()
        else:
            self._start_ready(server)
        for report in server.reports(LOOK_SECONDS):
            if "status" in report:
                self._ended(report["pid"], report["status"])
            else:
                self._began(report["folder"], report["pid"])
        self._judge_faults()

    def _start_ready(self, server: ForkServer) -> None:
        for entry in tuple(self._waiting):
            if len(self._children) == self._abreast:
                return
            going = {*self._children, *(other.id for other in self._waiting)}
            early = time.monotonic() < self._not_before.get(entry.id, 0.0)
            if not early and not entry.needs & going:
                self._waiting.remove(entry)
                self._start(server, entry)

    def _start(self, server: ForkServer, entry: Entry) -> None:
        taken = {child.slot for child in self._children.values()}
        slot = next(slot for slot in range(self._abreast) if slot not in taken)
        self._children[entry.id] = _Child(entry, slot)
        server.start(self._order(entry, slot))

    def _order(self, entry: Entry, slot: int) -> Order:
        task = self._task
        return Order(
            folder=str(entry.folder),
            sweep=task.sweep,
            job=task.job,
            own=str(task.own or ""),
            crashes=task.budget.crashes,
            stops=self._stops,
            killed=self._killed[entry.id],
            slot=slot,
            threads=entry.threads,
            gpu_share=task.gpu_share,
            mps=self._leave_mps is not None,
            data=entry.data,
        )

    def _began(self, folder: str, pid: int) -> None:
        started = ""
        with contextlib.suppress(OSError):
            started = process.start_time(pid)
        name = Path(folder).name
        self._children[name] = replace(self._children[name], pid=pid, started=started)

    def _stop_children(self) -> None:
        """Tell all again in each turn: one that just begins cannot listen yet."""
        for child in self._children.values():
            if child.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGTERM)

    def _ended(self, pid: int, ended: int) -> None:
        child = next((child for child in self._children.values() if child.pid == pid), None)
        if child is None:
            return
        if ended == GPU_BROKEN:
            # It keeps its place until it is known whose error it was.
            self._faults.add(child.entry.id)
        else:
            self._settle(child, _in_words(ended))

    def _judge_faults(self) -> None:
        """Count a GPU error for its run, or for none where it has ended the processes of others."""
        verdict, runs = self._faults.judge(len(self._children), at_once=self._task.stop())
        children = [self._children[run] for run in runs if run in self._children]
        if verdict is Verdict.SHARED and not self._leaving:
            self._leaving = True
            log.warning("NVIDIA MPS is left: it ended several runs for one GPU error")
        for child in children:
            if self._leaving:
                self._put_back(child.entry)
            else:
                self._settle(child, _status(child.entry).reason or "a GPU error")

    def _put_back(self, entry: Entry) -> None:
        """Let a run wait for another process, without a crash."""
        del self._children[entry.id]
        self._killed[entry.id] = ""
        self._waiting = in_order([*self._waiting, entry])

    def _settle(self, child: _Child, killed: str) -> None:
        """Let a run go whose process has ended, or put it back among those that wait.

        `killed` says what ended the process, '' when it ended by itself.
        """
        entry, status = child.entry, _status(child.entry)
        del self._children[entry.id]
        # What nobody is to blame for is tried as it is; what was at work counts as a crash.
        self._killed[entry.id] = killed
        at_work = status.state is State.RUNNING and status.pid == child.pid
        again = not _over(status.state) and not self._task.stop()
        if again and killed and not at_work:
            again = self._may_try_unseen(entry, killed)
        elif again and not killed:
            # One that is told to leave before it has begun has no state of its own yet.
            again = status.state is State.INTERRUPTED or self._leaving
            self._not_before[entry.id] = time.monotonic() + STOP_SECONDS
        if again:
            self._waiting = in_order([*self._waiting, entry])
        else:
            self._task.tell(entry.id, status)

    def _may_try_unseen(self, entry: Entry, killed: str) -> bool:
        """A process that dies before it looks at its run must not come back for ever."""
        self._unseen[entry.id] += 1
        if self._unseen[entry.id] <= requeue.UNSEEN_DEATHS:
            return True
        log.error("run %s is left: %s before it began", entry.id, killed)
        return False

    def _look(self) -> None:
        """Tell how far the runs are, where anybody listens: their files may be far away."""
        if self._task.tell is nobody or time.monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        for name, child in self._children.items():
            status = _status(child.entry)
            if status.state is State.RUNNING and status.pid == child.pid:
                self._task.tell(name, status)

    def _outlive(self, server: ForkServer) -> None:
        """Wait until the children of a server that was killed have ended by themselves, too."""
        while any(not child.gone for child in self._children.values()):
            time.sleep(0.1)
        for child in tuple(self._children.values()):
            self._settle(child, VANISHED)
        self._faults = GpuFaults()
        server.restart()


def _in_words(ended: int) -> str:
    """Say what ended a process ('': it ended by itself), by its exit status or minus the signal."""
    if ended in (0, requeue.TRY_AGAIN):
        return ""
    return deaths.in_words(-ended) if ended < 0 else f"its process ended with status {ended}"


def _over(state: State) -> bool:
    return state.done or state is State.FAILED


def _status(entry: Entry) -> Status:
    try:
        return RunFolder(entry.folder).status()
    except OSError as error:
        return Status(state=State.LOST, reason=str(error))
