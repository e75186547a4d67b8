"""What the arguments of jobs/submit.py ask for: the sweep, the profile over it, how it is sent."""

import argparse
import dataclasses
import os
import shlex
from pathlib import Path
from typing import Any

from hw5hpc import debugger
from hw5hpc.cluster import folders, local
from hw5hpc.cluster import profile as profiles
from hw5hpc.cluster.data import located
from hw5hpc.cluster.profile import Profile
from hw5hpc.cluster.request import Request
from hw5hpc.errors import UserError
from hw5hpc.experiments import read_sweep
from hw5hpc.report.figures import check_names
from hw5hpc.store import Outputs
from hw5hpc.sweep import Sweep
from hw5hpc.tracking.words import merge


class Arguments(argparse.Namespace):
    """The arguments as argparse gives them; the help text says what each means."""

    sweep: Path
    overrides: list[str]
    debug: bool
    local: bool
    pdb: bool
    cluster: str | None
    dry_run: bool
    wait: bool
    retry_failed: bool
    retry_cause: str | None
    canary: bool
    max_gpu_hours: float | None
    force: bool
    max_parallel: int | None
    jobs: int | None
    seeds: int | None
    name: str | None
    out: Path | None

    @property
    def here(self) -> bool:
        return self.debug or self.local


def request(given: Arguments) -> Request:
    """Return what is asked for, every file read and every argument checked.

    Raises:
        UserError: one line with the file or argument, what is wrong and what is allowed.
    """
    _go_together(given)
    file = folders.file_of(given.sweep)
    sweep = located(read_sweep(file, given.overrides, given.debug, given.seeds, given.name))
    check_names(sweep.report, str(file))
    words = dict(sweep.cluster_words)
    if given.max_parallel is not None:
        words["max_parallel"] = given.max_parallel
    name = given.cluster or profiles.default_name()
    profile = profiles.load(name, sweep.cluster, file, words=words)
    sweep = dataclasses.replace(sweep, wandb=_mirror(sweep, profile))
    out = f" --out {shlex.quote(str(given.out))}" if given.out else ""
    out += f" --cluster {shlex.quote(given.cluster)}" if given.cluster else ""
    return Request(
        sweep, profile, Outputs(folders.out(given.out, lambda: profile)), f"{sweep.name}{out}",
        here=given.here, dry_run=given.dry_run, wait=given.wait,
        canary=given.canary, max_gpu_hours=given.max_gpu_hours,
        retry_failed=given.retry_cause or given.retry_failed or given.pdb, force=given.force,
        at_a_time=given.jobs,
    )  # fmt: skip


def _go_together(given: Arguments) -> None:
    """Refuse arguments that do not go together, and ask for the debugger where that is wanted."""
    if given.jobs is not None and not given.here:
        raise UserError("--jobs goes with --debug or --local; on Slurm say cluster.abreast=N")
    if given.jobs is not None and local.under_torchrun():
        raise UserError("--jobs does not go with torchrun: its processes train one run together")
    if given.pdb:
        if not given.here or "LOCAL_RANK" in os.environ:
            raise UserError("--pdb goes with --debug or --local, in one process")
        debugger.ask_for()
    if given.here and (given.canary or given.max_gpu_hours is not None):
        raise UserError("--canary and --max-gpu-hours are for Slurm, not for --debug and --local")


def _mirror(sweep: Sweep, profile: Profile) -> dict[str, Any]:
    """Return where W&B's mirror goes and in which mode, to record with the sweep."""
    words = merge(profile.wandb, sweep.wandb, ("the profile's key 'wandb'", f"{sweep.path}: wandb"))
    # wandb is slow to load, and a mistake in the file shows before.
    from hw5hpc.tracking.mode import at_submission

    return at_submission(words)
