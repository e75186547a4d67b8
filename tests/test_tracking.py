"""W&B offline, read back from its own file; and a mirror that fails leaves the run alone."""

import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wandb
from wandb.proto import wandb_internal_pb2

from hw5hpc.tracking import Tracker, choose_mode, tile

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


def track(folder: Path) -> Tracker:
    return Tracker(
        folder,
        "run1",
        group="unroll_depth",
        job_type="gan",
        tags=["unroll_depth"],
        config={"gan": {"unroll_steps": 5}, "seed": 1},
    )


def test_the_offline_file_holds_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    tracker = track(tmp_path)
    tracker.log({"epoch": 1, "loss": 0.5}, {"samples": np.zeros((3, 4, 4), np.uint8)})
    tracker.log({"epoch": 2, "loss": 0.25}, {})
    tracker.finish({"loss": 0.25})
    (file,) = tmp_path.glob("wandb/offline-run-*/run-run1.wandb")
    # Another process writes it, and on a busy machine it comes a little later.
    end = time.monotonic() + 60
    while not any("project" in row for row in records(file)):
        assert time.monotonic() < end, "the record of the run never came"
        time.sleep(0.1)
    found = records(file)
    run = next(record for record in found if "project" in record)
    assert (run["id"], run["project"], run["group"]) == ("run1", "hw5hpc", "unroll_depth")
    assert (run["job_type"], run["tags"]) == ("gan", ["unroll_depth"])
    assert run["config"]["gan"] == {"unroll_steps": 5}
    rows = [record for record in found if "loss" in record]
    assert [(row["epoch"], row["loss"]) for row in rows] == [(1, 0.5), (2, 0.25)]
    assert any("samples" in key for key in rows[0])


def test_no_secret_reaches_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    key = "0123456789abcdef0123456789abcdef01234567"
    monkeypatch.setenv("WANDB_API_KEY", key)
    tracker = track(tmp_path)
    tracker.log({"epoch": 1}, {})
    tracker.finish({})
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or key.encode() not in path.read_bytes(), path


def test_without_a_key_or_a_network_it_is_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    assert choose_mode() == "offline"
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    assert choose_mode() == "offline"


@pytest.mark.parametrize("mode", ["online", "offline", "disabled"])
def test_the_users_mode_is_respected(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setenv("WANDB_MODE", mode)
    assert choose_mode() == mode


def test_a_failing_mirror_does_not_fail_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**arguments: Any) -> None:
        raise wandb.errors.CommError("the service is away")

    monkeypatch.setattr(wandb, "init", fail)
    tracker = track(tmp_path)
    tracker.log({"epoch": 1}, {})
    tracker.finish({})


def test_tile_keeps_the_order() -> None:
    stack = np.arange(3, dtype=np.uint8).reshape(3, 1, 1)
    assert tile(stack).tolist() == [[0, 1], [2, 0]]
