"""Find data sets on the login node and read them once, or download them (checksums verified)."""

import sys
from argparse import ArgumentParser
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hw5hpc.console import DONE, guard, parser, say
from hw5hpc.data.sets import DATA_SETS, choose

EPILOG = """\
examples:
  python jobs/fetch_data.py fashion_mnist       before the first submission
  python jobs/fetch_data.py                     all that can be downloaded
  python jobs/fetch_data.py cifar10 --root /scratch/me/data

Looks in --root, or else in $HW5HPC_DATA, ~/.cache/hw5hpc/data and Debian's
dataset folder. What is nowhere is downloaded with torchvision to --root, or
else to $HW5HPC_DATA, or else to ~/.cache/hw5hpc/data. Runs download nothing.
exit status: 0 all are here, 2 one is not, or is damaged
"""
ON_DISK = [name for name, images in DATA_SETS.items() if images.reader]


def arguments() -> ArgumentParser:
    made = parser(__doc__, EPILOG)
    made.add_argument(
        "names",
        nargs="*",
        metavar="DATA",
        help=f"of {', '.join(ON_DISK)} (default: all that can be got)",
    )
    made.add_argument("--root", metavar="DIR", help="where the data lie, or are to be put")
    return made


def main() -> int:
    args = arguments().parse_args()
    names = args.names or [name for name in ON_DISK if DATA_SETS[name].download]
    for name in names:
        choose(name)
    from hw5hpc.data.fetch import fetch
    from hw5hpc.data.read import read

    for name in names:
        path = fetch(name, args.root)
        copy = read(name, args.root)
        train, _, test, _ = copy.arrays
        say(f"{name}: {path} ({copy.source}; {len(train)} + {len(test)})")
    return DONE


if __name__ == "__main__":
    sys.exit(guard(main))
