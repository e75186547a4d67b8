"""NVIDIA's Multi-Process Service: with it, kernels of several processes run on a GPU at once."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

CONTROL = "nvidia-cuda-mps-control"
# Where a client looks for a daemon, and where the daemon's pipe is unless something else is said.
PIPE, USUAL_PIPE = "CUDA_MPS_PIPE_DIRECTORY", "/tmp/nvidia-mps"
LOG, VISIBLE = "CUDA_MPS_LOG_DIRECTORY", "CUDA_VISIBLE_DEVICES"
START_SECONDS = 30


@contextlib.contextmanager
def shared() -> Iterator[str]:
    """Let MPS share the GPUs of the processes that begin meanwhile, where it is and starts.

    Yields:
        In words, with which MPS or why without.
    """
    control = shutil.which(CONTROL)
    if (Path(os.environ.get(PIPE, USUAL_PIPE)) / "control").exists():
        yield "with the NVIDIA MPS that runs here"
    elif control is None:
        yield f"without NVIDIA MPS ({CONTROL} is not here)"
    else:
        with tempfile.TemporaryDirectory(prefix="hw5hpc-mps-") as folder:
            yield from _started(control, folder)


@contextlib.contextmanager
def avoided() -> Iterator[None]:
    """Let the processes that begin meanwhile do without MPS, also where one runs."""
    before = os.environ.get(PIPE)
    with tempfile.TemporaryDirectory(prefix="hw5hpc-no-mps-") as empty:
        os.environ[PIPE] = empty
        try:
            yield
        finally:
            _restore({PIPE: before})


def _started(control: str, folder: str) -> Iterator[str]:
    before = {name: os.environ.get(name) for name in (PIPE, LOG, VISIBLE)}
    os.environ |= {PIPE: folder, LOG: folder}
    trouble = _told(control, "-d")
    if trouble:
        _restore(before)
        yield f"without NVIDIA MPS ({trouble})"
        return
    # The daemon numbers the GPUs that it sees anew; to choose among them once more finds none.
    os.environ.pop(VISIBLE, None)
    try:
        yield "with NVIDIA MPS, started for these runs"
    finally:
        _told(control, told="quit\n")
        _restore(before)


def _told(control: str, *words: str, told: str = "") -> str:
    """Tell the daemon something, or start it; return what went wrong, '' when nothing did."""
    try:
        done = subprocess.run(
            [control, *words], input=told, capture_output=True, text=True, timeout=START_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return " ".join(str(error).split())[:200]
    said = " ".join((done.stdout + done.stderr).split())[:200]
    return "" if done.returncode == 0 else said or f"{CONTROL} ended with {done.returncode}"


def _restore(before: dict[str, str | None]) -> None:
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
