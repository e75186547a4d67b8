"""Bring a task's processes together: those that srun or torchrun started, or this one alone."""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore, Store

from hw5hpc.engine.distributed import Ranks
from hw5hpc.engine.precision import pick_device
from hw5hpc.team.heartbeat import BEAT_SECONDS, Heartbeat
from hw5hpc.team.rendezvous import (
    Member,
    RendezvousError,
    RendezvousTimeout,
    join,
    meet_by_file,
    meet_by_torchrun,
    one_line,
)
from hw5hpc.team.team import ALONE, Team

CONNECT_SECONDS = 20.0
# Deaths are noticed by their silence; this only bounds what one rank may do while others wait.
COLLECTIVE_LIMIT = timedelta(minutes=30)
TORCHRUN = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def slurm_ranks(environment: Any) -> Ranks:
    """Return what srun set, as submitit's job environment reads it."""
    return Ranks(environment.global_rank, environment.num_tasks, environment.local_rank)


def slurm_team(environment: Any, expected: int) -> AbstractContextManager[Team]:
    """Bring together the processes that srun started, from submitit's job environment.

    Raises:
        RendezvousTimeout: they do not find each other in time.
        RendezvousError: they are not as many as was asked for, or do not fit together.
    """
    ranks = slurm_ranks(environment)
    if ranks.size != expected:
        raise RendezvousError(
            f"wrong world size: the task was sent for {expected} processes, "
            f"Slurm started {ranks.size}"
        )
    # A requeued job has the same number; its first turn's address must not be taken for its own.
    turn = os.environ.get("SLURM_RESTART_COUNT", "0")
    path = environment.paths.folder / f"{environment.job_id}_rendezvous.{turn}.json"
    host = os.environ.get("SLURMD_NODENAME") or socket.gethostname()
    return assembled(ranks, host, lambda member: meet_by_file(member, path))


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


def torchrun_team() -> AbstractContextManager[Team]:
    """Return the processes that torchrun started, or this one alone.

    Raises:
        RendezvousError: torchrun's variables contradict each other.
    """
    return assembled(torchrun_ranks(), socket.gethostname(), meet_by_torchrun)


@contextlib.contextmanager
def assembled(ranks: Ranks, host: str, meet: Callable[[Member], Store]) -> Iterator[Team]:
    """Bring the ranks together, over NCCL on GPUs and gloo on CPUs, until all have done their work.

    Raises:
        RendezvousError: they do not find or reach each other, or do not fit together.
    """
    if ranks.alone:
        yield ALONE
        return
    device = pick_device(ranks.local)
    member = Member(ranks.rank, ranks.size, host, _identity(device))
    store = meet(member)
    members = join(store, member)
    _try_connections(store, member)
    heartbeat = _start(store, ranks, members, device)
    try:
        yield Team(ranks, heartbeat)
        # Nobody leaves, and takes the store along, while another still works.
        dist.barrier()
    except BaseException:
        heartbeat.close()
        if ranks.first:
            # The store dies with this process, and the others have to read the verdict there.
            time.sleep(BEAT_SECONDS * 3)
        raise
    finally:
        heartbeat.close()
    dist.destroy_process_group()


def _try_connections(store: Store, member: Member) -> None:
    """Connect all ranks for once, with more haste than training may have.

    Raises:
        RendezvousTimeout: some cannot reach each other, though all reach the first one's store.
    """
    trial, end = PrefixStore("trial", store), time.monotonic() + CONNECT_SECONDS
    rank, size = member.rank, member.size
    wait = timedelta(seconds=CONNECT_SECONDS)
    try:
        dist.init_process_group("gloo", store=trial, rank=rank, world_size=size, timeout=wait)
        trial.set(f"connected/{rank}", "")
        # A rank that hung up at once would break the connections that others are still making.
        left = timedelta(seconds=max(1.0, end - time.monotonic()))
        trial.wait([f"connected/{other}" for other in range(size)], left)
    except RuntimeError as error:
        if rank == 0:
            # The others learn of it by waiting; the store must not end before they do.
            time.sleep(max(0.0, end - time.monotonic()) + 2 * BEAT_SECONDS)
        raise RendezvousTimeout(
            f"{member} cannot connect to the others over gloo ({one_line(error)}); where a node's "
            "own name leads to its loopback, set GLOO_SOCKET_IFNAME in the profile's setup"
        ) from error
    dist.destroy_process_group()


def _start(store: Store, ranks: Ranks, members: list[Member], device: torch.device) -> Heartbeat:
    backend = "gloo"
    if device.type == "cuda":
        torch.cuda.set_device(device)
        # Flags and objects go through the CPU, so that they never wait for the GPU.
        backend = "cpu:gloo,cuda:nccl"
    # A connection of its own: one that waits must not silence the signs of life.
    beats = PrefixStore("heartbeat", store.clone())
    beats.set(f"beat/{ranks.rank}", "0")
    beats.wait([f"beat/{member.rank}" for member in members])
    dist.init_process_group(
        backend,
        store=PrefixStore("group", store),
        rank=ranks.rank,
        world_size=ranks.size,
        timeout=COLLECTIVE_LIMIT,
    )
    heartbeat = Heartbeat(beats, members, ranks.rank)
    heartbeat.start()
    return heartbeat


def _identity(device: torch.device) -> str:
    """Return what tells one GPU of a node from another, however they are numbered."""
    if device.type == "cpu":
        return "cpu"
    return str(torch.cuda.get_device_properties(device).uuid)
