"""Submit a sweep: to Slurm, or to run here with --debug or --local."""

import argparse
import os
import re
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hw5hpc.cluster import local
from hw5hpc.cluster.arguments import Arguments, request
from hw5hpc.cluster.request import carry_out
from hw5hpc.console import DONE, RUN_FAILED, amount, guard, parser, say, whole_number
from hw5hpc.node.processes import ahead

EPILOG = """\
examples:
  python jobs/submit.py unroll_depth                  to Slurm, then the report
  python jobs/submit.py unroll_depth --debug          shortened, here
  python jobs/submit.py unroll_depth --dry-run        the plan and the script
  python jobs/submit.py unroll_depth seed=[0,1] train.epochs=10
  python jobs/submit.py unroll_depth --seeds 10       more for every setting
  python jobs/submit.py unroll_depth --canary --max-gpu-hours 200 --wait
  python jobs/submit.py unroll_depth --retry-failed=memory cluster.mem_gb=64
  torchrun --nproc-per-node 2 -- jobs/submit.py unroll_depth --local

Submitting twice is safe: finished runs are reused and running ones are left
alone. Overrides that change points make a sweep of their own, named in the
plan: unroll_depth-epochs=10-seed=0,1. cluster.KEY=VALUE changes what the jobs
ask for, and no point.
exit status: 0 done, 1 a run failed or was lost,
2 the input is wrong (nothing was submitted)
"""
# argparse would take the word after an option whose value may be left out.
RETRY = re.compile(r"^--retry-failed=")


def arguments() -> argparse.ArgumentParser:
    made = parser(__doc__, EPILOG)
    add = made.add_argument
    add("sweep", type=Path, help="the sweep file, or the bare name of one in sweeps/")
    add("overrides", nargs="*", metavar="key=value", help="override or replace a key of the file")
    where = made.add_mutually_exclusive_group()
    where.add_argument("--debug", action="store_true", help="run here, shortened by 'debug:'")
    where.add_argument("--local", action="store_true", help="run the whole sweep here")
    where.add_argument("--cluster", metavar="NAME", help="the profile slurm/NAME.yaml, or a "
                       "profile's file (default: $HW5HPC_CLUSTER, or 'default')")  # fmt: skip
    add("--pdb", action="store_true", help="with --debug or --local: stop in the debugger where a "
        "run fails")  # fmt: skip
    add("--dry-run", action="store_true", help="show the plan and the sbatch script; touch nothing")
    add(
        "--wait",
        action="store_true",
        help="follow until the report is there; status 1 unless every run is done",
    )
    add("--retry-failed", action="store_true", help="send failed runs again; --retry-failed=CAUSE "
        "those of one cause, as jobs/status.py SWEEP --failed names it")  # fmt: skip
    add("--retry-cause", metavar="CAUSE", help=argparse.SUPPRESS)
    add("--canary", action="store_true", help="send one point first, and the others when it has "
        "succeeded")  # fmt: skip
    add("--max-gpu-hours", type=partial(amount, "--max-gpu-hours"), metavar="N",
        help="refuse a plan of more, by measured runs or else by its time limits")  # fmt: skip
    add("--force", action="store_true", help="run finished ones again; old folders are moved aside")
    add("--max-parallel", type=partial(whole_number, "--max-parallel"), metavar="N",
        help="at most N array tasks at a time")  # fmt: skip
    add("--jobs", type=partial(whole_number, "--jobs"), metavar="N",
        help="with --debug or --local: train N runs at a time (default: as many as this machine "
        "carries)")  # fmt: skip
    add("--seeds", type=partial(whole_number, "--seeds"), metavar="N",
        help="top every setting up to N seeds: the sweep's own, then the smallest unused ones; "
        "a setting that has N or more keeps what it has")  # fmt: skip
    add("--name", help="the sweep's name and folder (default: the file's, and what overrides "
        "change); --debug adds _debug")  # fmt: skip
    add("--out", type=Path, metavar="DIR", help="the output folder (default: $HW5HPC_OUT, the "
        "profile's 'out', or outputs/)")  # fmt: skip
    return made


def main() -> int:
    typed = [RETRY.sub("--retry-cause=", word) for word in sys.argv[1:]]
    given = arguments().parse_intermixed_args(typed, Arguments())
    if os.environ.get("RANK", "0") != "0" and "LOCAL_RANK" in os.environ:
        # One of torchrun's: it trains what the first one plans, and says nothing.
        if given.here and not given.dry_run:
            local.join()
        return DONE
    with ahead(given.here and not (given.dry_run or given.pdb or local.under_torchrun())) as server:
        return DONE if carry_out(request(given), say, server) else RUN_FAILED


if __name__ == "__main__":
    sys.exit(guard(main))
