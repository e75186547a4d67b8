"""Send a sweep's runs to W&B from their own files: what is new, and nothing twice."""

import sys
from argparse import ArgumentParser
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hw5hpc.cluster import asking
from hw5hpc.console import DONE, RUN_FAILED, add_places, guard, parser, say

EPILOG = """\
examples:
  python jobs/sync.py unroll_depth             as often as you like
  python jobs/sync.py unroll_depth --watch     while the runs go on
  python jobs/sync.py unroll_depth --report    and a W&B Report with verdicts
  python jobs/sync.py unroll_depth --offline   for wandb sync or leet

Call it where there is a network: on the login node.
exit status: 0 all was sent, 1 something could not be sent,
2 the input is wrong or W&B is offline
"""


def arguments() -> ArgumentParser:
    made = parser(__doc__, EPILOG)
    add = made.add_argument
    add("sweep", help="the sweep's file, name or folder")
    add("--watch", action="store_true", help="look again until every run has ended")
    add("--report", action="store_true", help="write a W&B Report as well")
    add("--online", action="store_true", help="send although W&B was said to be offline")
    add("--offline", action="store_true", help="send nothing; write an offline run for each run")
    add_places(made)
    return made


def main() -> int:
    args = arguments().parse_args()
    # wandb and matplotlib are slow to load, and --help needs neither.
    from hw5hpc.report.publish import Wanted, sync, told

    outputs, folder = asking.find(args.out, args.sweep, args.cluster)
    wanted = Wanted(args.watch, args.online, args.offline, args.report)
    failed = news = False
    for sent in sync(outputs, folder, wanted):
        failed = failed or bool(sent.problem)
        if line := told(sent):
            news = True
            say(line)
    if not news:
        say(f"{folder.name}: W&B has everything")
    return RUN_FAILED if failed else DONE


if __name__ == "__main__":
    sys.exit(guard(main))
