"""A profile for a cluster that was asked: what was found, with the rest explained behind a #."""

import os
from collections.abc import Mapping
from pathlib import Path

from hw5hpc.cluster import profile as profiles
from hw5hpc.cluster.doctor.findings import Seen
from hw5hpc.cluster.doctor.site import Nodes, Partition, minutes, modules
from hw5hpc.cluster.profile import Profile
from hw5hpc.errors import UserError
from hw5hpc.sweep import names

HEAD = """\
# Made by jobs/doctor.py for the cluster {name}: what it found there. Change what you know better;
# every key is explained in slurm/example_gpu_cluster.yaml. A key behind a # leaves the choice to
# each sweep.
"""


def text(seen: Seen, slurm_conf: str | None = None) -> str:
    """Return the profile as a file."""
    lines = [f"{line:<28} # {why}" for line, why in _rows(seen, slurm_conf)]
    return HEAD.format(name=seen.site.name or "here") + "\n".join(lines) + "\n"


def _rows(seen: Seen, slurm_conf: str | None) -> list[tuple[str, str]]:
    site, part = seen.site, seen.partition
    kind = part.best if part else None
    told = "mem" in seen.options or not seen.options
    modules_ = ", ".join(_quoted(f"module load {name}") for name in modules())
    return [
        *_names(seen),
        _time(part.max_time if part else ""),
        *_share(kind, told),
        *(_gpus(part, seen.options) if part else []),
        _device(seen),
        (f"max_parallel: {min(64, site.max_array)}", "array tasks at once"),
        (f"setup: [{modules_}]", "shell lines before the job's Python"),
        (f"out: {_quoted(str(seen.out))}", "the output folder, where --out says nothing"),
        *([(f"slurm_conf: {_quoted(slurm_conf)}", "$SLURM_CONF of this shell")]
          if slurm_conf else []),
    ]  # fmt: skip


def _names(seen: Seen) -> list[tuple[str, str]]:
    site, part = seen.site, seen.partition
    others = [one.name for one in site.partitions if part and one.name != part.name]
    account, qos = seen.options.get("account") or site.default_account, seen.options.get("qos")
    accounts, all_qos = (
        ", ".join(found) or "not known" for found in (site.accounts or (), site.qos)
    )
    return [
        (f"partition: {part.name if part else 'null'}", f"others: {', '.join(others) or 'none'}"),
        (f"account: {account or 'null'}", f"yours: {accounts}"),
        (f"qos: {qos}" if qos else "# qos: null", f"yours: {all_qos}"),
    ]


def _time(limit: str) -> tuple[str, str]:
    """Sweeps say how long they take; a partition that allows less than the default says it."""
    usual, most = Profile().minutes, minutes(limit)
    chosen = min(usual, most) if most else usual
    line = f'time: "{chosen // 60:02d}:{chosen % 60:02d}:00"'
    why = f"of one array task; at most {limit or 'any time'}"
    return line if chosen < usual else f"# {line}", why


def _share(kind: Nodes | None, with_memory: bool) -> list[tuple[str, str]]:
    """One GPU's share of a node, or of a node without GPUs a quarter."""
    parts = (kind.gpu_count or 4) if kind else 4
    cpus = max(kind.cpus // parts, 1) if kind else 4
    memory = max(int(kind.memory / 1024 * 0.9) // parts, 1) if kind else 16
    of = f"of {kind.cpus} on a node" if kind else "not known here"
    return [
        (f"mem_gb: {memory if with_memory else 'null'}",
         f"on each node; a share of {kind.memory // 1024 if kind else '?'} GB"),
        (f"cpus_per_task: {cpus}", of),
    ]  # fmt: skip


def _gpus(part: Partition, options: Mapping[str, str]) -> list[tuple[str, str]]:
    if not part.has_gpus:
        return [("gpus_per_node: 0", "this partition has none")]
    asked = options.get("gres", "").removeprefix("gpu:") or options.get("gpus-per-node", "1")
    kind, typed, _ = asked.partition(":")
    types = f"types: {', '.join(part.gpu_types) or 'not named'}"
    request = [("gpu_request: gres", "as this site takes it")] if "gres" in options else []
    return [(f"gpu_type: {kind}" if typed else "# gpu_type: null", types), *request]


def _device(seen: Seen) -> tuple[str, str]:
    pretended = seen.partition and seen.partition.has_gpus and seen.node
    if pretended and not seen.node.get("driver"):
        return "device: cpu", "the node has no NVIDIA driver; auto, where it has"
    return "device: auto", "CUDA where GPUs are asked for, and a job without it fails"


def _quoted(word: str) -> str:
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def write(name: str, content: str, force: bool, folder: Path = profiles.FOLDER) -> Path:
    """Write the profile and read it again as a submission would.

    Raises:
        UserError: no name, a folder that cannot be written to, or such a profile is there and
            `force` does not say to replace it.
    """
    path = target(name, force, folder)
    path.write_text(content)
    profiles.load(str(path), {}, path)
    return path


def target(name: str, force: bool, folder: Path = profiles.FOLDER) -> Path:
    """Return where a profile of this name goes, or one of this file (see write)."""
    if profiles.is_file(name):
        path = Path(name).expanduser().absolute().with_suffix(".yaml")
    else:
        try:
            path = folder / f"{names.check(name)}.yaml"
        except ValueError as error:
            raise UserError(f"the profile's name {error}") from error
    if path.exists() and not force:
        raise UserError(f"{path}: is there already; --force replaces it")
    if not os.access(path.parent, os.W_OK):
        elsewhere = f"python jobs/doctor.py /scratch/me/{path.name}"
        raise UserError(f"{path.parent} cannot be written to; put it elsewhere: {elsewhere}")
    return path
