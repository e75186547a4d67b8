"""Cancel a sweep's jobs: all of them, or those of some points or states; what was saved is kept."""

import sys
from argparse import ArgumentParser
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hw5hpc.cluster import asking, cancel
from hw5hpc.console import DONE, RUN_FAILED, add_places, guard, parser, say

EPILOG = """\
examples:
  python jobs/cancel.py unroll_depth                   all, and its report job
  python jobs/cancel.py unroll_depth --state queued    what has not begun
  python jobs/cancel.py unroll_depth unroll_steps=10   points with this value
  python jobs/cancel.py unroll_depth 3f2a 91c0         runs, as ids begin

A run at work saves a checkpoint first. Submitting the sweep again sends what
was cancelled, and it goes on from there.
exit status: 0 done, 1 something could not be cancelled or is still saving,
2 the input is wrong
"""


def arguments() -> ArgumentParser:
    made = parser(__doc__, EPILOG)
    made.add_argument("sweep", help="the sweep's file, name or folder")
    made.add_argument(
        "points", nargs="*", metavar="POINT", help="a run id, its beginning, or key=value"
    )
    made.add_argument(
        "--state", action="append", default=[], metavar="STATE",
        help=f"only points in this state: {', '.join(cancel.STATES)}",
    )  # fmt: skip
    add_places(made)
    return made


def main() -> int:
    args = arguments().parse_intermixed_args()
    outputs, folder = asking.find(args.out, args.sweep, args.cluster)
    jobs = asking.jobs_of(args.cluster, folder)
    done = cancel.cancel(outputs, folder, jobs, args.points, args.state)
    for line in cancel.lines(outputs, folder, done):
        say(line)
    return RUN_FAILED if done.stopping or done.left else DONE


if __name__ == "__main__":
    sys.exit(guard(main))
