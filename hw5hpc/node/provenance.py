"""Where a result comes from: code, packages, device, job, data."""

import platform
import resource
import socket
import sys
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from hw5hpc.node.code import ROOT, git_state, running_code

# What CUDA itself takes for each process, beside what torch asks for.
CONTEXT_GB = 0.5


def device_name(device: torch.device) -> str:
    """Return the GPU's name, or 'CPU'."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def memory(device: torch.device) -> dict[str, float]:
    """Return the most memory that this process has had so far, in GiB, on a GPU as well."""
    found = {"memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}
    if device.type == "cuda":
        held = torch.cuda.max_memory_reserved(device) / 2**30
        found["gpu_memory_gb"] = held + CONTEXT_GB
    return {name: round(value, 3) for name, value in found.items()}


def provenance(
    device: torch.device, sweep: str, job: str, ranks: int = 1, own: Path | None = None
) -> dict[str, Any]:
    """Return what a reader needs to trust or repeat a run; no environment, no secrets."""
    commit, modified = git_state(ROOT)
    packages = ("torch", "torchvision", "numpy", "omegaconf", "submitit", "wandb")
    return {
        "code": running_code(own),
        "commit": commit,
        "modified": modified,
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
        "device": device_name(device),
        "ranks": ranks,
        "threads": torch.get_num_threads(),
        "host": socket.gethostname(),
        "job": job,
        "sweep": sweep,
        "command": Path(sys.argv[0]).name,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


# What may differ between two turns of one run.
OF_A_TURN = ("code", "commit", "modified", "data_sha256", "device", "host", "job", "time")


def with_turns(record: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return `record` with a list of all turns: those of the provenance `before`, and this one."""
    turns = before.get("turns")
    turn = {key: record[key] for key in OF_A_TURN if key in record}
    return {**record, "turns": [*(turns if isinstance(turns, list) else []), turn]}
