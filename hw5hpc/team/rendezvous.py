"""How the processes of one task find each other, and what they check before they train.

Rank 0 lets the system choose a free port and publishes it in a file of the task's own folder, so
tasks that share a node never collide. Then each process says who it is; what does not fit is one
clear line on every rank, before any training.
"""

import json
import os
import socket
import time
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

from torch.distributed import TCPStore  # type: ignore[attr-defined] # public, but not listed
from torch.distributed.distributed_c10d import Store
from torch.distributed.rendezvous import rendezvous

from hw5hpc.errors import UserError
from hw5hpc.store.files import read_json, write_json

JOIN_SECONDS = 45.0
RESOLVE_SECONDS = 10.0


class RendezvousError(UserError):
    """The processes of a task cannot work together; the message says which, and why."""


class RendezvousTimeout(RendezvousError):
    """A process did not come or could not be reached in time; the next try may find it."""


@dataclass(frozen=True)
class Member:
    """What a process tells the others: its number, how many it expects, its host and device."""

    rank: int
    size: int
    host: str
    device: str = "cpu"

    def __str__(self) -> str:
        return f"rank {self.rank} on {self.host}"


def meet_by_torchrun(member: Member) -> Store:
    """Return the store that torchrun keeps for its processes.

    Raises:
        RendezvousTimeout: MASTER_ADDR cannot be resolved or reached.
    """
    host, port = os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"]
    resolve(host, member)
    try:
        wait = timedelta(seconds=JOIN_SECONDS)
        store: Store = next(rendezvous("env://", timeout=wait))[0]
    except (RuntimeError, ValueError) as error:
        raise _unreachable(member, f"{host}:{port}", error) from error
    return store


def meet_by_file(member: Member, path: Path) -> Store:
    """Return a store in rank 0's process, whose address goes through the file `path`.

    Raises:
        RendezvousTimeout: the file does not come, or the host in it cannot be resolved or reached.
    """
    wait = timedelta(seconds=JOIN_SECONDS)
    if member.rank == 0:
        resolve(member.host, member)
        store = TCPStore(member.host, 0, is_master=True, timeout=wait, wait_for_workers=False)
        write_json(path, {"host": member.host, "port": store.port})
        return store
    host, port = _read_address(path, member)
    resolve(host, member)
    try:
        return TCPStore(host, port, is_master=False, timeout=wait)
    except RuntimeError as error:
        raise _unreachable(member, f"{host}:{port}", error) from error


def _unreachable(member: Member, address: str, error: Exception) -> RendezvousTimeout:
    return RendezvousTimeout(f"{member} cannot reach {address} ({one_line(error)})")


def _read_address(path: Path, member: Member) -> tuple[str, int]:
    end = time.monotonic() + JOIN_SECONDS
    while time.monotonic() < end:
        # Listing the folder makes a network file system look again for a file it has not seen.
        here = path.parent.is_dir() and path in list(path.parent.iterdir())
        address = read_json(path) if here else None
        if address:
            return address["host"], address["port"]
        time.sleep(0.1)
    raise RendezvousTimeout(f"{member}: rank 0 did not write {path} within {JOIN_SECONDS:.0f} s")


def resolve(host: str, member: Member) -> None:
    """Raise RendezvousTimeout when `host` has no address even after some seconds."""
    end = time.monotonic() + RESOLVE_SECONDS
    while True:
        try:
            socket.getaddrinfo(host, None)
            return
        except OSError as error:
            if time.monotonic() >= end:
                raise RendezvousTimeout(
                    f"{member} cannot resolve the host name {host!r} of rank 0 ({error.strerror})"
                ) from error
        time.sleep(0.5)


def join(store: Store, member: Member) -> list[Member]:
    """Wait for all ranks and return who they are.

    Raises:
        RendezvousTimeout: some do not come.
        RendezvousError: they disagree about their number or kind of device.
    """
    try:
        return _join(store, member)
    except RendezvousError:
        if member.rank == 0:
            # The store dies with this process; the others need it to find out for themselves.
            time.sleep(3)
        raise


def _join(store: Store, member: Member) -> list[Member]:
    store.set(f"member/{member.rank}", json.dumps(asdict(member)))
    came: dict[int, Member] = {}
    missing = set(range(member.size))
    end = time.monotonic() + JOIN_SECONDS
    while missing:
        for rank in sorted(missing):
            if store.check([f"member/{rank}"]):
                came[rank] = Member(**json.loads(store.get(f"member/{rank}")))
                _check_fits(member, came[rank])
        missing -= came.keys()
        if missing and time.monotonic() > end:
            raise RendezvousTimeout(
                f"{member}: {len(came)} of {member.size} processes came within "
                f"{JOIN_SECONDS:.0f} s; missing: rank {', '.join(map(str, sorted(missing)))}"
            )
        time.sleep(0.05)
    _check_devices(list(came.values()))
    return [came[rank] for rank in range(member.size)]


def _check_fits(member: Member, other: Member) -> None:
    if other.size != member.size:
        raise RendezvousError(
            f"wrong world size: {member} was told of {member.size} processes, "
            f"{other} of {other.size}"
        )
    if (other.device == "cpu") != (member.device == "cpu"):
        raise RendezvousError(f"{member} trains on {member.device}, {other} on {other.device}")


def _check_devices(members: list[Member]) -> None:
    """Two processes on one GPU would deadlock in NCCL."""
    seen: dict[tuple[str, str], Member] = {}
    for member in members:
        if member.device == "cpu":
            continue
        other = seen.setdefault((member.host, member.device), member)
        if other is not member:
            raise RendezvousError(f"{other} and {member} would share the GPU {member.device}")


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
