"""Show where every point of a sweep stands: state, epoch, time left, last metric, reason, log."""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hw5hpc.cluster import follow
from hw5hpc.console import DONE, RUN_FAILED, guard, sweep_name
from hw5hpc.errors import UserError
from hw5hpc.store import JobAlive, Outputs, State
from hw5hpc.store.files import valid

EPILOG = """\
examples:
  python jobs/status.py sweeps/unroll_depth.yaml --watch
  python jobs/status.py unroll_depth_debug            a sweep's name works as well as its file
exit status: 0 no run failed, 1 a run failed, 2 the input is wrong
"""


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = made.add_argument
    add("sweep", help="the sweep file, or the sweep's name below outputs/sweeps/")
    add("--watch", action="store_true", help="refresh until every point has ended")
    add("--json", action="store_true", help="print a JSON list instead of a table")
    add("--failed", action="store_true", help="only failed, lost and diverged points")
    add("--cluster", metavar="NAME", help="the profile slurm/NAME.yaml, to ask its Slurm")
    add("--out", type=Path, default=Path("outputs"), metavar="DIR", help="default: outputs/")
    return made


def job_alive(cluster: str | None, sweep: Path) -> JobAlive:
    """Ask Slurm once a refresh; where it cannot be asked, nothing is known."""
    from hw5hpc.cluster import profile, slurm

    try:
        slurm.require(profile.load(cluster or profile.default_name(), {}, sweep))
        return slurm.Queue().alive
    except UserError:
        return lambda job: None


def main() -> int:
    args = parser().parse_args()
    outputs = Outputs(args.out)
    folder = outputs.sweep(sweep_name(args.sweep))
    folder.load()

    def every() -> list[follow.Standing]:
        return follow.standings(outputs, folder, job_alive(args.cluster, Path(args.sweep)))

    def read() -> list[follow.Standing]:
        bad = (State.FAILED, State.LOST, State.DIVERGED)
        return [row for row in every() if not args.failed or row.status.state in bad]

    def over() -> bool:
        waiting = (State.NEW, State.QUEUED, State.RUNNING, State.INTERRUPTED)
        return not any(row.status.state in waiting for row in every())

    rows = follow.follow(read, over) if args.watch else read()
    if args.json:
        print(json.dumps(valid([row.as_dict() for row in rows]), indent=2))
    else:
        from rich.console import Console

        # A pipe has no width of its own, and cut cells help nobody.
        width = None if sys.stdout.isatty() else 160
        Console(width=width).print(follow.table(rows, f"{folder.name}: {follow.summary(rows)}"))
    return RUN_FAILED if any(row.status.state is State.FAILED for row in rows) else DONE


if __name__ == "__main__":
    sys.exit(guard(main))
