"""Submit to Slurm with submitit, and ask it through its own commands."""

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import submitit
from submitit.core.utils import FailedJobError, FailedSubmissionError

from hw5hpc.cluster.private import for_me_alone, own_folder, umask_line
from hw5hpc.cluster.profile import Profile
from hw5hpc.errors import UserError
from hw5hpc.node import intact, requeue

UNLIMITED = 1_000_000
# What a site gives names to; left out of a request when the profile does.
NAMED = ("partition", "account", "qos", "constraint")


class SlurmError(UserError):
    """Slurm is missing, or refuses what was asked; the message holds Slurm's own words."""


def use_conf(profile: Profile) -> None:
    """Point Slurm's commands at the profile's own slurm.conf, when it names one."""
    if profile.slurm_conf:
        os.environ["SLURM_CONF"] = str(Path(os.path.expandvars(profile.slurm_conf)).expanduser())


def require(profile: Profile) -> None:
    """Raise SlurmError unless Slurm's commands are here and its controller answers."""
    use_conf(profile)
    remedy = "use --debug or --local to run on this machine"
    for program in ("sbatch", "srun", "scontrol", "squeue"):
        if shutil.which(program) is None:
            raise SlurmError(f"no Slurm on this machine: {program} was not found; {remedy}")
    conf = os.environ.get("SLURM_CONF")
    if profile.slurm_conf and conf and not Path(conf).exists():
        raise SlurmError(f"{conf}: no such file (the profile's slurm_conf); {remedy}")
    _run(["scontrol", "ping"])


def _run(words: Sequence[str], timeout: float = 60) -> str:
    """Run one of Slurm's commands and return what it prints.

    Raises:
        SlurmError: it failed or hung; the message holds its own last line.
    """
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=timeout, env=clean_env()
        )
    except subprocess.TimeoutExpired as error:
        raise SlurmError(f"{words[0]} did not answer within {timeout:.0f} s") from error
    if done.returncode != 0 or "is DOWN" in done.stdout:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise SlurmError(f"{words[0]}: {lines[-1] if lines else f'exit status {done.returncode}'}")
    return done.stdout + done.stderr


def clean_env() -> dict[str, str]:
    """Return the environment without an enclosing job's SLURM_ variables, which would leak in."""
    leaking = ("SLURM_", "SBATCH_", "SRUN_")
    return {k: v for k, v in os.environ.items() if not k.startswith(leaking) or k == "SLURM_CONF"}


@contextlib.contextmanager
def _clean_environment() -> Iterator[None]:
    """Let submitit, which passes the whole environment on, see the clean one."""
    saved = dict(os.environ)
    kept = clean_env()
    os.environ.clear()
    os.environ.update(kept)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)


def max_array_size() -> int:
    """Return the cluster's MaxArraySize: task numbers run from 0 to one below it."""
    for line in _run(["scontrol", "show", "config"]).splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "MaxArraySize":
            return max(int(value), 1)
    return 1001


class Queue:
    """The user's jobs as squeue saw them at one moment."""

    def __init__(self) -> None:
        self._jobs = set(_run(["squeue", "--me", "-h", "-r", "-o", "%i"]).split())

    def alive(self, job: str) -> bool:
        return job in self._jobs or any(known.startswith(f"{job}_") for known in self._jobs)


def preflight(profile: Profile, out: Path) -> None:
    """Ask Slurm, before anything is sent, whether it would take such a job.

    Raises:
        SlurmError: sbatch refuses the resources (its own words), or a node does not see `out`.
    """
    flags = _resource_flags(profile)
    _run(["sbatch", "--test-only", *flags, "--wrap", "true"])
    _check_shared_folder(profile, out)


def _check_shared_folder(profile: Profile, out: Path) -> None:
    """Look for a file of the output folder from a node, if one is free at once."""
    words = ["srun", "--immediate=10", "--time=1", "--nodes=1", "--ntasks=1", "--mem=100M"]
    words += _named_flags(profile)
    with tempfile.NamedTemporaryFile(dir=out, prefix=".seen-from-node-") as probe:
        command = f"test -e {shlex.quote(probe.name)} && echo seen || echo unseen"
        try:
            answer = _run([*words, "sh", "-c", command], timeout=40)
        except SlurmError:
            return
    if "unseen" in answer:
        raise SlurmError(f"--out {out}: a compute node does not see this folder; use a shared one")


def _resource_flags(profile: Profile) -> list[str]:
    flags = [
        f"--time={profile.minutes}",
        f"--mem={profile.mem_gb}G",
        f"--nodes={profile.nodes}",
        f"--ntasks-per-node={profile.processes_per_node}",
        f"--cpus-per-task={profile.cpus_per_task}",
    ]
    if profile.gpus_per_node:
        flags.append(f"--gpus-per-node={profile.gpus_per_node}")
    return flags + _named_flags(profile)


def _named_flags(profile: Profile) -> list[str]:
    return [f"--{name}={getattr(profile, name)}" for name in NAMED if getattr(profile, name)]


def make_executor(
    profile: Profile,
    folder: Path,
    code: Path,
    name: str,
    after: Sequence[str] = (),
    requeue_killed: bool = False,
) -> submitit.SlurmExecutor:
    """Return an executor whose jobs run the code frozen at `code`, after the jobs `after` ended.

    With `requeue_killed`, a job whose process is killed goes back into the queue (node.requeue).
    """
    executor = submitit.SlurmExecutor(folder=folder, max_num_timeout=UNLIMITED)
    parameters = _parameters(profile, code) | {"job_name": name}
    parameters["setup"] += [*intact.script_lines(code, folder), *umask_line()]
    if requeue_killed:
        parameters["teardown"] = requeue.script_lines(sys.executable, folder)
    if after:
        parameters["dependency"] = "afterany:" + ":".join(after)
    executor.update_parameters(**parameters)
    # submitit's default wckey is refused by sites that check them.
    executor.parameters["wckey"] = None
    return executor


def _parameters(profile: Profile, code: Path) -> dict[str, Any]:
    """Return the profile in submitit's words."""
    quoted = shlex.quote(str(code))
    parameters: dict[str, Any] = {
        "time": profile.minutes,
        "mem": f"{profile.mem_gb}GB",
        "nodes": profile.nodes,
        "ntasks_per_node": profile.processes_per_node,
        "cpus_per_task": profile.cpus_per_task,
        "array_parallelism": profile.max_parallel,
        "signal_delay_s": profile.warning_seconds,
        "stderr_to_stdout": True,
        "srun_args": _srun_args(profile),
        "setup": [*profile.setup, f"cd {quoted}", f"export PYTHONPATH={quoted}"],
        "additional_parameters": {"requeue": True},
    }
    if profile.gpus_per_node:
        parameters["gpus_per_node"] = profile.gpus_per_node
    named = {name: getattr(profile, name) for name in NAMED}
    return parameters | {name: value for name, value in named.items() if value}


def _srun_args(profile: Profile) -> list[str]:
    """Newer srun does not inherit the first, and a site may export nothing by default."""
    words = [f"--cpus-per-task={profile.cpus_per_task}", "--export=ALL"]
    if profile.processes > 1:
        # Time to write down why a rank died, but no more: a stuck one must not hold the nodes.
        words += ["--kill-on-bad-exit=0", "--wait=60"]
    return words


def script(executor: submitit.SlurmExecutor, tasks: int) -> str:
    """Return the sbatch script for an array of this many tasks, exactly as it would be sent."""
    if tasks > 1:
        executor.parameters["map_count"] = tasks
    text: str = executor._make_submission_file_text(executor._submitit_command_str, "preview")
    executor.parameters.pop("map_count", None)
    return text


def submit(executor: submitit.SlurmExecutor, tasks: Sequence[Any], largest: int) -> list[str]:
    """Send tasks as arrays of at most `largest`, and return one job id a task.

    Raises:
        SlurmError: sbatch refused; what an earlier array of this call sent is cancelled.
    """
    ids: list[str] = []
    try:
        # A folder for each job would come too late for one that starts at once: Slurm ends a job
        # whose log it cannot open. So all files lie in one folder, made before.
        own_folder(Path(executor.folder))
        with _clean_environment(), for_me_alone():
            for start in range(0, len(tasks), largest):
                chunk = tasks[start : start + largest]
                ids += [job.job_id for job in executor.submit_array(chunk)]
    except (FailedJobError, FailedSubmissionError, subprocess.CalledProcessError) as error:
        cancel(ids)
        last = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise SlurmError(f"sbatch: {last}") from error
    return ids


def cancel(jobs: Sequence[str]) -> None:
    if jobs:
        subprocess.run(["scancel", *jobs], capture_output=True, timeout=60)
