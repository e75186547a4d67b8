"""Slurm is asked about known ids, seldom and with patience; what it does not show is not gone."""

import time
from pathlib import Path

import pytest

from hw5hpc.cluster import follow, submit
from hw5hpc.cluster import plan as planning
from hw5hpc.cluster.profile import Profile
from hw5hpc.cluster.slurm import SlurmError
from hw5hpc.experiments import SCHEMAS
from hw5hpc.node import jobs, known_jobs, standing
from hw5hpc.node.known_jobs import KnownJobs
from hw5hpc.report.collect import collect
from hw5hpc.store import Outputs, Sent, State, Status, SweepFolder
from hw5hpc.sweep import Sweep, load
from tests.cluster.conftest import Fake

SWEEP = """
experiment: ring
config: {train.epochs: 1, ring.steps_per_epoch: 2, ring.samples: 64}
grid: {seed: [0, 1]}
"""
ME = known_jobs.user()


@pytest.fixture
def fake(stand_in: Fake) -> Fake:
    stand_in("scontrol", "echo 'ClusterName = here'; exit 0")
    stand_in("sacct", "exit 1")
    return stand_in


def knows(seconds: float, *sent: Sent) -> KnownJobs:
    made = KnownJobs(seconds)
    made.add(sent)
    made.refresh()
    return made


def test_filters_and_formats_of_the_users_shell_change_nothing(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake("squeue", 'env | grep -q "^SQUEUE_\\|^SLURM_TIME" || echo "7_0|RUNNING|N/A|None"')
    monkeypatch.setenv("SQUEUE_USERS", "nobody")
    monkeypatch.setenv("SQUEUE_STATES", "PENDING")
    monkeypatch.setenv("SLURM_TIME_FORMAT", "relative")
    assert knows(15, Sent("7_0", ME)).alive("7_0") is True


def test_mine_that_slurm_does_not_know_is_gone_and_a_colleagues_is_unknown(fake: Fake) -> None:
    fake("squeue", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    known = knows(15, Sent("7_0", ME), Sent("8_0", "alice"), Sent("9_0", ME, "elsewhere"))
    assert [known.alive(job) for job in ("7_0", "8_0", "9_0")] == [False, None, None]
    assert "in job 8_0 of alice, which Slurm does not show" in known.words("8_0")
    assert "of the cluster elsewhere" in known.words("9_0")
    assert known.alive("$(reboot)") is False


def test_a_colleagues_job_that_sacct_saw_end_is_gone(fake: Fake) -> None:
    fake("squeue", "exit 0")
    fake("sacct", "echo '8_[0-3]|CANCELLED by 1000|0:0'")
    known = knows(15, Sent("8_2", "alice"))
    assert known.alive("8_2") is False
    assert known.words("8_2") == "its job ended as CANCELLED by 1000, exit code 0:0"


def test_slurm_is_asked_once_for_all_jobs_and_not_again_too_soon(fake: Fake) -> None:
    calls = fake("squeue", "echo '7_0|PENDING|N/A|Priority'; echo '8_0|RUNNING|N/A|None'")
    known = knows(0.5, Sent("7_0", ME), Sent("8_0", ME))
    for _ in range(5):
        known.refresh()
        assert known.alive("7_0") and known.alive("8_0") and known.alive("8")
    assert len(calls.read_text().splitlines()) == 1
    time.sleep(0.6)
    known.refresh()
    assert len(calls.read_text().splitlines()) == 2


def test_a_slurm_that_does_not_answer_is_named_and_its_last_word_holds(
    fake: Fake, tmp_path: Path
) -> None:
    down = tmp_path / "down"
    fake("squeue", f"test -e {down} && {{ echo 'Socket timed out' >&2; exit 1; }}\n"
                   "echo '7_0|RUNNING|N/A|None'")  # fmt: skip
    known = knows(0.01, Sent("7_0", ME))
    down.touch()
    time.sleep(0.02)
    known.refresh()
    assert known.trouble == "squeue: Socket timed out"
    assert known.alive("7_0") is True
    assert known.silent_seconds > 0
    down.unlink()
    time.sleep(0.02)
    known.refresh()
    assert (known.trouble, known.silent_seconds) == ("", 0.0)


def test_without_an_answer_nothing_is_known(fake: Fake) -> None:
    fake("squeue", "exit 1")
    known = knows(15, Sent("7_0", ME))
    assert known.alive("7_0") is None
    assert "does not answer" in known.words("7_0")


def test_a_command_that_hangs_is_no_answer(fake: Fake) -> None:
    fake("squeue", "exec sleep 60")
    with pytest.raises(jobs.NoAnswer, match="did not answer within"):
        jobs.queued({"7"}, timeout=0.3)


def test_a_job_that_cannot_start_says_why_and_when_it_may(fake: Fake) -> None:
    fake("squeue", "echo '7_0|PENDING|2026-11-26T12:30:00|PartitionDown'")
    assert knows(15, Sent("7_0", ME)).words("7_0") == (
        "its job waits: PartitionDown (the partition is down), expected start 2026-11-26 12:30:00"
    )


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    return Outputs(tmp_path / "out")


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    path = tmp_path / "test.yaml"
    path.write_text(SWEEP)
    return load(path, SCHEMAS)


def sent(sweep: Sweep, outputs: Outputs, user: str) -> SweepFolder:
    planning.register(planning.make(sweep, outputs, "code"), outputs)
    for index, point in enumerate(sweep.points):
        outputs.run(point.id).set_job(f"7_{index}", user, "here")
    return outputs.sweep("test")


def test_a_colleagues_waiting_jobs_are_never_sent_a_second_time(
    fake: Fake, sweep: Sweep, outputs: Outputs
) -> None:
    fake("squeue", "exit 0")
    sent(sweep, outputs, "alice")
    known = knows(15, *planning.sent_jobs(sweep, outputs))
    plan = planning.make(sweep, outputs, "code", known.alive, trust_unknown=True)
    assert plan.empty
    assert [item.unknown for item in plan.points] == ["7_0", "7_1"]
    sent(sweep, outputs, ME)
    known = knows(15, *planning.sent_jobs(sweep, outputs))
    assert len(planning.make(sweep, outputs, "code", known.alive, trust_unknown=True).rest) == 2


def test_a_job_that_died_before_python_is_explained_in_status_and_report(
    fake: Fake, sweep: Sweep, outputs: Outputs
) -> None:
    fake("squeue", "echo '7_0|FAILED|N/A|NonZeroExitCode'; echo '7_1|PENDING|N/A|JobHeldUser'")
    fake("scontrol", "echo 'ClusterName = here'\n"
         "echo 'JobId=9 ArrayJobId=7 ArrayTaskId=0 JobState=FAILED ExitCode=127:0'")  # fmt: skip
    folder = sent(sweep, outputs, ME)
    folder.logs.mkdir(parents=True)
    log = "early\n/var/spool/job9/slurm_script: line 3: module: command not found\n\n"
    folder.log_of("7_0").write_text(log)
    dead, held = follow.asked(outputs, folder, KnownJobs())
    assert (dead.status.state, held.status.state) == (State.LOST, State.QUEUED)
    assert dead.status.reason == (
        "its job ended as FAILED, exit code 127:0; its log ends: early | "
        "slurm_script: line 3: module: command not found; submit again to go on"
    )
    assert "JobHeldUser (held; scontrol release lets it go)" in held.status.reason
    assert follow.reasons([dead, held])[1].startswith("  1 queued: its job waits")
    shown = collect(outputs, folder).results
    assert list(shown["state"]) == ["lost", "queued"]
    assert list(shown["reason"]) == [dead.status.reason, held.status.reason]
    # What was sent since is not what Slurm spoke of.
    outputs.run(dead.run).set_job("9_0", ME, "here")
    assert list(collect(outputs, folder).results["state"]) == ["queued", "queued"]


def test_the_report_job_writes_down_what_slurm_says_even_where_it_says_nothing(
    fake: Fake, sweep: Sweep, outputs: Outputs
) -> None:
    fake("squeue", "exit 1")
    folder = sent(sweep, outputs, ME)
    standing.note(outputs, folder, KnownJobs())
    shown = collect(outputs, folder).results
    assert list(shown["state"]) == ["queued", "queued"]


def test_what_force_moved_aside_is_back_after_a_refusal(
    fake: Fake, sweep: Sweep, outputs: Outputs
) -> None:
    fake("sbatch", "echo 'sbatch: error: QOSMaxSubmitJobPerUserLimit' >&2; exit 1")
    first, second = (outputs.run(point.id) for point in sweep.points)
    first.create("ring", {"seed": 0})
    first.set_result({"state": "finished", "metrics": {"modes_covered": 8}})
    plan = planning.make(sweep, outputs, "code", force=True)
    assert len(plan.rest) == 2
    with pytest.raises(SlurmError, match="QOSMaxSubmit"):
        submit.send(plan, Profile(gpus_per_node=0), outputs)
    assert first.status().state is State.FINISHED
    assert (first.result() or {})["metrics"] == {"modes_covered": 8}
    assert second.status().state in (State.NEW, State.LOST)


def test_an_interrupted_runs_own_reason_stays_beside_slurms(
    fake: Fake, sweep: Sweep, outputs: Outputs
) -> None:
    fake("squeue", "echo '7_0|PENDING|N/A|Resources'")
    folder = sent(sweep, outputs, ME)
    run = outputs.run(sweep.points[0].id)
    run.set_status(Status(state=State.INTERRUPTED, reason="stopped by SIGTERM"))
    status = follow.asked(outputs, folder, KnownJobs())[0].status
    said = "its job waits: Resources (no node is free for it yet)"
    assert status.reason == f"stopped by SIGTERM; {said}"
