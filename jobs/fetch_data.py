"""Find data sets on the login node and read them once, or download them (checksums verified)."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hw5hpc.console import DONE, guard
from hw5hpc.data.sets import DATA_SETS, choose

EPILOG = """\
Looks in --root, $HW5HPC_DATA, ~/.cache/hw5hpc/data and Debian's dataset folder; what is nowhere is
downloaded with torchvision to --root (or ~/.cache/hw5hpc/data).
"""
ON_DISK = [name for name, images in DATA_SETS.items() if images.reader]


def arguments() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
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
        print(f"{name}: {path} ({copy.source}; {len(train)} + {len(test)})")
    return DONE


if __name__ == "__main__":
    sys.exit(guard(main))
