"""The processes of one task: assembled before it trains, and told at once when one of them dies.

Each rank shows every second that it lives, through the store that brought them together. The
first error of any rank is everybody's verdict, so that a log shows it and not the broken
connection that follows from it. A rank that is stuck while another is dead ends itself.
"""

import contextlib
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore, Store

from hw5hpc.engine.distributed import SOLO, Ranks
from hw5hpc.engine.precision import pick_device
from hw5hpc.errors import UserError
from hw5hpc.team.rendezvous import Me, RendezvousTimeout, join, one_line

log = logging.getLogger(__name__)

T = TypeVar("T")
BEAT_SECONDS = 1.0
# A collective that broke says that somebody died; without one only a long silence does.
SILENT_AFTER_ERROR, SILENT = 6.0, 30.0
GRACE_SECONDS = 15.0
CONNECT_SECONDS = 20.0
# Deaths are noticed by their silence; this only bounds what one rank may do while others wait.
COLLECTIVE_LIMIT = timedelta(minutes=30)
SYMPTOM = re.compile(r"gloo|nccl|connection|socket|broken pipe|timed out|recv|store", re.I)


class TeamBroken(Exception):
    """A rank failed or died; the message is its error, and no rank can go on in this process."""


class Refused(UserError):
    """Preparing a run failed on some rank, and all ranks know; they can go on with another."""


class Team:
    """The ranks of a task; alone, it costs nothing."""

    def __init__(self, ranks: Ranks = SOLO, lookout: "Lookout | None" = None) -> None:
        self.ranks, self._lookout = ranks, lookout

    def verdict(self, error: Exception, line: str) -> str:
        """Return the error that came first on any rank; `line` describes this rank's own."""
        return line if self._lookout is None else self._lookout.verdict(error, line)

    def prepare(self, action: Callable[[], T], describe: Callable[[BaseException], str]) -> T:
        """Do what communicates nothing on every rank, and fail on all ranks when it fails on one.

        Raises:
            Refused: it failed on some rank; alone, its own error is raised.
        """
        if self.ranks.alone:
            return action()
        failure, result = "", None
        try:
            result = action()
        except Exception as error:
            failure = describe(error)
        failures = self.ranks.gather_objects(failure)
        for rank, line in enumerate(failures):
            if line:
                raise Refused(line if len(set(failures)) == 1 else f"rank {rank}: {line}")
        assert result is not None
        return result

    def on_abort(self, action: Callable[[str], None]) -> None:
        """Let `action` be called with the verdict before a stuck process is ended."""
        if self._lookout is not None:
            self._lookout.on_abort = action


class Lookout(threading.Thread):
    """Shows the others that this rank lives, and looks for their verdict or their silence."""

    def __init__(self, store: Store, everyone: list[Me], rank: int) -> None:
        super().__init__(name="lookout", daemon=True)
        self._store, self._everyone, self._rank = store, everyone, rank
        self._beats = [f"beat/{one.rank}" for one in everyone]
        self._heard = {key: (b"", time.monotonic()) for key in self._beats}
        self._over, self._awake = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self.on_abort: Callable[[str], None] = lambda verdict: None

    def run(self) -> None:
        number = 0
        while not self._over.wait(BEAT_SECONDS):
            number += 1
            found = self._look(SILENT, beat=str(number))
            if found and not self._awake.wait(GRACE_SECONDS):
                log.error("%s", found)
                with contextlib.suppress(Exception):
                    self.on_abort(found)
                # The main thread is stuck in a collective that nobody will end.
                os._exit(os.EX_TEMPFAIL)

    def close(self) -> None:
        self._awake.set()
        self._over.set()

    def verdict(self, error: Exception, line: str) -> str:
        self._awake.set()
        mine = f"{self._everyone[self._rank]}: {line}"
        if not (isinstance(error, RuntimeError) and SYMPTOM.search(str(error))):
            return self._agree(mine)
        end = time.monotonic() + 2 * SILENT_AFTER_ERROR
        while time.monotonic() < end:
            found = self._look(SILENT_AFTER_ERROR)
            if found:
                return found
            time.sleep(BEAT_SECONDS / 2)
        return self._agree(mine)

    def _agree(self, verdict: str) -> str:
        """Return the verdict that was there first: this one, or another rank's."""
        with contextlib.suppress(RuntimeError), self._lock:
            return str(self._store.compare_set("verdict", "", verdict), "utf-8")
        return verdict

    def _look(self, patience: float, beat: str = "") -> str:
        """Return the verdict, '' as long as all live; `beat` is this rank's next sign of life."""
        try:
            with self._lock:
                if beat:
                    self._store.set(self._beats[self._rank], beat)
                if self._store.check(["verdict"]):
                    return str(self._store.get("verdict"), "utf-8")
                values = self._store.multi_get(self._beats)
        except RuntimeError:
            return self._without_a_word(0)
        silences = self._silences(values)
        longest = max(silences)
        if longest < patience:
            return ""
        return self._agree(self._without_a_word(silences.index(longest)))

    def _silences(self, values: list[bytes]) -> list[float]:
        now = time.monotonic()
        for key, value in zip(self._beats, values, strict=True):
            if self._heard[key][0] != value:
                self._heard[key] = (value, now)
        silences = [now - self._heard[key][1] for key in self._beats]
        silences[self._rank] = 0.0
        return silences

    def _without_a_word(self, rank: int) -> str:
        return f"{self._everyone[rank]} ended without a word (killed, or out of memory)"


@contextlib.contextmanager
def assembled(ranks: Ranks, host: str, meet: Callable[[Me], Store]) -> Iterator[Team]:
    """Bring the ranks together, over NCCL on GPUs and gloo on CPUs, until all have done their work.

    Raises:
        RendezvousError: they do not find or reach each other, or do not fit together.
    """
    if ranks.alone:
        yield Team()
        return
    device = pick_device(ranks.local)
    me = Me(ranks.rank, ranks.size, host, _identity(device))
    store = meet(me)
    everyone = join(store, me)
    _connect_once(store, me)
    lookout = _start(store, ranks, everyone, device)
    try:
        yield Team(ranks, lookout)
        # Nobody leaves, and takes the store along, while another still works.
        dist.barrier()
    except BaseException:
        lookout.close()
        if ranks.first:
            # The store dies with this process, and the others have to read the verdict there.
            time.sleep(BEAT_SECONDS * 3)
        raise
    finally:
        lookout.close()
    dist.destroy_process_group()


def _connect_once(store: Store, me: Me) -> None:
    """Try the connections between all ranks, with more haste than training may have.

    Raises:
        RendezvousTimeout: some cannot reach each other, though all reach the first one's store.
    """
    apart, end = PrefixStore("once", store), time.monotonic() + CONNECT_SECONDS
    wait = timedelta(seconds=CONNECT_SECONDS)
    try:
        dist.init_process_group("gloo", store=apart, rank=me.rank, world_size=me.size, timeout=wait)
        apart.set(f"connected/{me.rank}", "")
        # A rank that hung up at once would break the connections that others are still making.
        left = timedelta(seconds=max(1.0, end - time.monotonic()))
        apart.wait([f"connected/{rank}" for rank in range(me.size)], left)
    except RuntimeError as error:
        if me.rank == 0:
            # The others learn of it by waiting; the store must not end before they do.
            time.sleep(max(0.0, end - time.monotonic()) + 2 * BEAT_SECONDS)
        raise RendezvousTimeout(
            f"{me} cannot connect to the others over gloo ({one_line(error)}); where a node's own "
            "name leads to its loopback, set GLOO_SOCKET_IFNAME in the profile's setup"
        ) from error
    dist.destroy_process_group()


def _start(store: Store, ranks: Ranks, everyone: list[Me], device: torch.device) -> "Lookout":
    backend = "gloo"
    if device.type == "cuda":
        torch.cuda.set_device(device)
        # Flags and objects go through the CPU, so that they never wait for the GPU.
        backend = "cpu:gloo,cuda:nccl"
    # A connection of its own: one that waits must not silence the signs of life.
    apart = PrefixStore("lookout", store.clone())
    apart.set(f"beat/{ranks.rank}", "0")
    apart.wait([f"beat/{one.rank}" for one in everyone])
    dist.init_process_group(
        backend,
        store=PrefixStore("group", store),
        rank=ranks.rank,
        world_size=ranks.size,
        timeout=COLLECTIVE_LIMIT,
    )
    lookout = Lookout(apart, everyone, ranks.rank)
    lookout.start()
    return lookout


def _identity(device: torch.device) -> str:
    """Return what tells one GPU of a node from another, however they are numbered."""
    if device.type == "cpu":
        return "cpu"
    return str(torch.cuda.get_device_properties(device).uuid)
