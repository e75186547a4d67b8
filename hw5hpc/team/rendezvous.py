"""How the processes of one task find each other, and what they check before they train.

Rank 0 lets the system choose a free port and publishes it in a file of the task's own folder, so
tasks that share a node never collide. Then each process says who it is; what does not fit is one
clear line on every rank, before any training.
"""

import json
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

from torch.distributed import TCPStore  # type: ignore[attr-defined] # public, but not listed
from torch.distributed.distributed_c10d import Store
from torch.distributed.rendezvous import rendezvous

from hw5hpc.engine.distributed import Ranks
from hw5hpc.errors import UserError
from hw5hpc.store.files import read_json, write_json

JOIN_SECONDS = 45.0
RESOLVE_SECONDS = 10.0
TORCHRUN = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


class RendezvousError(UserError):
    """The processes of a task cannot work together; the message says which, and why."""


class RendezvousTimeout(RendezvousError):
    """A process did not come or could not be reached in time; the next try may find it."""


@dataclass(frozen=True)
class Me:
    """What a process tells the others: its number, how many it expects, its host and device."""

    rank: int
    size: int
    host: str
    device: str = "cpu"

    def __str__(self) -> str:
        return f"rank {self.rank} on {self.host}"


def torchrun_ranks(environment: Mapping[str, str] = os.environ) -> Ranks:
    """Return what torchrun set, or one process alone.

    Raises:
        RendezvousError: the variables contradict each other.
    """
    if not all(name in environment for name in TORCHRUN):
        return Ranks()
    try:
        rank, local, size = (int(environment[name]) for name in TORCHRUN[:3])
    except ValueError as error:
        raise RendezvousError(f"RANK, LOCAL_RANK, WORLD_SIZE: {error}") from error
    if not 0 <= rank < size:
        raise RendezvousError(f"RANK is {rank}, which is not from 0 to WORLD_SIZE - 1 = {size - 1}")
    return Ranks(rank, size, local)


def meet_by_torchrun(me: Me) -> Store:
    """Return the store that torchrun keeps for its processes.

    Raises:
        RendezvousTimeout: MASTER_ADDR cannot be resolved or reached.
    """
    host, port = os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"]
    resolve(host, me)
    try:
        wait = timedelta(seconds=JOIN_SECONDS)
        store: Store = next(rendezvous("env://", timeout=wait))[0]
    except (RuntimeError, ValueError) as error:
        raise RendezvousTimeout(f"{me} cannot reach {host}:{port} ({one_line(error)})") from error
    return store


def meet_by_file(me: Me, path: Path) -> Store:
    """Return a store in rank 0's process, whose address goes through the file `path`.

    Raises:
        RendezvousTimeout: the file does not come, or the host in it cannot be resolved or reached.
    """
    wait = timedelta(seconds=JOIN_SECONDS)
    if me.rank == 0:
        resolve(me.host, me)
        store = TCPStore(me.host, 0, is_master=True, timeout=wait, wait_for_workers=False)
        write_json(path, {"host": me.host, "port": store.port})
        return store
    host, port = _read_address(path, me)
    resolve(host, me)
    try:
        return TCPStore(host, port, is_master=False, timeout=wait)
    except RuntimeError as error:
        raise RendezvousTimeout(f"{me} cannot reach {host}:{port} ({one_line(error)})") from error


def _read_address(path: Path, me: Me) -> tuple[str, int]:
    end = time.monotonic() + JOIN_SECONDS
    while time.monotonic() < end:
        # Listing the folder makes a network file system look again for a file it has not seen.
        here = path.parent.is_dir() and path in list(path.parent.iterdir())
        address = read_json(path) if here else None
        if address:
            return address["host"], address["port"]
        time.sleep(0.1)
    raise RendezvousTimeout(f"{me}: rank 0 did not write {path} within {JOIN_SECONDS:.0f} s")


def resolve(host: str, me: Me) -> None:
    """Raise RendezvousTimeout when `host` has no address even after some seconds."""
    end = time.monotonic() + RESOLVE_SECONDS
    while True:
        try:
            socket.getaddrinfo(host, None)
            return
        except OSError as error:
            if time.monotonic() >= end:
                raise RendezvousTimeout(
                    f"{me} cannot resolve the host name {host!r} of rank 0 ({error.strerror})"
                ) from error
        time.sleep(0.5)


def join(store: Store, me: Me) -> list[Me]:
    """Wait for all ranks and return who they are.

    Raises:
        RendezvousTimeout: some do not come.
        RendezvousError: they disagree about their number or kind of device.
    """
    try:
        return _join(store, me)
    except RendezvousError:
        if me.rank == 0:
            # The store dies with this process; the others need it to find out for themselves.
            time.sleep(3)
        raise


def _join(store: Store, me: Me) -> list[Me]:
    store.set(f"me/{me.rank}", json.dumps(asdict(me)))
    there: dict[int, Me] = {}
    end = time.monotonic() + JOIN_SECONDS
    while len(there) < me.size:
        for rank in set(range(me.size)) - there.keys():
            if store.check([f"me/{rank}"]):
                there[rank] = Me(**json.loads(store.get(f"me/{rank}")))
                _check_fits(me, there[rank])
        if time.monotonic() > end:
            missing = ", ".join(str(rank) for rank in sorted(set(range(me.size)) - there.keys()))
            raise RendezvousTimeout(
                f"{me}: {len(there)} of {me.size} processes came within {JOIN_SECONDS:.0f} s; "
                f"missing: rank {missing}"
            )
        time.sleep(0.05)
    _check_devices(list(there.values()))
    return [there[rank] for rank in range(me.size)]


def _check_fits(me: Me, other: Me) -> None:
    if other.size != me.size:
        raise RendezvousError(
            f"wrong world size: {me} was told of {me.size} processes, {other} of {other.size}"
        )
    if (other.device == "cpu") != (me.device == "cpu"):
        raise RendezvousError(f"{me} trains on {me.device}, {other} on {other.device}")


def _check_devices(there: list[Me]) -> None:
    """Two processes on one GPU would deadlock in NCCL."""
    seen: dict[tuple[str, str], Me] = {}
    for one in there:
        if one.device == "cpu":
            continue
        other = seen.setdefault((one.host, one.device), one)
        if other is not one:
            raise RendezvousError(f"{other} and {one} would share the GPU {one.device}")


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
