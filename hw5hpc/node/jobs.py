"""What Slurm says about jobs that are known by their ids, whoever sent them."""

import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from hw5hpc.errors import UserError

TIMEOUT_SECONDS = 60.0
ENDED = (
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY",
    "PREEMPTED", "REVOKED", "TIMEOUT",
)  # fmt: skip
# {a reason of Slurm's: what it means for the user}; the rest is shown as it is.
MEANING = {
    "AccountNotAllowed": "the partition does not take this account",
    "BadConstraints": "no node has what it asks for",
    "BeginTime": "it may not start yet",
    "DependencyNeverSatisfied": "the job that it waits for can no longer end as needed",
    "InvalidQOS": "its QOS is not valid",
    "Dependency": "an earlier job has not ended yet",
    "JobArrayTaskLimit": "as many run at a time as max_parallel allows",
    "JobHeldAdmin": "held by an administrator",
    "JobHeldUser": "held; scontrol release lets it go",
    "NodeDown": "a node that it needs is down",
    "PartitionDown": "the partition is down",
    "PartitionInactive": "the partition is inactive",
    "PartitionNodeLimit": "it asks for more nodes than the partition has or allows",
    "PartitionTimeLimit": "it asks for more time than the partition allows",
    "Priority": "other jobs come first",
    "ReqNodeNotAvail": "the nodes that it needs are down or reserved",
    "Resources": "no node is free for it yet",
}


class NoAnswer(UserError):
    """Slurm could not be asked; the message holds its own words."""


@dataclass(frozen=True)
class Job:
    """A job's state; why it waits and when it may start, or how it ended ('' when not known)."""

    id: str
    state: str
    reason: str = ""
    start: str = ""
    exit: str = ""

    @property
    def ended(self) -> bool:
        # sacct writes "CANCELLED by 1000".
        return self.state.split(" ")[0].rstrip("+") in ENDED

    def words(self) -> str:
        """Return how it ended or why it does not run, '' for a job at work."""
        if self.ended:
            code = f", exit code {self.exit}" if self.exit else ""
            return f"its job ended as {self.state}{code}"
        if self.state in ("RUNNING", "COMPLETING", "CONFIGURING"):
            return ""
        what = "waits" if self.state == "PENDING" else f"is {self.state}"
        meaning = MEANING.get(self.reason.split(",")[0], "")
        why = f": {self.reason}" if self.reason else ""
        may = f", expected start {self.start.replace('T', ' ')}" if self.start else ""
        return f"its job {what}{why}" + (f" ({meaning})" if meaning else "") + may


def base(job: str) -> str:
    """Return a job's id without its task number."""
    return job.split("_")[0]


def queued(ids: Iterable[str], timeout: float = TIMEOUT_SECONDS) -> dict[str, Job]:
    """Return what squeue knows of these jobs, array tasks one by one, in one call.

    A job that ended minutes ago is still among them; one that is unknown to Slurm is not.

    Raises:
        NoAnswer: squeue fails or hangs.
    """
    words = ["squeue", "--all", "--array", "--noheader", "--states=all", "--format=%i|%T|%S|%r"]
    try:
        lines = _run([*words, f"--jobs={','.join(sorted(ids))}"], timeout).splitlines()
    except NoAnswer as error:
        # Of a single id that it does not know, squeue says so; of several, nothing.
        if "invalid job id" in str(error).lower():
            return {}
        raise
    rows = [line.strip().split("|") for line in lines if line.count("|") == 3]
    return {row[0]: Job(row[0], row[1], _none(row[3]), _none(row[2])) for row in rows}


def ends(job: str, timeout: float = TIMEOUT_SECONDS) -> dict[str, Job]:
    """Return how a job, or each task of its array, ended: the controller's word, else sacct's.

    Empty where neither knows it or answers.
    """
    for ask in (_from_controller, _from_accounting):
        try:
            found = {one.id: one for one in ask(base(job), timeout) if one.ended}
        except NoAnswer:
            continue
        if found:
            return found
    return {}


def cluster_name() -> str:
    """Return the cluster's name, '' when Slurm does not tell."""
    try:
        shown = _run(["scontrol", "show", "config"], TIMEOUT_SECONDS)
    except NoAnswer:
        return ""
    found = re.search(r"^ClusterName\s*=\s*(\S+)", shown, re.MULTILINE)
    return found[1] if found else ""


def _from_controller(job: str, timeout: float) -> Iterator[Job]:
    for line in _run(["scontrol", "--oneliner", "show", "job", job], timeout).splitlines():
        facts = dict(re.findall(r"(\w+)=(\S*)", line))
        array, task = facts.get("ArrayJobId"), facts.get("ArrayTaskId")
        name = f"{array}_{task}" if array else facts.get("JobId", "")
        for one in _tasks(name):
            yield Job(one, facts.get("JobState", ""), exit=facts.get("ExitCode", ""))


def _from_accounting(job: str, timeout: float) -> Iterator[Job]:
    words = ["sacct", "--noheader", "--parsable2", "--allocations", "--format=JobID,State,ExitCode"]
    for line in _run([*words, f"--jobs={job}"], timeout).splitlines():
        name, state, code = (*line.split("|"), "", "")[:3]
        for one in _tasks(name):
            yield Job(one, state, exit=code)


def _tasks(name: str) -> Iterator[str]:
    """Give each task of 7_[0-2,5%4] or 7_0-2; tasks that never started share one record."""
    array, _, numbers = name.partition("_")
    if not numbers:
        yield name
    for part in re.sub(r"[\[\]]|%.*", "", numbers).split(","):
        found = re.fullmatch(r"(\d+)(?:-(\d+)(?::(\d+))?)?", part)
        if found:
            first, last, step = int(found[1]), int(found[2] or found[1]), int(found[3] or 1)
            yield from (f"{array}_{number}" for number in range(first, last + 1, max(step, 1)))


def _none(text: str) -> str:
    return "" if text in ("N/A", "None", "Unknown", "(null)") else text


def _run(words: Sequence[str], timeout: float) -> str:
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, errors="replace", timeout=timeout, env=_plain()
        )
    except subprocess.TimeoutExpired as error:
        raise NoAnswer(f"{words[0]} did not answer within {timeout:.0f} s") from error
    except OSError as error:
        raise NoAnswer(f"{words[0]}: {error.strerror}") from error
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split())[-500:]
        raise NoAnswer(f"{words[0]}: {said or f'exit status {done.returncode}'}")
    return done.stdout


def _plain() -> dict[str, str]:
    """Return the environment without what would filter or reformat the answers."""
    changing = ("SLURM_", "SQUEUE_", "SACCT_", "SCONTROL_")
    return {k: v for k, v in os.environ.items() if not k.startswith(changing) or k == "SLURM_CONF"}
