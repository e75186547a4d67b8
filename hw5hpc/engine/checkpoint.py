"""Checkpoints: written aside, checksummed, proved readable, and the one before is kept."""

import hashlib
import io
import logging
import os
import secrets
from pathlib import Path
from typing import Any

import torch

from hw5hpc.store import RunFolder
from hw5hpc.store.files import write_atomic

MAGIC = b"hw5hpc1\n"
HEADER = len(MAGIC) + hashlib.sha256().digest_size

log = logging.getLogger(__name__)


class DamagedCheckpoint(Exception):
    """A checkpoint file whose content is not what was written."""


def save(run: RunFolder, state: dict[str, Any]) -> None:
    """Save a state; at every moment at least one good checkpoint is on disk."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    payload = buffer.getvalue()
    fresh = run.path / f".checkpoint.{os.getpid()}.{secrets.token_hex(4)}.tmp"
    try:
        with fresh.open("wb") as file:
            file.write(MAGIC + hashlib.sha256(payload).digest() + payload)
            file.flush()
            os.fsync(file.fileno())
        _payload(fresh)
        if run.checkpoint.exists():
            run.checkpoint.replace(run.previous_checkpoint)
        fresh.replace(run.checkpoint)
    finally:
        fresh.unlink(missing_ok=True)


def load(run: RunFolder, device: torch.device) -> dict[str, Any] | None:
    """Return the newest good state, or None; a damaged file is set aside and reported."""
    for path in (run.checkpoint, run.previous_checkpoint):
        if not path.exists():
            continue
        try:
            payload = io.BytesIO(_payload(path))
            state: dict[str, Any] = torch.load(payload, map_location=device, weights_only=True)
            return state
        except DamagedCheckpoint as error:
            aside = path.with_name(f"{path.stem}.damaged-{secrets.token_hex(4)}.pt")
            path.replace(aside)
            log.warning("%s; set aside as %s", error, aside.name)
    return None


def remove(run: RunFolder) -> None:
    """Remove the checkpoints of a run that has its result."""
    run.checkpoint.unlink(missing_ok=True)
    run.previous_checkpoint.unlink(missing_ok=True)


def _payload(path: Path) -> bytes:
    content = path.read_bytes()
    digest, payload = content[len(MAGIC) : HEADER], content[HEADER:]
    if not content.startswith(MAGIC) or hashlib.sha256(payload).digest() != digest:
        raise DamagedCheckpoint(f"{path}: damaged checkpoint ({len(content)} bytes)")
    return payload


def write_weights(path: Path, weights: dict[str, torch.Tensor]) -> None:
    """Write trained weights for other runs to load."""
    write_atomic(path, lambda file: torch.save(weights, file))


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read what write_weights wrote; nothing but tensors is accepted."""
    weights: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return weights
