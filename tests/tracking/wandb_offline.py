"""Read W&B's offline file back: LevelDB's log format, and the records in it."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2

BLOCK, FILE_HEADER, RECORD_HEADER, LAST_TYPES = 32768, 7, 7, (1, 4)


def payloads(content: bytes) -> Iterator[bytes]:
    """The records of W&B's offline file: LevelDB's log format behind a header of 7 bytes."""
    position, parts = FILE_HEADER, b""
    while position + RECORD_HEADER <= len(content):
        left = BLOCK - position % BLOCK
        if left < RECORD_HEADER:
            position += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, position)
        position += RECORD_HEADER
        parts += content[position : position + length]
        position += length
        if kind in LAST_TYPES:
            yield parts
            parts = b""


def records(file: Path) -> list[dict[str, Any]]:
    """The run record and the history rows of an offline file."""
    found: list[dict[str, Any]] = []
    for payload in payloads(file.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(payload)
        if record.HasField("run"):
            run = record.run
            config = {item.key: json.loads(item.value_json) for item in run.config.update}
            row = {"id": run.run_id, "project": run.project, "group": run.run_group}
            found.append(
                {**row, "job_type": run.job_type, "tags": list(run.tags), "config": config}
            )
        if record.HasField("history"):
            items = record.history.item
            row = {i.key or ".".join(i.nested_key): json.loads(i.value_json) for i in items}
            found.append(row)
    return found
