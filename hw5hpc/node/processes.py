"""Processes for runs side by side: where they are forked from, and what there is for them."""

import contextlib
import shutil
import subprocess
from dataclasses import replace

from hw5hpc.node import mps
from hw5hpc.node.fork_server import ForkServer
from hw5hpc.node.shares import Need, Place, here, may_have_gpu

EXCLUSIVE = "Exclusive_Process"


class Processes:
    """The fork server, with NVIDIA's MPS beside it where `several` runs may share a GPU.

    `sharing` says in words whether MPS is used, '' where there is no GPU.
    """

    def __init__(self, several: bool = True) -> None:
        self._mps, self.sharing = contextlib.ExitStack(), ""
        if several and may_have_gpu():
            self.sharing = self._mps.enter_context(mps.shared())
        self.server = ForkServer()

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *details: object) -> None:
        self.server.close()
        self._mps.close()

    def place(self, need: Need) -> Place:
        """Return what there is for runs that need so much memory; without GPUs it asks nobody."""
        found = self.server.free_gpu_memory_gb() if may_have_gpu() else ()
        if self.sharing and not found:
            self._do_without_mps()
            found = self.server.free_gpu_memory_gb()
        self.sharing = self.sharing if found else ""
        alone = bool(found) and not self.sharing.startswith("with ") and _exclusive()
        return replace(here(), gpus_gb=found, need=need, exclusive=alone)

    def _do_without_mps(self) -> None:
        self._mps.close()
        self.sharing = "without NVIDIA MPS (no GPU is found through it)"
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
