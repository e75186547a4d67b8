"""A job of one minute that looks around on a node, sent as training jobs are."""

import json
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hw5hpc.cluster.doctor.site import Partition
from hw5hpc.cluster.sbatch import read_id
from hw5hpc.cluster.slurm import SlurmError, cancel, flags, run
from hw5hpc.node import jobs

PROBE = Path(__file__).with_name("probe.py")
ASK_SECONDS = 15.0
# A busy file server shows a file that a node has written a little later.
SHOW_SECONDS = 20.0


@dataclass(frozen=True)
class Trial:
    """What became of the job: what it saw, or why it saw nothing ('': it did).

    `options` are those of sbatch that Slurm took for it.
    """

    options: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""


def attempts(
    partition: Partition, account: str | None, qos: str | None
) -> Iterator[dict[str, str]]:
    """Give the options to try, until Slurm takes some: GPUs are asked for in several ways."""
    told = {"partition": partition.name, "time": "1", "nodes": "1", "ntasks": "1"}
    told |= {key: value for key, value in (("account", account), ("qos", qos)) if value}
    if not partition.has_gpus:
        yield told | {"mem": "1G"}
        yield told
        return
    kinds = [*(f"{name}:1" for name in partition.gpu_types[:1]), "1"]
    for memory in ({"mem": "1G"}, {}):
        for count in ("1", *kinds):
            yield told | memory | {"gpus-per-node": count}
            yield told | memory | {"gres": f"gpu:{count}"}


def taken(partition: Partition, account: str | None, qos: str | None) -> Trial:
    """Return the first options that Slurm takes; nothing is sent.

    Where it takes none, `problem` holds what it says of the plainest.
    """
    first = ""
    for options in attempts(partition, account, qos):
        try:
            run(["sbatch", "--test-only", *flags(options), "--wrap", "true"], options=options)
        except SlurmError as error:
            first = first or str(error)
        else:
            return Trial(options)
    return Trial(problem=first)


def go(
    options: Mapping[str, str], out: Path, url: str, names: list[str], patience: float,
    say: Callable[[str], None],
) -> Trial:  # fmt: skip
    """Send the job, wait for what it sees, and leave nothing behind."""
    with _folder(out) as folder:
        command = shlex.join([sys.executable, str(PROBE), str(folder), url, *names])
        words = [*flags({**options, "output": str(folder / "log"), "job-name": "hw5hpc.doctor"})]
        try:
            job = read_id(run(["sbatch", *words, "--wrap", command], options=options))
        except SlurmError as error:
            return Trial(options, problem=str(error))
        say(f"test job {job} of one minute sent; waiting at most {patience:.0f} s")
        try:
            return _wait(options, folder, job, patience)
        finally:
            cancel([job])


@contextmanager
def _folder(out: Path) -> Iterator[Path]:
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".doctor-", ignore_cleanup_errors=True) as at:
        yield Path(at)


def _wait(options: Mapping[str, str], folder: Path, job: str, patience: float) -> Trial:
    begin, seen, asked = time.monotonic(), folder / "probe.json", 0.0
    state, ended = "", 0.0
    while time.monotonic() < begin + patience:
        if seen.exists():
            return Trial(options, json.loads(seen.read_text()))
        if ended and time.monotonic() > ended + SHOW_SECONDS:
            break
        if time.monotonic() > asked + ASK_SECONDS or not asked:
            asked = time.monotonic()
            found = jobs.queued([job]).get(job) or jobs.ends(job).get(job)
            state = found.words() if found else "is not known to Slurm any more"
            ended = ended or (asked if found is None or found.ended else 0.0)
        time.sleep(1)
    log = folder / "log"
    said = log.read_text(errors="replace").strip()[-300:] if log.exists() else ""
    if ended:
        told = f"; its log says: {said}" if said else ", and nothing that it wrote is seen here"
        return Trial(options, problem=f"the test job ended without an answer ({state}){told}")
    return Trial(options, problem=f"the test job has not answered in {patience:.0f} s ({state})")
