"""Find data sets on the login node and read them once, or download them (checksums verified)."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hw5hpc.console import DONE, guard
from hw5hpc.data.find import LOOKED_FOR, check_name

EPILOG = """\
Looks in --root, $HW5HPC_DATA, ~/.cache/hw5hpc/data and Debian's dataset folder; what is nowhere is
downloaded with torchvision to --root (or ~/.cache/hw5hpc/data).
"""


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(LOOKED_FOR)} (default: all)"
    )
    made.add_argument("--root", metavar="DIR", help="where the data lie, or are to be put")
    return made


def main() -> int:
    args = parser().parse_args()
    names = args.names or list(LOOKED_FOR)
    for name in names:
        check_name(name)
    from hw5hpc.data.load import fetch, load

    for name in names:
        path = fetch(name, args.root)
        data = load(name, args.root, None)
        print(f"{name}: {path} ({data.source}; {len(data.train_images)} + {len(data.test_images)})")
    return DONE


if __name__ == "__main__":
    sys.exit(guard(main))
