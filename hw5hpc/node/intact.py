"""The batch script's first lines: what a job is about to execute must be what was sent.

They are part of the script, which Slurm keeps itself, and need nothing of what they check.
"""

import hashlib
import shlex
from pathlib import Path

# Beside the frozen code: the sum of each of its files, as `sha256sum --check` reads them.
SUMS = "SHA256SUMS"
# How often a job waits in the queue for its code to be mended.
RESTARTS = 3
FOREIGN = r'\( -type l -o ! -user "$(id -u)" -o -perm /022 \) -print -quit'
JOB = '"${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}"'


def script_lines(code: Path, logs: Path) -> list[str]:
    """Return the lines that refuse damaged code, and code or a pickle that others may write.

    A refused job says why in one line and goes back into the queue, three times at most.
    """
    folder, sums = shlex.quote(str(code)), code / SUMS
    pinned = hashlib.sha256(sums.read_bytes()).hexdigest() if sums.exists() else f"<sum of {SUMS}>"
    damaged = shlex.quote(
        f"{code} is not the code that was submitted (purged or changed?); "
        "submit the sweep again, which mends it"
    )
    return [
        'not_started() { echo "not started: $1" >&2',
        f'  if [ "${{SLURM_RESTART_COUNT:-0}}" -lt {RESTARTS} ]; then',
        '    scontrol requeue "$SLURM_JOB_ID" && sleep 60; fi; exit 1; }',
        f"cd {folder} && echo '{pinned}  {SUMS}' | sha256sum --check --status &&",
        f"  sha256sum --check --quiet {SUMS} || not_started {damaged}",
        f"foreign=$(find {folder} {FOREIGN}",
        f"  find {shlex.quote(str(logs))} -maxdepth 0 {FOREIGN}",
        f"  find {shlex.quote(str(logs))}/{JOB}_submitted.pkl {FOREIGN} 2>/dev/null)",
        '[ -z "$foreign" ] || not_started "$foreign belongs to another user or may be written by '
        "others; only what is the submitter's own is executed\"",
    ]
