"""Show what takes room in the output folder, and remove what can go: never a result, never a run
at work.
"""

import sys
from argparse import ArgumentParser
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hw5hpc.cluster import asking, clean
from hw5hpc.console import DONE, RUN_FAILED, add_places, guard, parser, say, shown
from hw5hpc.store import Outputs

EPILOG = """\
examples:
  python jobs/clean.py                 all of it; asks before it removes
  python jobs/clean.py unroll_depth    one sweep
  python jobs/clean.py --yes           without asking, for scripts

Results, metrics, figures, reports and the logs of last jobs always stay.
Where Slurm cannot be asked, so does whatever a job might still need.
exit status: 0 done, 1 something could not be removed, 2 the input is wrong
"""


def arguments() -> ArgumentParser:
    made = parser(__doc__, EPILOG)
    made.add_argument("sweep", nargs="?", help="a sweep's file, name or folder (default: all)")
    made.add_argument("--yes", action="store_true", help="remove without asking")
    add_places(made)
    return made


def main() -> int:
    args = arguments().parse_args()
    outputs, only = Outputs(asking.out_folder(args.out, args.cluster)), []
    if args.sweep:
        outputs, sweep = asking.find(args.out, args.sweep, args.cluster)
        only = [sweep]
    jobs = asking.jobs_if_any(args.cluster, only[0] if only else asking.newest(outputs))
    before = clean.Folder(outputs, jobs, only)
    for line in clean.told(before):
        say(line)
    found = clean.leftovers(before)
    if not found or not (args.yes or clean.agreed(found)):
        return DONE
    # A submission meanwhile may need what could go a moment ago.
    with outputs.locked():
        still = clean.leftovers(clean.Folder(outputs, jobs, only))
        paths = [path for kind in found for path in still.get(kind, []) if path in found[kind]]
        problems = clean.remove(paths)
    say(f"removed {len(paths) - len(problems)} of {len(paths)} from {shown(outputs.root)}")
    for line in problems:
        say(line)
    return RUN_FAILED if problems else DONE


if __name__ == "__main__":
    sys.exit(guard(main))
