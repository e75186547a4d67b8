"""List the sweeps of an output folder: where their points stand, and when each was last at work."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console

from hw5hpc.cluster import asking, listing
from hw5hpc.console import DONE, add_places, guard, parser, say, shown
from hw5hpc.store import Outputs
from hw5hpc.store.files import valid

EPILOG = """\
examples:
  python jobs/list.py
  python jobs/list.py --out /scratch/me/outputs
  python jobs/list.py --json | jq '.[].sweep'

Each name can be given to status.py, cancel.py, logs.py, aggregate.py, sync.py
and clean.py; "last" is when anything of the sweep was written last.
exit status: 0 listed, 2 the input is wrong
"""


def arguments() -> ArgumentParser:
    made = parser(__doc__, EPILOG)
    made.add_argument("--json", action="store_true", help="print a JSON list instead of a table")
    add_places(made)
    return made


def main() -> int:
    args = arguments().parse_args()
    outputs = Outputs(asking.out_folder(args.out, args.cluster))
    newest = asking.newest(outputs)
    jobs = asking.jobs_if_any(args.cluster, newest)
    found = listing.rows(outputs, jobs)
    blind = jobs is None and newest and any(row.going for row in found)
    if blind and (note := asking.unasked(args.cluster, newest)):
        say(note, sys.stderr)
    if args.json:
        print(json.dumps(valid([row.as_dict() for row in found]), indent=2))
    elif found:
        # A pipe has no width of its own, and cut cells help nobody.
        Console(width=None if sys.stdout.isatty() else 160).print(listing.table(found))
    else:
        say(f"{shown(outputs.root)}: no sweep was submitted here yet")
    return DONE


if __name__ == "__main__":
    sys.exit(guard(main))
