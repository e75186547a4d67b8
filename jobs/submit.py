"""Submit a sweep: to Slurm, or to run here with --debug or --local."""

import argparse
import dataclasses
import os
import re
import shlex
import sys
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hw5hpc import debugger
from hw5hpc.cluster import folders, local
from hw5hpc.cluster import profile as profiles
from hw5hpc.cluster.data import located
from hw5hpc.cluster.profile import Profile
from hw5hpc.cluster.request import Request, carry_out
from hw5hpc.console import DONE, RUN_FAILED, amount, guard, whole_number
from hw5hpc.errors import UserError
from hw5hpc.experiments import read_sweep
from hw5hpc.report.figures import check_names
from hw5hpc.store import Outputs
from hw5hpc.sweep import Sweep
from hw5hpc.tracking.words import merge

EPILOG = """\
examples:
  python jobs/submit.py unroll_depth                              to Slurm, then the report
  python jobs/submit.py sweeps/unroll_depth.yaml --debug          shortened, on this machine
  python jobs/submit.py sweeps/unroll_depth.yaml --dry-run        the plan and the sbatch script
  python jobs/submit.py sweeps/unroll_depth.yaml seed=[0,1] train.epochs=10
  python jobs/submit.py sweeps/unroll_depth.yaml --seeds 10       more seeds for every setting
  python jobs/submit.py unroll_depth --retry-failed=memory cluster.mem_gb=64
  torchrun --nproc-per-node 2 -- jobs/submit.py sweeps/unroll_depth.yaml --local

Submitting twice is safe: finished runs are reused and running ones are left alone. Overrides that
change points make a sweep of their own, named in the plan: unroll_depth-epochs=10-seed=0,1.
exit status: 0 done, 1 a run failed or was lost, 2 the input is wrong (nothing was submitted)
"""
# argparse would take the word after an option whose value may be left out.
RETRY = re.compile(r"^--retry-failed=")


def arguments() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = made.add_argument
    add("sweep", type=Path, help="the sweep file, or the bare name of one in sweeps/")
    add("overrides", nargs="*", metavar="key=value", help="override or replace a key of the file")
    where = made.add_mutually_exclusive_group()
    where.add_argument("--debug", action="store_true", help="run here, shortened by 'debug:'")
    where.add_argument("--local", action="store_true", help="run the whole sweep here")
    where.add_argument("--cluster", metavar="NAME", help="the profile slurm/NAME.yaml (default: "
                       "$HW5HPC_CLUSTER, or 'default')")  # fmt: skip
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
    args = arguments().parse_intermixed_args(
        [RETRY.sub("--retry-cause=", word) for word in sys.argv[1:]]
    )
    here = args.debug or args.local
    if os.environ.get("RANK", "0") != "0" and "LOCAL_RANK" in os.environ:
        # One of torchrun's: it trains what the first one plans, and says nothing.
        if here and not args.dry_run:
            local.join()
        return DONE
    if args.jobs is not None and not here:
        raise UserError("--jobs goes with --debug or --local; on Slurm say cluster.abreast=N")
    if args.jobs is not None and local.under_torchrun():
        raise UserError("--jobs does not go with torchrun: its processes train one run together")
    if args.pdb:
        if not here or "LOCAL_RANK" in os.environ:
            raise UserError("--pdb goes with --debug or --local, in one process")
        debugger.ask_for()
    if here and (args.canary or args.max_gpu_hours is not None):
        raise UserError("--canary and --max-gpu-hours are for Slurm, not for --debug and --local")
    file = folders.file_of(args.sweep)
    sweep = read_sweep(file, args.overrides, args.debug, args.seeds, args.name)
    sweep = located(sweep)
    check_names(sweep.report, str(file))
    words = dict(sweep.cluster_words)
    if args.max_parallel is not None:
        words["max_parallel"] = args.max_parallel
    name = args.cluster or profiles.default_name()
    profile = profiles.load(name, sweep.cluster, file, words=words)
    sweep = dataclasses.replace(sweep, wandb=mirror(sweep, profile))
    out = f" --out {shlex.quote(str(args.out))}" if args.out else ""
    out += f" --cluster {args.cluster}" if args.cluster else ""
    request = Request(
        sweep, profile, Outputs(folders.out(args.out, lambda: profile)), f"{sweep.name}{out}",
        here=here, dry_run=args.dry_run, wait=args.wait,
        canary=args.canary, max_gpu_hours=args.max_gpu_hours,
        retry_failed=args.retry_cause or args.retry_failed, force=args.force,
        at_a_time=args.jobs,
    )  # fmt: skip
    return DONE if carry_out(request, print) else RUN_FAILED


def mirror(sweep: Sweep, profile: Profile) -> dict[str, Any]:
    """Return where W&B's mirror goes and in which mode, to record with the sweep."""
    words = merge(profile.wandb, sweep.wandb, ("profile: wandb", f"{sweep.path}: wandb"))
    # wandb is slow to load, and a mistake in the file shows before.
    from hw5hpc.tracking.mode import at_submission

    return at_submission(words)


if __name__ == "__main__":
    sys.exit(guard(main))
