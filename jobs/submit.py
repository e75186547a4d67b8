"""Submit a sweep: to Slurm, or to run here with --debug or --local."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hw5hpc.cluster import plan as planning
from hw5hpc.cluster import profile as profiles
from hw5hpc.cluster.freeze import code_hash
from hw5hpc.cluster.plan import Plan
from hw5hpc.cluster.profile import Profile
from hw5hpc.console import DONE, RUN_FAILED, guard, shown
from hw5hpc.experiments import SCHEMAS
from hw5hpc.report.figures import check_names
from hw5hpc.store import JobAlive, Outputs, State
from hw5hpc.sweep import Sweep, load

if TYPE_CHECKING:
    from hw5hpc.cluster.submit import Submission

EPILOG = """\
examples:
  python jobs/submit.py sweeps/unroll_depth.yaml                  to Slurm, then the report
  python jobs/submit.py sweeps/unroll_depth.yaml --debug          shortened, on this machine
  python jobs/submit.py sweeps/unroll_depth.yaml --dry-run        the plan and the sbatch script
  python jobs/submit.py sweeps/unroll_depth.yaml seed=[0,1] train.epochs=10
  torchrun --nproc-per-node 2 -- jobs/submit.py sweeps/unroll_depth.yaml --local

Submitting twice is safe: finished runs are reused and running ones are left alone.
exit status: 0 done, 1 a run failed, 2 the input is wrong (nothing was submitted)
"""


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = made.add_argument
    add("sweep", type=Path, help="the sweep file, such as sweeps/unroll_depth.yaml")
    add("overrides", nargs="*", metavar="key=value", help="override or replace a key of the file")
    where = made.add_mutually_exclusive_group()
    where.add_argument("--debug", action="store_true", help="run here, shortened by 'debug:'")
    where.add_argument("--local", action="store_true", help="run the whole sweep here")
    where.add_argument("--cluster", metavar="NAME", help="the profile slurm/NAME.yaml (default: "
                       "$HW5HPC_CLUSTER, or 'default')")  # fmt: skip
    add("--dry-run", action="store_true", help="show the plan and the sbatch script; touch nothing")
    add(
        "--wait",
        action="store_true",
        help="follow until the report is there; status 1 if a run failed",
    )
    add("--retry-failed", action="store_true", help="send failed runs again")
    add("--force", action="store_true", help="run finished ones again; old folders are moved aside")
    add("--max-parallel", type=int, metavar="N", help="at most N array tasks at a time")
    add("--out", type=Path, default=Path("outputs"), metavar="DIR", help="default: outputs/")
    return made


def main() -> int:
    args = parser().parse_intermixed_args()
    if os.environ.get("RANK", "0") != "0" and "LOCAL_RANK" in os.environ:
        return follow_the_first(args)
    sweep = load(args.sweep, SCHEMAS, args.overrides, debug=args.debug)
    check_names(sweep.report, sweep.experiment, str(args.sweep))
    block = dict(sweep.cluster)
    if args.max_parallel is not None:
        block["max_parallel"] = args.max_parallel
    profile = profiles.load(args.cluster or profiles.default_name(), block, args.sweep)
    outputs = Outputs(args.out)
    if args.debug or args.local:
        return run_here(args, sweep, outputs, profile.max_crashes)
    return run_on_slurm(args, sweep, profile, outputs)


def follow_the_first(args: argparse.Namespace) -> int:
    """Be one of torchrun's processes that train what the first one plans, and say nothing."""
    from hw5hpc.cluster import local

    if (args.debug or args.local) and not args.dry_run:
        local.follow()
    return DONE


def make_plan(args: argparse.Namespace, sweep: Sweep, outputs: Outputs, alive: JobAlive) -> Plan:
    return planning.make(sweep, outputs, code_hash(), alive, args.retry_failed, args.force)


def run_here(args: argparse.Namespace, sweep: Sweep, outputs: Outputs, crashes: int) -> int:
    from hw5hpc.cluster import local
    from hw5hpc.cluster.data import check as check_data

    outputs.check_writable()
    plan = make_plan(args, sweep, outputs, lambda job: None)
    print(describe(plan))
    if args.dry_run:
        return DONE
    planning.check_waits(plan, for_jobs=False)
    check_data(plan)
    local.run(plan, outputs, crashes)
    return report(sweep, outputs)


def report(sweep: Sweep, outputs: Outputs) -> int:
    from hw5hpc.report.aggregate import aggregate

    made = aggregate(outputs, outputs.sweep(sweep.name))
    for sentence in made.missing:
        print(sentence)
    print(f"report: {shown(made.index)}")
    failed = [
        point.id for point in sweep.points if outputs.run(point.id).status().state is State.FAILED
    ]
    return RUN_FAILED if failed else DONE


def run_on_slurm(args: argparse.Namespace, sweep: Sweep, profile: Profile, outputs: Outputs) -> int:
    from hw5hpc.cluster import slurm, submit
    from hw5hpc.cluster.data import check as check_data

    slurm.require(profile)
    if args.dry_run:
        plan = make_plan(args, sweep, outputs, slurm.Queue().alive)
        planning.check_waits(plan, for_jobs=True)
        print(describe(plan, profile))
        print("\n".join(submit.scripts(plan, profile, outputs)))
        return DONE
    planned = make_plan(args, sweep, outputs, slurm.Queue().alive)
    check_data(planned)
    outputs.check_writable()
    if not planned.empty:
        slurm.preflight(profile, outputs.existing)
    with outputs.locked():
        plan = make_plan(args, sweep, outputs, slurm.Queue().alive)
        planning.check_waits(plan, for_jobs=True)
        print(describe(plan, profile))
        if plan.empty:
            # The points may all be another sweep's work; this one's report needs its own list.
            planning.register(plan, outputs)
        else:
            submission = submit.send(plan, profile, outputs)
            print(next_steps(args, submission, sweep, outputs))
    if plan.empty and not plan.count(State.RUNNING):
        return report(sweep, outputs)
    return wait(sweep, outputs) if args.wait else DONE


def wait(sweep: Sweep, outputs: Outputs) -> int:
    from hw5hpc.cluster import follow, slurm

    folder = outputs.sweep(sweep.name)
    jobs = [
        job for row in folder.submissions() for job in (*row["first"], *row["rest"], row["report"])
    ]

    def over() -> bool:
        queue = slurm.Queue()
        return not any(queue.alive(job) for job in jobs)

    rows = follow.follow(lambda: follow.standings(outputs, folder, slurm.Queue().alive), over)
    print(follow.summary(rows))
    index = folder.report / "index.html"
    if not index.exists():
        return report(sweep, outputs)
    print(f"report: {shown(index)}")
    return DONE if all(row.status.state.done for row in rows) else RUN_FAILED


def describe(plan: Plan, profile: Profile | None = None) -> str:
    """Return the plan in words."""
    going = {item.id for item in plan.rest}
    lines = [f"sweep {plan.sweep.name}: {len(plan.points)} points ({plan.sweep.experiment})"]
    for state in State:
        count = plan.count(state)
        if count:
            sent = sum(item.state is state and item.id in going for item in plan.points)
            lines.append(f"  {state:<12}{count:>5}" + (f"   {sent} to run" if sent else ""))
    if plan.stale:
        lines.append(
            f"  {plan.stale} finished by another version of the code (--force runs them again)"
        )
    if plan.count(State.FAILED) and not any(i.state is State.FAILED for i in plan.rest):
        lines.append("  failed points stay as they are; --retry-failed sends them again")
    if plan.first:
        lines.append(f"  first: {len(plan.first)} prerequisite ({plan.first[0].experiment})")
    if plan.empty:
        busy = plan.count(State.RUNNING)
        lines.append(
            f"  nothing to submit: {'the rest is running' if busy else 'all points have ended'}"
        )
        if plan.count(State.FINISHED) == len(plan.points):
            lines[-1] = "  nothing to submit: all points are finished"
    elif profile is not None:
        tasks = len(planning.pack(plan.first, profile)) + len(planning.pack(plan.rest, profile))
        hours = planning.gpu_hours(tasks, profile)
        lines.append(f"  {tasks} tasks, at most {hours:.1f} GPU-hours (each up to {profile.time})")
    return "\n".join(lines)


def next_steps(
    args: argparse.Namespace, submission: "Submission", sweep: Sweep, outputs: Outputs
) -> str:
    out = "" if args.out == Path("outputs") else f" --out {args.out}"
    arrays, last = submission.arrays, submission.report
    return "\n".join(
        [
            f"submitted: {' '.join(arrays)}, then the report: {last}",
            f"  watch:   python jobs/status.py {args.sweep}{out} --watch",
            f"  cancel:  scancel {' '.join([*arrays, last])}",
            f"  report:  {shown(outputs.sweep(sweep.name).report / 'index.html')}",
        ]
    )


if __name__ == "__main__":
    sys.exit(guard(main))
