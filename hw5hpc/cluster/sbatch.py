"""Send tasks to Slurm as submitit's jobs, and find those whose answer from sbatch was lost."""

import re
import shlex
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import submitit
from submitit.core.utils import DelayedSubmission, JobPaths

from hw5hpc.cluster.private import for_me_alone, own_folder, umask_line
from hw5hpc.cluster.profile import Profile
from hw5hpc.cluster.shell import environment
from hw5hpc.cluster.slurm import SlurmError, cancel, run, said, user
from hw5hpc.errors import brief
from hw5hpc.node import intact, requeue

UNLIMITED = 1_000_000
ANSWER_SECONDS = 180.0
# How long to look for jobs whose answer was lost: a slow controller may still be taking them.
SEARCH_SECONDS = 60.0
# These words of sbatch leave open whether the controller took the job.
OPEN = re.compile(
    r"timed out|unable to contact|connection (refused|reset|failure)|connections? fail"
    r"|zero bytes|send/recv|transport endpoint|unexpected message",
    re.IGNORECASE,
)


class Executor(submitit.SlurmExecutor):
    """submitit's pickles and batch script, sent under a name that no other job has."""

    def __init__(self, profile: Profile, folder: Path, name: str) -> None:
        super().__init__(folder=folder, max_num_timeout=UNLIMITED)
        # squeue --name takes a list with commas, which sweeps have in their names.
        self.base_name, self.options = name.replace(",", "+"), profile.options()

    @classmethod
    def affinity(cls) -> int:
        """Be usable without Slurm, too: a dry run on a laptop shows the script."""
        return 2

    def text(self, tasks: int, job_name: str) -> str:
        """Return the batch script for so many tasks, an array where they are several."""
        array = {"map_count": tasks} if tasks > 1 else {}
        copy = Executor.__new__(Executor)
        copy.__dict__ = {**self.__dict__}
        copy.parameters = {**self.parameters, "job_name": job_name, **array}
        text: str = copy._make_submission_file_text(self._submitit_command_str, "")
        return text

    def send(self, tasks: Sequence[Any]) -> list[str]:
        """Send tasks as one array and return one job id a task.

        Raises:
            SlurmError: sbatch refused, in its own words, or nobody knows whether it did.
        """
        folder, token = Path(self.folder), uuid.uuid4().hex[:8]
        pickles = [folder / f".{token}_{index}.pkl" for index in range(len(tasks))]
        script = folder / f".{token}.sh"
        try:
            for task, pickle in zip(tasks, pickles, strict=True):
                delayed = DelayedSubmission(task)
                delayed.set_timeout(self.parameters["time"], self.max_num_timeout)
                delayed.dump(pickle)
            name = f"{self.base_name}.{token}"
            script.write_text(self.text(len(tasks), name), encoding="utf-8")
            job = _sbatch(script, name, environment(self.options))
        except BaseException:
            for path in (*pickles, script):
                path.unlink(missing_ok=True)
            raise
        jobs = [f"{job}_{index}" for index in range(len(tasks))] if len(tasks) > 1 else [job]
        for each, pickle in zip(jobs, pickles, strict=True):
            JobPaths(folder, each).move_temporary_file(pickle, "submitted_pickle")
        JobPaths(folder, jobs[0]).move_temporary_file(script, "submission_file")
        return jobs


def _sbatch(script: Path, name: str, env: dict[str, str]) -> str:
    """Run sbatch and return the job's id, from its answer or else from the queue."""
    words = ["sbatch", str(script)]
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, errors="replace", env=env, timeout=ANSWER_SECONDS
        )
    except subprocess.TimeoutExpired:
        return _search(name, f"sbatch did not answer within {ANSWER_SECONDS:.0f} s")
    except KeyboardInterrupt:
        subprocess.run(["scancel", "-u", user(), "--name", name], timeout=60, env=environment())
        raise
    if done.returncode == 0:
        return read_id(done.stdout) or _search(name, f"sbatch answered {brief(done.stdout)}")
    refusal = said("sbatch", done.stderr, done.stdout, done.returncode)
    if done.returncode > 0 and not OPEN.search(refusal):
        # A wrapper of the site's may fail after Slurm took the job.
        jobs = _queued(name)
        if not jobs:
            raise SlurmError(refusal)
    return _search(name, refusal)


def read_id(answer: str) -> str:
    """Return the job's id in what sbatch printed: a sentence, or the number alone; '' if neither.

    >>> read_id("Submitted batch job 12 on cluster a"), read_id("12;a"), read_id("12 tasks")
    ('12', '12', '')
    """
    sentence = re.search(r"^\s*Submitted batch job (\d+)\b", answer, re.MULTILINE)
    alone = re.search(r"^\s*(\d+)(;\S*)?\s*$", answer, re.MULTILINE)
    found = sentence or alone
    return found[1] if found else ""


def _search(name: str, why: str) -> str:
    """Return the one job of this name; cancel them where a site made several.

    Raises:
        SlurmError: none or several; says whether jobs may still be queued, and under which name.
    """
    end = time.monotonic() + SEARCH_SECONDS
    while True:
        jobs = _queued(name)
        if jobs is not None and len(jobs) == 1:
            return jobs[0]
        if jobs:
            cancel(jobs)
            raise SlurmError(f"{why}\n  {len(jobs)} jobs were made of one, and were cancelled")
        if time.monotonic() > end:
            break
        time.sleep(5)
    look, end_them = (f"{command} -u {user()} --name {name}" for command in ("squeue", "scancel"))
    raise SlurmError(
        f"{why}\n  jobs named {name} may be queued all the same; see: {look}   end them: {end_them}"
    )


def _queued(name: str) -> list[str] | None:
    """Return the ids of this user's jobs of a name, ended ones too; None if Slurm does not say."""
    words = ["squeue", "-u", user(), "-h", "-t", "all", "--name", name, "-o", "%F"]
    try:
        return sorted(set(run(words).split()))
    except SlurmError:
        return None


def make_executor(
    profile: Profile,
    folder: Path,
    code: Path,
    name: str,
    after: Sequence[str] = (),
    requeue_killed: bool = False,
    needs: Sequence[str] = (),
) -> Executor:
    """Return an executor whose jobs run the code frozen at `code`, after the jobs `after` ended.

    Of the jobs `needs` each must have succeeded, else Slurm cancels what waits for them.

    With `requeue_killed`, a job whose process is killed goes back into the queue (node.requeue).
    """
    executor = Executor(profile, folder, name)
    parameters = _parameters(profile, code)
    parameters["setup"] += [*intact.script_lines(code, folder), *umask_line()]
    parameters["teardown"] = requeue.script_lines(sys.executable, folder, requeue_killed)
    waits = [("afterany", after), ("afterok", needs)]
    if words := [":".join([kind, *jobs]) for kind, jobs in waits if jobs]:
        parameters["dependency"] = ",".join(words)
    if needs:
        parameters["additional_parameters"]["kill-on-invalid-dep"] = "yes"
    executor.update_parameters(**parameters)
    # submitit's default wckey is refused by sites that check them.
    executor.parameters["wckey"] = None
    return executor


def _parameters(profile: Profile, code: Path) -> dict[str, Any]:
    """Return the profile in submitit's words, but for sbatch's own options."""
    quoted = shlex.quote(str(code))
    told = {name: value or True for name, value in profile.options().items()}
    return {
        "time": profile.minutes,
        "nodes": profile.nodes,
        "array_parallelism": profile.max_parallel,
        "signal_delay_s": profile.warning_seconds,
        "stderr_to_stdout": True,
        "srun_args": _srun_args(profile),
        "setup": [*profile.setup, f"cd {quoted}", f"export PYTHONPATH={quoted}"],
        "additional_parameters": {**told, "requeue": True},
    }


def _srun_args(profile: Profile) -> list[str]:
    """Newer srun does not inherit the first, and a site may export nothing by default."""
    words = [f"--cpus-per-task={profile.cpus_per_task}", "--export=ALL"]
    if profile.processes > 1:
        # Time to write down why a rank died, but no more: a stuck one must not hold the nodes.
        words += ["--kill-on-bad-exit=0", "--wait=60"]
    return words


def submit(executor: Executor, tasks: Sequence[Any], largest: int) -> list[str]:
    """Send tasks as arrays of at most `largest`, and return one job id a task.

    Raises:
        SlurmError: sbatch refused; what an earlier array of this call sent is cancelled.
    """
    ids: list[str] = []
    # A folder for each job would come too late for one that starts at once: Slurm ends a job
    # whose log it cannot open. So all files lie in one folder, made before.
    own_folder(Path(executor.folder))
    try:
        with for_me_alone():
            for start in range(0, len(tasks), largest):
                ids += executor.send(tasks[start : start + largest])
    except (SlurmError, KeyboardInterrupt):
        cancel(ids)
        raise
    return ids
