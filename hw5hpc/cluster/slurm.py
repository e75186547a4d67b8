"""Ask Slurm through its own commands: is it here, what would it take, which jobs does it know."""

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from hw5hpc.cluster.profile import Profile
from hw5hpc.cluster.shell import environment
from hw5hpc.errors import UserError, brief, unknown
from hw5hpc.node import known_jobs

# What a site gives names to.
NAMED = ("partition", "account", "qos", "constraint", "reservation")
MOST_LINES = 30


class SlurmError(UserError):
    """Slurm is missing, or refuses what was asked; the message holds Slurm's own words."""


class NoSlurm(SlurmError):
    """This machine is none of a cluster's: a laptop, perhaps."""


def use_conf(profile: Profile) -> None:
    """Point Slurm's commands at the profile's own slurm.conf, when it names one."""
    if profile.slurm_conf:
        os.environ["SLURM_CONF"] = str(Path(os.path.expandvars(profile.slurm_conf)).expanduser())


def require(profile: Profile) -> None:
    """Raise SlurmError unless Slurm's commands are here and its controller answers.

    Raises:
        NoSlurm: this machine has none.
        SlurmError: it does not answer.
    """
    use_conf(profile)
    for program in ("sbatch", "srun", "scontrol", "squeue"):
        if shutil.which(program) is None:
            raise NoSlurm(f"no Slurm on this machine ({program} was not found)")
    conf = os.environ.get("SLURM_CONF")
    if profile.slurm_conf and conf and not Path(conf).exists():
        raise NoSlurm(
            f"no Slurm on this machine ({conf}, the profile's slurm_conf, does not exist)"
        )
    _ping()


def _ping() -> None:
    """A controller that is down matters only when no other one is up."""
    words = ["scontrol", "ping"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, env=environment())
    except subprocess.TimeoutExpired as error:
        raise SlurmError("scontrol ping did not answer within 60 s") from error
    # Older ones say it of two at once: "are UP/DOWN".
    if not re.search(r"\b(is|are) (\w+/)?UP\b", done.stdout):
        raise SlurmError(said("scontrol", done.stderr, done.stdout, done.returncode))


def run(words: Sequence[str], timeout: float = 60, options: Mapping[str, str] | None = None) -> str:
    """Run one of Slurm's commands, for a job with `options` of sbatch; return what it prints.

    Raises:
        SlurmError: it failed or hung; the message holds all that it, and so the site, said.
    """
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=timeout, env=environment(options)
        )
    except subprocess.TimeoutExpired as error:
        raise SlurmError(f"{words[0]} did not answer within {timeout:.0f} s") from error
    if done.returncode != 0:
        raise SlurmError(said(words[0], done.stderr, done.stdout, done.returncode))
    return done.stdout + done.stderr


def said(program: str, stderr: str, stdout: str, status: int) -> str:
    """Return a failed command's own words, all of them: a site's advice may stand in any line."""
    lines = [line.rstrip() for line in (stderr + "\n" + stdout).splitlines() if line.strip()]
    plain = [line.removeprefix(f"{program}: ").removeprefix("error: ") for line in lines]
    if not plain:
        return f"{program}: exit status {status}"
    more = [f"... and {len(plain) - MOST_LINES} lines more"] if len(plain) > MOST_LINES else []
    return f"{program}: " + "\n  ".join([*plain[:MOST_LINES], *more])


def user() -> str:
    """Return this user's name, or the number where no list of users has one."""
    return known_jobs.user() or str(os.getuid())


def max_array_size() -> int:
    """Return the cluster's MaxArraySize: task numbers run from 0 to one below it."""
    for line in run(["scontrol", "show", "config"]).splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "MaxArraySize":
            return max(int(value), 1)
    return 1001


def hosts(partition: str, most: int = 2) -> list[str]:
    """Return the names of some nodes of a partition."""
    shown = run(["sinfo", "--noheader", "--Node", f"--partition={partition}", "--format=%N"])
    return list(dict.fromkeys(shown.split()))[:most]


def check_folder(folder: Path) -> None:
    """Refuse a folder whose name Slurm would not write logs under as it stands.

    It reads % as a pattern in the name of a log, and after a backslash reads no pattern at all.

    Raises:
        SlurmError: one line with what to change.
    """
    bad = [mark for mark in "%\\" if mark in os.fspath(folder)]
    if bad or not str(folder).isprintable():
        marks = " or ".join(bad) or "control characters"
        raise SlurmError(
            f"--out {brief(str(folder))}: Slurm takes no {marks} in the path of a log; "
            "choose another folder"
        )


def preflight(profile: Profile, out: Path | None, prerequisites: bool = False) -> list[str]:
    """Ask Slurm, before anything is sent, whether it would take such jobs; return warnings.

    A report job that it would refuse is one; `prerequisites` tries theirs, too. Without `out`
    nothing is tried on a node, and so nothing is written.

    Raises:
        SlurmError: sbatch refuses the resources (its own words), or a node does not see `out`.
    """
    _try(profile.options())
    if prerequisites and profile.prerequisites:
        _try(profile.for_prerequisites().options(), "of the prerequisites: ")
    if out is not None:
        _check_shared_folder(profile, out)
    try:
        _try(profile.for_report().options())
    except SlurmError as error:
        return [report_refused(error)]
    return []


def report_refused(error: SlurmError) -> str:
    """Return what to say, and to do, about a report job that Slurm does not take."""
    return (
        f"the report job is refused, and the runs go on without it; {error}\n"
        "  give it resources of its own in the profile, such as  report: {partition: NAME}  or  "
        "report: {gpus_per_node: 1}"
    )


def _partitions(error: SlurmError, options: Mapping[str, str]) -> str:
    """Return what partitions there are, where one was asked for that does not exist."""
    if not ("partition" in options and re.search("invalid partition", str(error), re.IGNORECASE)):
        return ""
    try:
        names = run(["sinfo", "--noheader", "--format=%R"]).split()
    except SlurmError:
        return ""
    return f"\n  {unknown('partition', options['partition'], set(names))}"


def _try(options: Mapping[str, str], whose: str = "") -> None:
    try:
        run(["sbatch", "--test-only", *flags(options), "--wrap", "true"], options=options)
    except SlurmError as error:
        raise SlurmError(f"{whose}{error}{_partitions(error, options)}") from error


def flags(options: Mapping[str, str]) -> list[str]:
    """Return options of sbatch as words of its command line."""
    return [f"--{name}={value}" if value else f"--{name}" for name, value in options.items()]


def _check_shared_folder(profile: Profile, out: Path) -> None:
    """Look for a file of the output folder from a node, if one is free at once."""
    words = ["srun", "--immediate=10", "--time=1", "--nodes=1", "--ntasks=1"]
    words += ["--mem=100M"] if profile.mem_gb else []
    told = profile.options()
    # srun reads SLURM_ variables instead of the user's SBATCH_ ones.
    named = {key: told.get(key) or os.environ.get(f"SBATCH_{key.upper()}", "") for key in NAMED}
    words += flags({key: value for key, value in named.items() if value})
    with tempfile.NamedTemporaryFile(dir=out, prefix=".seen-from-node-") as probe:
        command = f"test -e {shlex.quote(probe.name)} && echo seen || echo unseen"
        try:
            answer = run([*words, "sh", "-c", command], timeout=40)
        except SlurmError:
            return
    if "unseen" in answer:
        raise SlurmError(f"--out {out}: a compute node does not see this folder; use a shared one")


def end(jobs: Sequence[str]) -> None:
    """Cancel jobs (`ID` or `ID_TASK`); those that have ended meanwhile are no trouble.

    Raises:
        SlurmError: Slurm refuses or does not answer.
    """
    tasks: dict[str, list[str]] = {}
    for job in jobs:
        array, _, task = job.partition("_")
        tasks.setdefault(array, []).extend([task] if task else [])
    words = [f"{job}_[{','.join(found)}]" if found else job for job, found in tasks.items()]
    if words:
        run(["scancel", "--quiet", *words])


def cancel(jobs: Sequence[str]) -> None:
    """Cancel what this submission has just sent; nothing more can be done where that fails."""
    if jobs:
        subprocess.run(["scancel", *jobs], capture_output=True, timeout=60, env=environment())
