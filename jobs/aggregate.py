"""Write a sweep's report from whatever has finished so far, and say what is missing."""

import sys
from argparse import ArgumentParser
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hw5hpc.cluster import asking
from hw5hpc.console import DONE, add_places, guard, parser, say, shown

EPILOG = """\
examples:
  python jobs/aggregate.py unroll_depth        also while runs go on
  python jobs/aggregate.py outputs/sweeps/unroll_depth-seed=0,1

A submission makes the report by itself when its runs have ended. Nothing is
trained here; what is missing is named, on the page as well.
exit status: 0 written, 2 the input is wrong
"""


def arguments() -> ArgumentParser:
    made = parser(__doc__, EPILOG)
    made.add_argument("sweep", help="the sweep's file, name or folder")
    add_places(made)
    return made


def main() -> int:
    args = arguments().parse_args()
    # matplotlib is slow to load, and --help needs none of it.
    from hw5hpc.report.aggregate import aggregate

    outputs, folder = asking.find(args.out, args.sweep, args.cluster)
    report = aggregate(outputs, folder)
    say(f"sweep {folder.name}")
    for sentence in report.missing:
        say(sentence)
    say(f"report: {shown(report.index)}")
    return DONE


if __name__ == "__main__":
    sys.exit(guard(main))
