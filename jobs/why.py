"""Say what made a figure or a report page: which runs and jobs, which code, which data."""

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hw5hpc.cluster import asking
from hw5hpc.console import DONE, add_places, guard, parser, say

EPILOG = """\
examples:
  python jobs/why.py outputs/sweeps/unroll_depth/report/index.html
  python jobs/why.py unroll_depth          the page of this sweep
  python jobs/why.py losses.png            wherever the figure has gone
exit status: 0 told, 2 the file holds no record
"""
# What a name ends in says little: a sweep's may hold a number, as in learning_rate-lr=0.001.
RECORDED, SWEEPS = (".png", ".pdf", ".html"), (".yaml", ".yml")


def arguments() -> ArgumentParser:
    made = parser(__doc__, EPILOG)
    made.add_argument("file", type=Path, help="a report's PNG, PDF or page, or a sweep's name")
    made.add_argument("--json", action="store_true", help="print the record as it stands in it")
    add_places(made)
    return made


def meant(args: Namespace) -> Path:
    """Return the file itself, or the page of the sweep whose name, file or folder it is."""
    kind = args.file.suffix.lower()
    if kind in RECORDED or (args.file.is_file() and kind not in SWEEPS):
        return Path(args.file)
    _, folder = asking.find(args.out, str(args.file), args.cluster)
    return folder.report / "index.html"


def main() -> int:
    args = arguments().parse_args()
    from hw5hpc.report import origin

    record = origin.read(meant(args))
    if args.json:
        print(record.text())
        return DONE
    for line in origin.lines(record):
        say(line)
    return DONE


if __name__ == "__main__":
    sys.exit(guard(main))
