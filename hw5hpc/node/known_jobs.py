"""The jobs that a sweep knows of, as Slurm saw them last: it is asked seldom and with patience."""

import os
import pwd
import re
import time
from collections.abc import Iterable
from functools import cached_property

from hw5hpc.node import jobs
from hw5hpc.node.jobs import Job, NoAnswer, base
from hw5hpc.store import Outputs, Sent, SweepFolder

ASK_SECONDS = 15.0


class KnownJobs:
    """What Slurm said last; it is asked in one call for all, at most once in `seconds`.

    A job that Slurm does not know has ended if this user sent it to this cluster. Somebody else's
    may be hidden from this user, and another cluster's is not Slurm's to know: unknown, not gone.
    """

    def __init__(self, seconds: float = ASK_SECONDS) -> None:
        self._seconds = seconds
        self._sent: dict[str, Sent] = {}
        self._seen: dict[str, Job] = {}
        self._ends: dict[str, Job] = {}
        self._answered: set[str] = set()
        self._visible: set[str] = set()
        self._sought: set[str] = set()
        self._looked_up: set[str] = set()
        self._next = self._silent_since = 0.0
        self.trouble = ""

    def add(self, sent: Iterable[Sent]) -> None:
        self._sent |= {one.job: one for one in sent if _is_id(one.job)}

    def add_sweep(self, outputs: Outputs, sweep: SweepFolder) -> None:
        """Add the jobs of a sweep's points and of its last submission."""
        runs = [outputs.run(str(run)) for run in sweep.load().get("runs", [])]
        self.add(run.sent() for run in runs)
        self.add(sweep.last_sent())

    def refresh(self, now: bool = False) -> None:
        """Ask anew when it is time, or `now`; without an answer the last one holds.

        `trouble` says then why.
        """
        if now or time.monotonic() >= self._next:
            self._ask({base(job) for job in self._sent if not self._elsewhere(job)})

    @property
    def silent_seconds(self) -> float:
        """For how long Slurm has not answered."""
        return time.monotonic() - self._silent_since if self.trouble else 0.0

    def alive(self, job: str) -> bool | None:
        """Whether a job (`ID` or `ID_TASK`) waits or runs; None when that is not known."""
        if not _is_id(job):
            return False
        if self._elsewhere(job):
            return None
        if base(job) not in self._answered and not self.trouble:
            self._ask({*map(base, self._sent), base(job)})
        if base(job) not in self._answered:
            return None
        shown = self._shown(job)
        if shown:
            return not all(one.ended for one in shown)
        hidden = base(job) not in self._visible and self._somebody_elses(job)
        return None if hidden and self._end(job) is None else False

    def _shown(self, job: str) -> list[Job]:
        if job in self._seen or "_" in job:
            return [self._seen[job]] if job in self._seen else []
        return [one for one in self._seen.values() if base(one.id) == job]

    def words(self, job: str) -> str:
        """Return why a job does not run, or how it ended, in words; '' when there is no news."""
        alive = self.alive(job)
        if alive is None:
            return self._why_unknown(job)
        found = self._end(job) if alive is False else None
        found = found or self._seen.get(job)
        return found.words() if found else ""

    def _why_unknown(self, job: str) -> str:
        sent = self._sent.get(job, Sent(job))
        if self._elsewhere(job):
            return f"in job {job} of the cluster {sent.cluster}, which is not the one asked"
        if self.trouble:
            return f"Slurm does not answer ({self.trouble})"
        return f"in job {job} of {sent.user}, which Slurm does not show to {user()}"

    def _ask(self, ids: set[str]) -> None:
        self._next = time.monotonic() + self._seconds
        if not ids:
            return
        try:
            seen = jobs.queued(ids)
        except NoAnswer as error:
            self._silent_since = self._silent_since if self.trouble else time.monotonic()
            self.trouble = str(error)
            return
        kept = {name: one for name, one in self._seen.items() if base(name) not in ids}
        self._seen, self.trouble = kept | seen, ""
        self._visible = set(map(base, self._seen))
        self._answered |= ids
        self._looked_up.clear()

    def _end(self, job: str) -> Job | None:
        """How a job ended; each array is looked up when it is needed, once in `seconds`."""
        new = job not in self._ends and job not in self._sought
        if new and base(job) not in self._looked_up:
            self._sought.add(job)
            self._looked_up.add(base(job))
            self._ends |= jobs.ends(job)
        return self._ends.get(job)

    @cached_property
    def _cluster(self) -> str:
        return jobs.cluster_name()

    def _elsewhere(self, job: str) -> bool:
        sent = self._sent.get(job, Sent(job))
        return bool(sent.cluster and self._cluster and sent.cluster != self._cluster)

    def _somebody_elses(self, job: str) -> bool:
        return self._sent.get(job, Sent(job)).user not in ("", user())


def _is_id(job: str) -> bool:
    return re.fullmatch(r"\d{1,18}(_\d{1,18})?", job) is not None


def user() -> str:
    """Return the name of who asks, as the system has it, '' where this number has none."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return ""


def sender() -> Sent:
    """Return who sends from here to which cluster."""
    return Sent("", user(), jobs.cluster_name())
