"""The batch script's last line: put a task back into the queue whose process was killed.

It runs on the node after srun has ended, so it imports neither torch nor submitit.
"""

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

from hw5hpc.errors import describe
from hw5hpc.node import deaths
from hw5hpc.node.intact import JOB

# What a worker exits with that could not put itself back into the queue.
TRY_AGAIN = os.EX_TEMPFAIL
# These end a process that was told to stop before it could listen; nothing is wrong with the run.
STOPS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT, signal.SIGHUP)
# A process that dies before it looks at its runs must not come back for ever.
UNSEEN_DEATHS = 3
PATIENCE_SECONDS = 300.0
ENDED = (
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY",
    "PREEMPTED", "TIMEOUT",
)  # fmt: skip


def script_lines(python: str, logs: Path, requeue_killed: bool = True) -> list[str]:
    """Return the lines after srun: `$?` is its exit status, 128 + N after the signal N.

    A job that has ended well leaves its log alone: nobody reads its pickles any more.
    """
    files = f"{shlex.quote(str(logs))}/{JOB}"
    command = f"{shlex.quote(python)} -m hw5hpc.node.requeue {shlex.quote(str(logs))} $ended"
    again = f"if [ $ended -gt 128 ] || [ $ended -eq {TRY_AGAIN} ]; then {command}; fi"
    return [
        "ended=$?",
        *([again] if requeue_killed else []),
        f"[ $ended -ne 0 ] || rm -f {files}_submitted.pkl {files}_*_result.pkl",
        "exit $ended",
    ]


def still_running(job: str, patience: float = PATIENCE_SECONDS) -> bool:
    """Whether Slurm still counts a job as running: not cancelled, ended or requeued already.

    A controller that does not answer (it is being restarted) is asked again.
    """
    end = time.monotonic() + patience
    while True:
        shown = subprocess.run(["scontrol", "show", "job", job], capture_output=True, text=True)
        if shown.returncode == 0 or "Invalid job id" in shown.stderr:
            return "JobState=RUNNING" in shown.stdout
        if time.monotonic() > end:
            return False
        time.sleep(2)


def gone(job: str) -> bool:
    """Whether Slurm says that a job has ended for good; False where it does not answer."""
    try:
        shown = subprocess.run(
            ["scontrol", "show", "job", job], capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    if shown.returncode != 0:
        return "Invalid job id" in shown.stderr
    return any(f"JobState={state}" in shown.stdout for state in ENDED)


def put_back(job: str, patience: float = PATIENCE_SECONDS) -> bool:
    """Requeue a job while it is running; return whether Slurm took it."""
    end = time.monotonic() + patience
    while still_running(job, patience):
        done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True)
        if done.returncode == 0:
            return True
        if time.monotonic() > end:
            return False
        time.sleep(2)
    return False


def job_id() -> str:
    """Return this batch script's job as submitit names it: ID, or ID_TASK in an array."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    if array:
        return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    return os.environ["SLURM_JOB_ID"]


def main(logs: Path, ended: int) -> None:
    """Requeue this job after its process ended with a signal, and note a death for its budget."""
    job, number = job_id(), ended - 128
    if not still_running(job):
        return
    if ended != TRY_AGAIN and number not in STOPS:
        try:
            if len(deaths.unseen(logs, job)) >= UNSEEN_DEATHS:
                print(f"not requeued: {UNSEEN_DEATHS + 1} processes died before they began to work")
                return
            deaths.record(logs, job, number)
        except OSError as error:
            print(f"not requeued, as the death cannot be noted: {describe(error)}")
            return
    print(f"the process ended with status {ended}; requeued: {put_back(job)}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
