"""Show the log of one point: what its job printed, with a line for each row of its training."""

import sys
from argparse import ArgumentParser
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hw5hpc.cluster import asking, follow, logs
from hw5hpc.cluster.points import pick_one
from hw5hpc.console import DONE, add_places, guard, parser, whole_number
from hw5hpc.text import safe

EPILOG = """\
examples:
  python jobs/logs.py unroll_depth 3f2a      by the beginning of the run's id
  python jobs/logs.py unroll_depth unroll_steps=5 seed=0 --follow
  python jobs/logs.py unroll_depth 3f2a --last 20

A point that was trained without a job (--local, --debug) has no log; its own
files tell then.
exit status: 0 shown, 2 the input is wrong
"""


def arguments() -> ArgumentParser:
    made = parser(__doc__, EPILOG)
    add = made.add_argument
    add("sweep", help="the sweep's file, name or folder")
    add("point", nargs="*", metavar="POINT", help="a run id, its beginning, or key=value words; "
        "none where the sweep has one point")  # fmt: skip
    add("--follow", "-f", action="store_true", help="go on until the run has ended; Ctrl-C stops "
        "the showing alone")  # fmt: skip
    add("--last", type=partial(whole_number, "--last"), metavar="N", help="only the last N lines")
    add_places(made)
    return made


def main() -> int:
    args = arguments().parse_intermixed_args()
    outputs, folder = asking.find(args.out, args.sweep, args.cluster)
    run = outputs.run(pick_one(folder.points(), args.point))
    source = logs.Source(outputs, folder, run, asking.jobs_if_any(args.cluster, folder))
    try:
        for line in logs.show(source, args.follow, args.last):
            print(safe(line))
    except KeyboardInterrupt:
        raise follow.goes_on("stopped following", folder.name) from None
    return DONE


if __name__ == "__main__":
    sys.exit(guard(main))
