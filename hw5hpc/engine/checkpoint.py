"""Checkpoints: written aside, checksummed, proved readable, and the one before is kept."""

import hashlib
import io
import logging
import os
import pickle
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from hw5hpc.engine.distributed import SOLO, Ranks
from hw5hpc.store import RunFolder, files
from hw5hpc.store.files import StoreError, sync_folder, write_atomic

MAGIC = b"hw5hpc1\n"
# What torch.save writes is a zip file.
ZIP = b"PK"
HEADER = len(MAGIC) + hashlib.sha256().digest_size

log = logging.getLogger(__name__)


class DamagedCheckpoint(Exception):
    """A checkpoint file whose content is not what was written, or that torch refuses."""


class UnfitCheckpoint(Exception):
    """A whole checkpoint that this training must not go on from; the message says why."""


def save(run: RunFolder, state: dict[str, Any]) -> None:
    """Save a state; at every moment at least one good checkpoint is on disk.

    Raises:
        OSError: it could not be written (a full disk, say); the checkpoints there are unharmed.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    payload = buffer.getvalue()
    fresh = run.path / f".checkpoint.{os.getpid()}.{secrets.token_hex(4)}.tmp"
    try:
        with os.fdopen(files.open_new(fresh), "wb") as file:
            file.write(MAGIC + hashlib.sha256(payload).digest() + payload)
            file.flush()
            os.fsync(file.fileno())
        _payload(fresh)
        if run.checkpoint.exists():
            files.put_in_place(run.checkpoint, run.previous_checkpoint)
        files.put_in_place(fresh, run.checkpoint)
    finally:
        fresh.unlink(missing_ok=True)
    # A node that loses power must not forget the renames.
    sync_folder(run.path)


def load(
    run: RunFolder,
    device: torch.device,
    ranks: Ranks = SOLO,
    unfit: Callable[[dict[str, Any]], str] = lambda state: "",
) -> dict[str, Any] | None:
    """Return the newest good state, or None; a file that is none is set aside and reported.

    `unfit` says in words why a whole state is not to be gone on from ('': it may be). One rank
    reads and hands on what it read, so that all continue from the same file.
    """
    found = _newest(run, device, unfit) if ranks.first else None
    payload = ranks.broadcast_bytes(b"" if found is None else found[0])
    if not payload:
        return None
    return _state(payload, device) if found is None else found[1]


def _newest(
    run: RunFolder, device: torch.device, unfit: Callable[[dict[str, Any]], str]
) -> tuple[bytes, dict[str, Any]] | None:
    for path in (run.checkpoint, run.previous_checkpoint):
        if not os.path.lexists(path):
            continue
        try:
            payload = _payload(path)
            state = _state(payload, device)
            if problem := unfit(state):
                raise UnfitCheckpoint(problem)
            return payload, state
        except (DamagedCheckpoint, UnfitCheckpoint) as error:
            _set_aside(path, error)
    return None


def set_aside(run: RunFolder, error: UnfitCheckpoint) -> None:
    """Set the newest checkpoint aside, which turned out to be unfit only when it was used."""
    if run.checkpoint.exists():
        _set_aside(run.checkpoint, error)


def _set_aside(path: Path, error: Exception) -> None:
    kind = "unfit" if isinstance(error, UnfitCheckpoint) else "damaged"
    aside = path.with_name(f"{path.stem}.{kind}-{secrets.token_hex(4)}.pt")
    path.replace(aside)
    log.warning("%s: %s; set aside as %s", path, error, aside.name)


def remove(run: RunFolder) -> None:
    """Remove the checkpoints of a run that has its result."""
    files.discard(run.checkpoint)
    files.discard(run.previous_checkpoint)


def _state(payload: bytes, device: torch.device) -> dict[str, Any]:
    try:
        state = torch.load(io.BytesIO(payload), map_location=device, weights_only=True)
    except (torch.OutOfMemoryError, torch.AcceleratorError):
        # The device's trouble, which says nothing of the file.
        raise
    except Exception as error:
        # The bytes are as written: another version of torch, or types that it does not allow.
        reason = " ".join(str(error).split())[:200]
        raise DamagedCheckpoint(f"torch cannot read it: {reason}") from error
    if not isinstance(state, dict):
        raise DamagedCheckpoint(f"no checkpoint but a {type(state).__name__}")
    return state


def _payload(path: Path) -> bytes:
    try:
        content = files.read_bytes(path, files.WEIGHTS_BYTES, MAGIC)
    except StoreError as error:
        raise DamagedCheckpoint(str(error)) from error
    digest, payload = content[len(MAGIC) : HEADER], content[HEADER:]
    if not content.startswith(MAGIC) or hashlib.sha256(payload).digest() != digest:
        raise DamagedCheckpoint(f"damaged checkpoint ({len(content)} bytes)")
    return payload


def write_weights(path: Path, weights: dict[str, torch.Tensor]) -> None:
    """Write trained weights for other runs to load."""
    # Into memory first: torch's own error on a full disk does not say that it is full.
    content = io.BytesIO()
    torch.save(weights, content)
    write_atomic(path, lambda file: file.write(content.getbuffer()))


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read what write_weights wrote; nothing but tensors is accepted.

    Raises:
        StoreError: the file is missing or damaged.
    """
    try:
        content = io.BytesIO(files.read_bytes(path, files.WEIGHTS_BYTES, ZIP))
        weights = torch.load(content, map_location="cpu", weights_only=True)
    except StoreError:
        raise
    except FileNotFoundError as error:
        raise StoreError(f"{path}: missing") from error
    except (RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise StoreError(f"{path}: damaged (torch cannot read it)") from error
    if not isinstance(weights, dict):
        raise StoreError(f"{path}: damaged (no weights but a {type(weights).__name__})")
    return weights
