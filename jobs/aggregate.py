"""Write a sweep's report from whatever has finished so far, and say what is missing."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hw5hpc.cluster import folders
from hw5hpc.console import DONE, guard, shown


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__)
    made.add_argument("sweep", help="the sweep's file, name or folder")
    made.add_argument("--out", type=Path, default=Path("outputs"), metavar="DIR")
    return made


def main() -> int:
    args = parser().parse_args()
    # matplotlib is slow to load, and --help needs none of it.
    from hw5hpc.report.aggregate import aggregate

    outputs, folder = folders.find(args.out, args.sweep)
    report = aggregate(outputs, folder)
    print(f"sweep {folder.name}")
    for sentence in report.missing:
        print(sentence)
    print(f"report: {shown(report.index)}")
    return DONE


if __name__ == "__main__":
    sys.exit(guard(main))
