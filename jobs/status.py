"""Show where every point of a sweep stands: state, epoch, time left, last metric, reason, log."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console

from hw5hpc.cluster import asking, folders, follow
from hw5hpc.cluster.view import board, failures, summary
from hw5hpc.console import DONE, RUN_FAILED, add_places, guard, parser, say
from hw5hpc.store import State
from hw5hpc.store.files import valid

EPILOG = """\
examples:
  python jobs/status.py unroll_depth --watch
  python jobs/status.py unroll_depth --failed    by cause, with the remedy
  python jobs/status.py unroll_depth_debug       what --debug ran
  python jobs/status.py softmax_shift-offset=0,88     overrides name a sweep

states:
  new          never sent               finished   has its result
  queued       its job waits            diverged   ended in NaN, a result too
  running      somebody trains it       failed     ended in an error
  interrupted  saved; goes on by itself where its job waits, else when the
               sweep is submitted again
  cancelled    somebody ended its job   lost       its job is gone, without a
               word; submit again, and it goes on from its checkpoint
exit status: 0 no run failed, 1 a run failed, 2 the input is wrong
"""


def arguments() -> ArgumentParser:
    made = parser(__doc__, EPILOG)
    add = made.add_argument
    add("sweep", help="the sweep's file, name or folder")
    add("--watch", action="store_true", help="refresh until every point has ended")
    add("--json", action="store_true", help="print a JSON list instead of a table")
    add("--failed", action="store_true", help="what failed, was lost or diverged, grouped by its "
        "cause, and what to do about it")  # fmt: skip
    add("--all", action="store_true", help="list every point, however many there are")
    add_places(made)
    return made


def main() -> int:
    args = arguments().parse_args()
    outputs, folder = asking.find(args.out, args.sweep, args.cluster)
    rows = follow.look(outputs, folder, args.cluster, only_bad=args.failed, watch=args.watch)
    if args.json:
        print(json.dumps(valid([row.as_dict() for row in rows]), indent=2))
    elif args.failed:
        say(f"{folder.name}: {summary(rows) or 'nothing failed'}")
        for line in failures(rows, folders.again(outputs, folder)):
            say(line)
    else:
        # A pipe has no width of its own, and cut cells help nobody.
        console = Console(width=None if sys.stdout.isatty() else 160)
        console.print(board(rows, f"{folder.name}: {summary(rows)}", console.width, args.all))
    return RUN_FAILED if any(row.status.state is State.FAILED for row in rows) else DONE


if __name__ == "__main__":
    sys.exit(guard(main))
