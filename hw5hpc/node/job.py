"""What submitit calls on a node: the runs of one array task, or the report."""

import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import submitit
from submitit.helpers import DelayedSubmission

from hw5hpc.errors import UserError
from hw5hpc.node import deaths, requeue
from hw5hpc.node.brake import CanaryFailed, stop_others
from hw5hpc.node.code import own_file
from hw5hpc.node.known_jobs import KnownJobs
from hw5hpc.node.pack import Packing, train_pack
from hw5hpc.node.progress import to_stdout
from hw5hpc.node.retry import Budget
from hw5hpc.node.standing import note
from hw5hpc.node.stop import StopFlag
from hw5hpc.node.task import Task
from hw5hpc.store import Outputs, RunFolder, State

log = logging.getLogger(__name__)


class TrainingJob:
    """One array task: only paths are pickled, the node re-reads and checks the configs.

    Slurm starts it once for each of `processes`; they train every run together. On the `device`
    'cpu' no GPU is used, on 'cuda' nothing is trained without one; 'auto' takes what is there.
    A `canary` fails as a job when its runs do: others wait for its success. `packing` says how many
    of its runs train at a time.
    """

    def __init__(
        self,
        sweep: str,
        folders: Sequence[Path],
        budget: Budget,
        processes: int = 1,
        device: str = "auto",
        canary: bool = False,
        packing: Packing = Packing(),  # noqa: B008 - it is frozen
    ) -> None:
        self.sweep, self.budget, self.processes = sweep, budget, processes
        self.device, self.canary, self.packing = device, canary, packing
        self.folders = [str(folder) for folder in folders]

    def __call__(self) -> list[str]:
        to_stdout()
        environment = submitit.JobEnvironment()
        try:
            return self._work(environment)
        finally:
            if not environment.global_rank:
                outputs = Outputs(Path(self.folders[0]).parents[1])
                sweep, job = outputs.sweep(self.sweep), environment.job_id
                stop_others(sweep, outputs, job, self._states(), self.canary)

    def _work(self, environment: Any) -> list[str]:
        stop = StopFlag()
        warning, job = environment._usr_sig(), environment.job_id
        handlers = stop.listen(warning, signal.SIGTERM)
        try:
            states, again = self.train(environment, stop)
        except Exception as error:
            # Not named above: their modules import torch, without which this process may do well.
            if not _may_pass(error):
                raise
            states, again = self._states(), True
            # The first rank speaks for all; what has failed for good does not come back.
            if environment.global_rank or not _unfinished(states):
                raise
        # A job that its user cancelled must not come back.
        if again and _unfinished(states) and requeue.still_running(job):
            signal.signal(warning, handlers[warning])
            _hand_back(warning)
        if self.canary and not all(state.done for state in states):
            raise CanaryFailed(f"the run that was sent first is {states[0]}; see its log above")
        return [str(state) for state in states]

    def train(self, environment: Any, stop: Callable[[], bool]) -> tuple[list[State], bool]:
        """Return the states of the runs, and whether any rank was asked to stop.

        Raises:
            TeamBroken: a rank failed, died or did not come in time, which counts as a crash.
            DeviceBroken: the GPU answers no more, which counts as a crash of the run at work.
            RendezvousError: the ranks are not as many as was asked for, or do not fit together;
                the runs have failed with this reason.
            NoGpu: a GPU was asked for, and this torch can never use one; the runs have failed.
            ServerBroken: processes for runs side by side cannot be started.
        """
        if self.device == "cpu":
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        try:
            if self._side_by_side and environment.num_tasks == 1:
                task = self._task(environment, stop)
                return train_pack(self._paths, task, self.packing, self.device), stop()
            return self._train_together(environment, stop)
        except UserError as error:
            self._count_for_all(environment, error)
            raise

    @property
    def _side_by_side(self) -> bool:
        """Whether other processes train, so that this one needs no torch."""
        return self.packing.side_by_side and self.processes == 1 and len(self.folders) > 1

    def _task(self, environment: Any, stop: Callable[[], bool]) -> Task:
        first = not environment.global_rank
        killed = deaths.take(environment.paths.folder, environment.job_id) if first else ""
        return Task(
            self.sweep,
            environment.job_id,
            stop,
            budget=self.budget,
            killed=killed,
            own=own_file(),
            gone=requeue.gone,
            threads=self.packing.threads if self.processes == 1 else 0,
        )

    def _train_together(
        self, environment: Any, stop: Callable[[], bool]
    ) -> tuple[list[State], bool]:
        from hw5hpc.engine.precision import need_gpu
        from hw5hpc.node.worker import work
        from hw5hpc.team.assembly import slurm_team

        with slurm_team(environment, self.processes) as team:
            if self.device == "cuda":
                need_gpu()
            states = work(self._paths, self._task(environment, stop), team)
            return states, team.ranks.agree(stop())[0]

    def _count_for_all(self, environment: Any, error: UserError) -> None:
        """Count what kept the runs from beginning; raise TeamBroken where another try may help."""
        import torch

        from hw5hpc.engine.precision import NoGpu
        from hw5hpc.node.worker import count_crash
        from hw5hpc.team.assembly import slurm_ranks
        from hw5hpc.team.rendezvous import RendezvousError, RendezvousTimeout
        from hw5hpc.team.team import TeamBroken

        if not isinstance(error, RendezvousError | NoGpu):
            return
        # Another node may have a GPU that works; another torch is none of this job's.
        no_driver = isinstance(error, NoGpu) and torch.version.cuda is not None
        may_pass = no_driver or isinstance(error, RendezvousTimeout)
        task = Task(self.sweep, environment.job_id, budget=self.budget, gone=requeue.gone)
        ranks = slurm_ranks(environment)
        count_crash(self._paths, task, ranks, str(error), final=not may_pass)
        if may_pass:
            raise TeamBroken(str(error)) from error

    @property
    def _paths(self) -> list[Path]:
        return [Path(folder) for folder in self.folders]

    def _states(self) -> list[State]:
        return [RunFolder(Path(folder)).status().state for folder in self.folders]

    def checkpoint(self) -> DelayedSubmission:
        return DelayedSubmission(
            TrainingJob(
                self.sweep,
                self._paths,
                self.budget,
                self.processes,
                self.device,
                self.canary,
                self.packing,
            )
        )


def _may_pass(error: Exception) -> bool:
    from hw5hpc.node.worker import DeviceBroken
    from hw5hpc.team.team import TeamBroken

    return isinstance(error, TeamBroken | DeviceBroken)


def _unfinished(states: Sequence[State]) -> bool:
    return any(not state.done and state is not State.FAILED for state in states)


class ReportJob:
    """The last job of a sweep: aggregate whatever has finished.

    `submission` is the id of the submission that sent it, `words` say which one that was.
    """

    def __init__(self, out: Path, sweep: str, submission: str = "", words: str = "") -> None:
        self.out, self.sweep = str(out), sweep
        self.submission, self.words = submission, words

    def __call__(self) -> str:
        from hw5hpc.report.aggregate import Maker, aggregate

        outputs = Outputs(Path(self.out))
        sweep = outputs.sweep(self.sweep)
        try:
            note(outputs, sweep, KnownJobs())
        except (OSError, UserError):
            log.exception("Slurm's word on the jobs is not known")
        job = submitit.JobEnvironment().job_id
        maker = Maker(f"Made by job {job}, the report of {self.words}.", self.submission)
        return str(aggregate(outputs, sweep, maker).index)

    def checkpoint(self) -> DelayedSubmission:
        return DelayedSubmission(ReportJob(Path(self.out), self.sweep, self.submission, self.words))


def _hand_back(warning: int) -> None:
    """Let submitit call checkpoint() and requeue; where it cannot, leave it to the batch script."""
    # The next turn executes no pickle that others may write.
    os.umask(os.umask(0o077) | 0o022)
    try:
        signal.raise_signal(warning)
    except Exception:
        # A full disk, a controller that is away, a file that an earlier turn left half written.
        log.exception("submitit could not requeue this task; its batch script will")
        sys.exit(requeue.TRY_AGAIN)
