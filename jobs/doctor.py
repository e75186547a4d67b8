"""Ask the cluster what it has and what you may use, try a job of one minute, write a profile."""

import os
import shlex
import sys
from argparse import ArgumentParser
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hw5hpc.cluster import asking
from hw5hpc.cluster.doctor import draft, visit
from hw5hpc.cluster.doctor.findings import ASK
from hw5hpc.cluster.profile import is_file
from hw5hpc.console import DONE, RUN_FAILED, guard, parser, say, shown, whole_number
from hw5hpc.store import Outputs

EPILOG = """\
examples:
  python jobs/doctor.py                    look, and write nothing
  python jobs/doctor.py mine               look, and write slurm/mine.yaml
  python jobs/doctor.py /scratch/me/mine.yaml       where slurm/ is read-only
  python jobs/doctor.py mine --partition gpu-long --account proj1
  python jobs/doctor.py mine --no-job      without the test job
  python jobs/submit.py unroll_depth --cluster mine --dry-run      comes next

ok works; note works differently, and the arrow says how; ASK is for your
administrator, or for you to mend.
exit status: 0 all works, 1 something is marked ASK,
2 the input is wrong or there is no Slurm
"""


def arguments() -> ArgumentParser:
    made = parser(__doc__, EPILOG)
    add = made.add_argument
    add(
        "name",
        nargs="?",
        metavar="NAME",
        help="write slurm/NAME.yaml; or the file to write, with a /",
    )
    add("--partition", metavar="P", help="the partition to look at (default: one with GPUs)")
    add("--account", metavar="A", help="the account to charge (default: your default)")
    add("--qos", metavar="Q", help="the QOS to ask for (default: none)")
    add("--no-job", action="store_true", help="send no test job")
    add("--wait", type=partial(whole_number, "--wait"), default=180, metavar="SECONDS",
        help="how long the test job may wait in the queue (default: 180)")  # fmt: skip
    add("--force", action="store_true", help="replace slurm/NAME.yaml")
    add("--out", type=Path, metavar="DIR", help="the output folder to try from a node")
    return made


def main() -> int:
    args = arguments().parse_args()
    if args.name:
        draft.target(args.name, args.force)
    out = asking.out_folder(args.out).absolute()
    wanted = visit.Wanted(args.partition, args.account, args.qos, 0 if args.no_job else args.wait)
    if not args.no_job:
        Outputs(out).check_writable()
    seen, told = visit.visit(wanted, out, say)
    for finding in told:
        say("\n".join(finding.lines()))
    if args.name:
        path = draft.write(args.name, draft.text(seen, os.environ.get("SLURM_CONF")), args.force)
        say(f"written: {shown(path)}")
        name = shlex.quote(str(path)) if is_file(args.name) else args.name
        say(f"  next:    python jobs/submit.py SWEEP --cluster {name} --dry-run")
    return RUN_FAILED if any(finding.mark == ASK for finding in told) else DONE


if __name__ == "__main__":
    sys.exit(guard(main))
