"""Whom a command asks about a sweep's jobs: the Slurm of the profile that sent them."""

from pathlib import Path

from hw5hpc.cluster import folders, slurm
from hw5hpc.cluster import profile as profiles
from hw5hpc.cluster.profile import Profile
from hw5hpc.errors import UserError
from hw5hpc.node.known_jobs import KnownJobs
from hw5hpc.store import Outputs, SweepFolder


def profile_of(cluster: str | None, sweep: SweepFolder | None = None) -> Profile:
    """Return the profile that was named, else the one that sent the sweep, else the default.

    Raises:
        ProfileError: there is no such profile, or it cannot be used.
    """
    sent = sweep.submissions() if sweep else []
    before = str(sent[-1].get("profile", "")) if sent else ""
    known = profiles.exists(before)
    name = cluster or (before if known else "") or profiles.default_name()
    return profiles.load(name, {}, sweep.path if sweep else profiles.FOLDER)


def out_folder(given: Path | None, cluster: str | None = None) -> Path:
    """Return the output folder that a command without a sweep file means (folders.out)."""
    return folders.out(given, lambda: profile_of(cluster))


def find(given: Path | None, word: str, cluster: str | None = None) -> tuple[Outputs, SweepFolder]:
    """Return the sweep that a word of the command line means (folders.find).

    Raises:
        UserError: there is no such sweep, or the word means several.
    """
    return folders.find(out_folder(given, cluster), word)


def newest(outputs: Outputs) -> SweepFolder | None:
    """Return the sweep that was submitted last: its Slurm is asked about all of them."""
    sent = {sweep: sweep.submissions()[-1:] for sweep in outputs.sweeps()}
    times = {sweep: float(rows[0].get("time", 0.0)) for sweep, rows in sent.items() if rows}
    return max(times, key=lambda sweep: times[sweep]) if times else None


def jobs_of(cluster: str | None, sweep: SweepFolder | None = None) -> KnownJobs:
    """Return what to ask Slurm with.

    Raises:
        UserError: no such profile, or Slurm cannot be asked from here.
    """
    loaded = profile_of(cluster, sweep)
    slurm.require(loaded)
    return KnownJobs(loaded.ask_seconds)


def unasked(cluster: str | None, sweep: SweepFolder | None) -> str:
    """Return a line that says why Slurm is not asked, where that leaves states unknown."""
    try:
        jobs_of(cluster, sweep)
    except UserError as error:
        return f"note: {error}: what waits or runs is told from the files alone"
    return ""


def jobs_if_any(cluster: str | None, sweep: SweepFolder | None = None) -> KnownJobs | None:
    """Return what to ask Slurm with, or None where it cannot be asked: nothing is known then.

    Raises:
        ProfileError: a profile was named that does not exist or cannot be used.
    """
    if cluster is not None:
        profile_of(cluster, sweep)
    try:
        return jobs_of(cluster, sweep)
    except UserError:
        return None
