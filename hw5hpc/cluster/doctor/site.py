"""What Slurm says of a cluster: its partitions, limits, and what this user may use."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hw5hpc.cluster.slurm import SlurmError, run, user

# sinfo's fields, one line for each kind of node of a partition.
NODES = "%R|%D|%c|%m|%G"
UNLIMITED = ("UNLIMITED", "INFINITE", "N/A", "NONE", "")


@dataclass(frozen=True)
class Nodes:
    """Nodes of one kind: how many, CPUs and memory (MiB) of each, {GPU type ('': none): number}."""

    count: int
    cpus: int
    memory: int
    gpus: Mapping[str, int]

    @property
    def gpu_count(self) -> int:
        return sum(self.gpus.values())


@dataclass(frozen=True)
class Partition:
    """A partition with its nodes; times as Slurm writes them, '' for no limit."""

    name: str
    default: bool
    up: bool
    max_time: str
    preempt: str
    accounts: str
    nodes: tuple[Nodes, ...] = ()

    @property
    def best(self) -> Nodes | None:
        """The kind of node of which there are most, those with GPUs first."""
        ranked = sorted(self.nodes, key=lambda kind: (kind.gpu_count > 0, kind.count))
        return ranked[-1] if ranked else None

    @property
    def gpu_types(self) -> list[str]:
        return sorted({name for kind in self.nodes for name in kind.gpus if name})

    @property
    def has_gpus(self) -> bool:
        return any(kind.gpu_count for kind in self.nodes)


@dataclass(frozen=True)
class Site:
    """A cluster as Slurm describes it; `config` is its own configuration.

    `accounts` are those that this user may charge and `qos` what these allow; None where the
    accounting does not answer. `default_account` is '' where there is none.
    """

    name: str
    version: str
    config: Mapping[str, str]
    partitions: tuple[Partition, ...]
    accounts: tuple[str, ...] | None = None
    qos: tuple[str, ...] = ()
    default_account: str = ""

    @property
    def max_array(self) -> int:
        return int(self.config.get("MaxArraySize", "1001"))

    @property
    def enforces_accounts(self) -> bool:
        return "associations" in self.config.get("AccountingStorageEnforce", "")

    def choose(self, wanted: str | None) -> Partition | None:
        """Return the partition of a name; without one the default, but rather one with GPUs."""
        if wanted is not None:
            return next((one for one in self.partitions if one.name == wanted), None)
        ranked = sorted(self.partitions, key=lambda one: (one.up, one.has_gpus, one.default))
        return ranked[-1] if ranked else None


def ask() -> Site:
    """Ask Slurm.

    Raises:
        SlurmError: it does not answer.
    """
    config = dict(_config(run(["scontrol", "show", "config"])))
    nodes = _nodes(run(["sinfo", "--noheader", f"--format={NODES}"]))
    shown = run(["scontrol", "--oneliner", "show", "partition"])
    partitions = tuple(_partition(line, nodes) for line in shown.splitlines() if "=" in line)
    accounts, qos, default = _accounts()
    return Site(
        name=config.get("ClusterName", ""),
        version=config.get("SLURM_VERSION", ""),
        config=config,
        partitions=partitions,
        accounts=accounts,
        qos=qos,
        default_account=default,
    )


def _config(shown: str) -> Iterator[tuple[str, str]]:
    for line in shown.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            yield key.strip(), value.strip()


def _nodes(shown: str) -> dict[str, list[Nodes]]:
    found: dict[str, list[Nodes]] = {}
    for line in shown.splitlines():
        if line.count("|") == NODES.count("|"):
            name, count, cpus, memory, gres = line.strip().split("|")
            made = Nodes(_whole(count), _whole(cpus), _whole(memory), gpus_of(gres))
            found.setdefault(name, []).append(made)
    return found


def _whole(text: str) -> int:
    """Where nodes of a kind differ, sinfo writes the least with a plus: 128+."""
    return int(re.sub(r"\D.*", "", text) or 0)


def gpus_of(gres: str) -> dict[str, int]:
    """Return {type: number} of the GPUs in a node's gres.

    >>> gpus_of("gpu:a100:4(S:0-1),tmpdisk:900"), gpus_of("gpu:2"), gpus_of("(null)")
    ({'a100': 4}, {'': 2}, {})
    """
    found: dict[str, int] = {}
    for name, count in re.findall(r"\bgpu:(?:([A-Za-z][\w.-]*):)?(\d+)", gres):
        found[name] = found.get(name, 0) + int(count)
    return found


def _partition(line: str, nodes: Mapping[str, list[Nodes]]) -> Partition:
    facts = dict(re.findall(r"(\w+)=(\S*)", line))
    name, limit = facts.get("PartitionName", ""), facts.get("MaxTime", "")
    return Partition(
        name=name,
        default=facts.get("Default") == "YES",
        up=facts.get("State") == "UP",
        max_time="" if limit in UNLIMITED else limit,
        preempt=facts.get("PreemptMode", ""),
        accounts=facts.get("AllowAccounts", "ALL"),
        nodes=tuple(nodes.get(name, ())),
    )


def _accounts() -> tuple[tuple[str, ...] | None, tuple[str, ...], str]:
    """Return (accounts, QOS, default account); (None, (), '') where the accounting is silent."""
    words = ["sacctmgr", "--noheader", "--parsable2", "show"]
    try:
        shown = run([*words, "assoc", f"user={user()}", "format=account,qos"])
        default = run([*words, "user", user(), "format=defaultaccount"]).strip()
    except (SlurmError, OSError):
        return None, (), ""
    rows = [line.split("|") for line in shown.splitlines() if line.count("|") == 1]
    accounts = dict.fromkeys(account for account, _ in rows if account)
    qos = dict.fromkeys(name for _, names in rows for name in names.split(",") if name)
    return tuple(accounts), tuple(qos), default.splitlines()[0] if default else ""


def minutes(time: str) -> int | None:
    """Return a limit of Slurm's ([days-]hours:minutes:seconds) in minutes; None without one.

    >>> minutes("1-12:00:00"), minutes("30:00"), minutes("")
    (2160, 30, None)
    """
    if time in UNLIMITED:
        return None
    days, dash, rest = time.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    parts = [0] * (3 - len(parts)) + parts if not dash else parts + [0] * (3 - len(parts))
    return (int(days or 0) * 24 + parts[0]) * 60 + parts[1]


def modules() -> list[str]:
    """Return the modules that are loaded in this shell."""
    return [name for name in os.environ.get("LOADEDMODULES", "").split(":") if name]
