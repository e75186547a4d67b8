"""What works on a cluster, what does not, and whom to ask about it: one line for each thing."""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hw5hpc.cluster.doctor.site import Partition, Site
from hw5hpc.cluster.doctor.trial import Trial

WORKS, NOTE, ASK = "ok", "note", "ASK"
# What an environment with CUDA's libraries takes, and what is left of a home that it fills.
ENVIRONMENT_GB = 8
CLOCK_SECONDS = 120.0


@dataclass(frozen=True)
class Finding:
    """One thing: how it stands, in words, and what to do about it ('': nothing)."""

    mark: str
    about: str
    words: str
    remedy: str = ""

    def lines(self) -> list[str]:
        return [f"{self.mark:<5}{self.about:<15}{self.words}"] + (
            [f"{'':<20}-> {self.remedy}"] if self.remedy else []
        )


@dataclass(frozen=True)
class Seen:
    """All that was found out: by asking Slurm, here, and on a node (None: no job was sent)."""

    site: Site
    partition: Partition | None
    trial: Trial | None
    out: Path
    wandb: str

    @property
    def options(self) -> Mapping[str, str]:
        """What of sbatch's options Slurm took for the test job."""
        return self.trial.options if self.trial else {}

    @property
    def node(self) -> Mapping[str, Any]:
        return self.trial.facts if self.trial else {}


def slurm(seen: Seen) -> Iterator[Finding]:
    site = seen.site
    yield Finding(WORKS, "Slurm", f"{site.version} on cluster {site.name or '(without a name)'}")
    for one in site.partitions:
        kinds = "; ".join(
            f"{kind.count} nodes of {kind.cpus} CPUs, {kind.memory / 1024:.0f} GB"
            + "".join(f", {count} GPU {name}".rstrip() for name, count in kind.gpus.items())
            for kind in one.nodes
        )
        words = f"{one.name}: {kinds or 'no nodes'}; at most {one.max_time or 'any time'}"
        words += "; the default" if one.default else ""
        yield Finding(WORKS if one.up else NOTE, "partition", words + ("" if one.up else "; down"))


def partition(seen: Seen) -> Iterator[Finding]:
    if seen.partition is None:
        yield Finding(ASK, "partition", "there is none that you may use", "ask for one")
    elif not seen.partition.has_gpus:
        yield Finding(NOTE, "GPUs", f"{seen.partition.name} has none; runs train on CPUs there")


def limits(seen: Seen) -> Iterator[Finding]:
    words = f"an array takes {seen.site.max_array} tasks (MaxArraySize); larger sweeps are split"
    yield Finding(WORKS, "arrays", words)
    if seen.site.config.get("JobRequeue") == "0":
        yield Finding(NOTE, "requeue", "off by default; each job asks for it (--requeue)")
    mode = seen.site.config.get("PreemptMode", "OFF")
    own = seen.partition.preempt if seen.partition else ""
    mode = own if own not in ("", "OFF") else mode
    if mode.startswith(("OFF", "REQUEUE")):
        yield Finding(WORKS, "preemption", f"{mode.split(',')[0].lower()}")
    else:
        yield Finding(NOTE, "preemption", f"a preempted job is not requeued ({mode})",
                      "its runs are lost until you submit again, and go on from there")  # fmt: skip


def accounts(seen: Seen) -> Iterator[Finding]:
    site = seen.site
    if site.accounts is None:
        yield Finding(NOTE, "account", "the accounting does not answer; ask which account to use")
    elif not site.accounts and site.enforces_accounts:
        yield Finding(ASK, "account", "you have none, and this cluster asks for one",
                      "ask the administrator to add you to an account")  # fmt: skip
    else:
        default = f", by default {site.default_account}" if site.default_account else ""
        words = f"{', '.join(site.accounts) or 'none needed'}{default}"
        yield Finding(WORKS, "account", words)
        if site.qos:
            yield Finding(WORKS, "QOS", f"{', '.join(site.qos)}")


def job(seen: Seen) -> Iterator[Finding]:
    trial = seen.trial
    if trial is None:
        yield Finding(NOTE, "test job", "none was sent (--no-job); what nodes can do is not known")
    elif trial.problem:
        yield Finding(ASK, "test job", trial.problem,
                      "if it only waited, try again later or with --wait 1800; else ask the "
                      "administrator with these words")  # fmt: skip
    else:
        yield Finding(WORKS, "test job", f"ran on {seen.node.get('host')}")
        yield Finding(WORKS, "shared folder", f"{seen.out} is seen from a node")


def names(seen: Seen) -> Iterator[Finding]:
    lost = seen.node.get("unresolved", [])
    if lost:
        yield Finding(ASK, "names", f"nodes do not find each other by name: {', '.join(lost)}",
                      "only runs on several nodes need it; ask for DNS or /etc/hosts")  # fmt: skip
    elif seen.node:
        yield Finding(WORKS, "names", "nodes find each other by name")


def internet(seen: Seen) -> Iterator[Finding]:
    problem = seen.node.get("internet", "")
    if problem:
        remedy = "fetch data (jobs/fetch_data.py) and send to W&B (jobs/sync.py) from here"
        yield Finding(NOTE, "internet", f"nodes have none ({problem})", remedy)
    elif seen.node:
        yield Finding(WORKS, "internet", "nodes reach W&B, so runs are mirrored while they train")


def cuda(seen: Seen) -> Iterator[Finding]:
    torch, driver = seen.node.get("torch", {}), seen.node.get("driver", {})
    if not seen.node:
        return
    if "version" not in torch:
        yield Finding(ASK, "torch", torch.get("trouble", "is not there"),
                      "is the environment on a disk that nodes see?")  # fmt: skip
    elif torch.get("gpu"):
        words = f"torch {torch['version']} trains on {driver.get('gpu', 'the GPU')}"
        yield Finding(WORKS, "CUDA", f"{words}, driver {driver.get('version', '?')}")
    elif seen.partition and seen.partition.has_gpus:
        yield _no_cuda(torch, driver)


def _no_cuda(torch: Mapping[str, str], driver: Mapping[str, str]) -> Finding:
    if not driver:
        words = "the node has no NVIDIA driver (nvidia-smi was not found)"
        return Finding(
            ASK, "CUDA", words, "ask whether the GPUs are NVIDIA's; device: cpu until then"
        )
    if driver.get("trouble"):
        return Finding(ASK, "CUDA", f"nvidia-smi: {driver['trouble']}", "ask the administrator")
    if not torch.get("cuda"):
        return Finding(ASK, "CUDA", "this torch is built for CPUs alone",
                       "install it anew with CUDA: docs/your_cluster.md")  # fmt: skip
    words = f"torch is built for CUDA {torch['cuda']}, the driver knows up to {driver.get('cuda')}"
    return Finding(ASK, "CUDA", f"{words}; {torch.get('trouble', '')}",
                   "install a torch for that CUDA: docs/your_cluster.md")  # fmt: skip


def wandb(seen: Seen) -> Iterator[Finding]:
    online = seen.wandb.startswith("online")
    yield Finding(WORKS if online else NOTE, "W&B", seen.wandb,
                  "" if online else "docs/wandb.md; runs are complete without it")  # fmt: skip


def room(seen: Seen) -> Iterator[Finding]:
    for about, folder in (("home", Path.home()), ("output folder", seen.out)):
        try:
            free = shutil.disk_usage(folder).free / 1e9
        except OSError:
            continue
        mark = WORKS if free > ENVIRONMENT_GB else NOTE
        yield Finding(
            mark, about, f"{folder}: {free:.0f} GB free on its disk (a quota may be less)"
        )
    where = {
        "here": os.access(Path.home(), os.W_OK),
        "on nodes": seen.node.get("home_writable", True),
    }
    for place, writable in where.items():
        if not writable:
            remedy = "docs/your_cluster.md says what to move"
            yield Finding(NOTE, "home", f"cannot be written to {place}", remedy)


def clock(seen: Seen) -> Iterator[Finding]:
    apart = abs(time.time() - float(seen.node.get("seconds", time.time())))
    if apart > CLOCK_SECONDS:
        words = f"a node's clock is {apart:.0f} s off; who works on a run is told by file times"
        yield Finding(ASK, "clock", words, "ask for NTP on the nodes")


# What is looked at, in the order in which it is told.
CHECKS: tuple[Callable[[Seen], Iterator[Finding]], ...] = (
    slurm, partition, limits, accounts, job, names, clock, internet, cuda, wandb, room,
)  # fmt: skip


def findings(seen: Seen) -> list[Finding]:
    return [one for check in CHECKS for one in check(seen)]
