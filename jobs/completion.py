"""Print the script that completes options, sweeps, points and profiles in bash and zsh."""

import runpy
import shlex
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hw5hpc.cluster import folders
from hw5hpc.cluster.completion import script
from hw5hpc.console import DONE, guard, parser

EPILOG = """\
examples:
  source <(python jobs/completion.py)              in this shell
  python jobs/completion.py >> ~/.bashrc           in every one (or ~/.zshrc)
exit status: 0 printed
"""


def main() -> int:
    parser(__doc__, EPILOG).parse_args()
    here = Path(__file__).resolve()
    found = {path.name: runpy.run_path(str(path)) for path in sorted(here.parent.glob("*.py"))
             if path != here}  # fmt: skip
    parsers = {name: made["arguments"]() for name, made in found.items()}
    root, out = (shlex.quote(str(path)) for path in (here.parents[1], folders.usual("")))
    print(script(parsers, root, out), end="")
    return DONE


if __name__ == "__main__":
    sys.exit(guard(main))
