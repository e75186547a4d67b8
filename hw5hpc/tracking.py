"""Weights & Biases: the mirror of a run's local files; it never fails a run, nor blocks it long."""

import contextlib
import logging
import netrc
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import wandb
from numpy.typing import NDArray

log = logging.getLogger(__name__)

PROJECT = "hw5hpc"
MODES = ("online", "offline", "disabled")


def choose_mode() -> str:
    """Return $WANDB_MODE when it is set, else 'online' with a key and a network, else 'offline'."""
    asked = os.environ.get("WANDB_MODE", "")
    if asked in MODES:
        return asked
    url = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai"))
    host = url.hostname or "api.wandb.ai"
    return "online" if _has_key(host) and _reachable(host, url.port or 443) else "offline"


def _has_key(host: str) -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    with contextlib.suppress(OSError, netrc.NetrcParseError):
        return netrc.netrc().authenticators(host) is not None
    return False


def _reachable(host: str, port: int, seconds: float = 3.0) -> bool:
    try:
        with socket.create_connection((host, port), timeout=seconds):
            return True
    except OSError:
        return False


class Tracker:
    """One run at W&B, under the run's own id, so that a resumed run continues."""

    def __init__(
        self,
        folder: Path,
        run_id: str,
        *,
        group: str,
        job_type: str,
        tags: Sequence[str],
        config: Mapping[str, Any],
    ) -> None:
        self._run: Any = None
        with self._shielded("init"):
            self._run = wandb.init(
                project=os.environ.get("WANDB_PROJECT", PROJECT),
                dir=folder,
                id=run_id,
                name=run_id,
                resume="allow",
                group=group,
                job_type=job_type,
                tags=list(tags),
                config=dict(config),
                mode=choose_mode(),  # type: ignore[arg-type]
                reinit="create_new",
                settings=_settings(),
            )

    def log(self, row: Mapping[str, float], arrays: Mapping[str, NDArray[Any]]) -> None:
        """Log one row at its `step`, and every array that is a stack of grey images."""
        if self._run is None:
            return
        with self._shielded("log"):
            stacks = images(arrays).items()
            pictures = {name: wandb.Image(tile(stack)) for name, stack in stacks}
            self._run.log({**row, **pictures}, step=int(row["step"]))

    def finish(self, summary: Mapping[str, Any], exit_code: int = 0) -> None:
        """End the run at W&B; a second call does nothing."""
        run, self._run = self._run, None
        if run is None:
            return
        with self._shielded("finish"):
            run.summary.update(dict(summary))
            run.finish(exit_code=exit_code)

    @contextlib.contextmanager
    def _shielded(self, what: str) -> Iterator[None]:
        """Report a failure of the mirror and go on: the local files are the truth."""
        try:
            yield
        except Exception as error:
            log.warning("W&B %s failed, the run goes on without it: %s", what, error)
            self._run = None


def _settings() -> wandb.Settings:
    """Quiet, bounded in time, and without the git remote, whose address may hold a token."""
    return wandb.Settings(
        silent=True, console="off", disable_git=True, save_code=False, init_timeout=60,
        # Shorter than a job's warning before its time limit: what is not sent by then stays behind.
        finish_timeout=20,
    )  # fmt: skip


def images(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The arrays that are stacks of grey images, uint8 [N, H, W]."""
    return {k: v for k, v in arrays.items() if v.dtype == np.uint8 and v.ndim == 3}


def tile(stack: NDArray[Any]) -> NDArray[Any]:
    """Return a stack [N, H, W] as one nearly square picture; the last row is filled with black."""
    count, height, width = stack.shape
    columns = int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    padded = np.zeros((rows * columns, height, width), stack.dtype)
    padded[:count] = stack
    grid = padded.reshape(rows, columns, height, width).transpose(0, 2, 1, 3)
    return grid.reshape(rows * height, columns * width)
