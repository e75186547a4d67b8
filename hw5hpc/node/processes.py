"""Processes for runs side by side: where they are forked from, and what there is for them."""

import contextlib
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace

from hw5hpc.node import mps
from hw5hpc.node.fork_server import ForkServer
from hw5hpc.node.shares import Need, Place, here, may_have_gpu

EXCLUSIVE = "Exclusive_Process"


@contextlib.contextmanager
def ahead(wanted: bool) -> Iterator[ForkServer | None]:
    """Begin a fork server, which imports torch while its user finds out what there is to do.

    None where it is not `wanted`, or where it could have a GPU: MPS must be there before it.
    """
    server = ForkServer() if wanted and not may_have_gpu() else None
    try:
        yield server
    finally:
        if server:
            server.close()


class Processes:
    """The fork server, with NVIDIA's MPS beside it where `several` runs may share a GPU.

    `sharing` says in words whether MPS is used, '' where there is no GPU. A `server` that was begun
    ahead is taken over.
    """

    def __init__(self, several: bool = True, server: ForkServer | None = None) -> None:
        self._mps, self.sharing, self._gpus = contextlib.ExitStack(), "", 0
        if several and may_have_gpu():
            self.sharing = self._mps.enter_context(mps.shared())
        self.server = server or ForkServer()

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *details: object) -> None:
        self.server.close()
        self._mps.close()

    def place(self, need: Need) -> Place:
        """Return what there is for runs that need so much memory; without GPUs it asks nobody."""
        found = self.server.free_gpu_memory_gb() if may_have_gpu() else ()
        if self.sharing and not found:
            self._do_without_mps("no GPU is found through it")
            found = self.server.free_gpu_memory_gb()
        self.sharing = self.sharing if found else ""
        self._gpus = len(found)
        alone = bool(found) and not self._with_mps and _exclusive()
        return replace(here(), gpus_gb=found, need=need, exclusive=alone)

    @property
    def _with_mps(self) -> bool:
        return self.sharing.startswith("with ")

    @property
    def leave_mps(self) -> Callable[[int], int] | None:
        """What does without MPS from now on, None where it is not used; no process is at work then.

        It is told how many were at work at a time, and returns how many may be.
        """
        return self._leave_mps if self._with_mps else None

    def _leave_mps(self, abreast: int) -> int:
        self._do_without_mps("it ended several runs for the error of one")
        return min(abreast, self._gpus) if _exclusive() else abreast

    def _do_without_mps(self, why: str) -> None:
        self._mps.close()
        self._mps.enter_context(mps.avoided())
        self.sharing = f"without NVIDIA MPS ({why})"
        self.server.restart()


def _exclusive() -> bool:
    """Whether a GPU takes one process alone, by its administrator's setting."""
    asked = shutil.which("nvidia-smi")
    if asked is None:
        return False
    words = [asked, "--query-gpu=compute_mode", "--format=csv,noheader"]
    try:
        said = subprocess.run(words, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return EXCLUSIVE in said.stdout
