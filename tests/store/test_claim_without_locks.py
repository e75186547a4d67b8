"""Claims where locks do nothing or fail, as on some network file systems: still one holder."""

import errno
import fcntl
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from hw5hpc.store import Outputs, RunFolder, claim, files, holder

claims = sys.modules["hw5hpc.store.claim"]
DEAD = {"token": "dead", "host": "elsewhere", "pid": 1, "job": "7", "started": "1"}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = Outputs(tmp_path).run("abc")
    folder.create("gan", {"seed": 0})
    return folder


def _race(path: Path, barrier: object, wins: object, rounds: int) -> None:
    """Claim once a round; the winner holds on until the round is over."""
    for number in range(rounds):
        run = RunFolder(path / str(number))
        barrier.wait()  # type: ignore[attr-defined]
        if claim(run, gone=lambda job: job == "7") is not None:
            wins.put(number)  # type: ignore[attr-defined]
    barrier.wait()  # type: ignore[attr-defined]


@pytest.mark.parametrize("before", ["nobody", "a dead holder", "a damaged claim"])
def test_of_many_claimers_one_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    monkeypatch.setattr(fcntl, "flock", lambda file, how: None)
    rounds, racers = 60, 6
    for number in range(rounds):
        run = RunFolder(tmp_path / str(number))
        run.path.mkdir()
        if before == "a dead holder":
            files.write_json(run.claim_path, DEAD)
        elif before == "a damaged claim":
            run.claim_path.write_text('{"token": "de')
    context = multiprocessing.get_context("fork")
    barrier, wins = context.Barrier(racers), context.Queue()
    processes = [
        context.Process(target=_race, args=(tmp_path, barrier, wins, rounds)) for _ in range(racers)
    ]
    for process in processes:
        process.start()
    won = Counter(wins.get(timeout=60) for _ in range(rounds))
    for process in processes:
        process.join(60)
    assert wins.empty()
    assert won == Counter(range(rounds))


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_no_obstacle(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(file: object, how: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    mine = claim(run)
    assert mine is not None
    assert claim(run) is None
    mine.release()
    assert holder(run) is None


def test_a_lock_that_is_never_freed_holds_nobody_up_for_ever(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "LOCK_SECONDS", 0.1)
    with (run.path / "claim.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert claim(run) is not None
        assert claim(run) is None


def test_a_file_system_without_hard_links(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise PermissionError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    files.write_json(run.claim_path, DEAD)
    mine = claim(run, gone=lambda job: True)
    assert mine is not None
    assert mine.beat()
    assert claim(run) is None


def test_an_heir_that_was_killed_keeps_nothing(run: RunFolder) -> None:
    """Killed between the two steps of taking over: after a while the next one may."""
    files.write_json(run.claim_path, DEAD)
    heir = run.path / ".claim.dead.heir"
    files.write_json(heir, {"token": "half way"})
    assert claim(run, gone=lambda job: True) is None
    old = time.time() - claims.STALE_SECONDS - 1
    os.utime(heir, (old, old))
    assert claim(run, gone=lambda job: True) is None
    assert claim(run, gone=lambda job: True) is not None


def test_nothing_but_the_claim_stays_behind(run: RunFolder) -> None:
    files.write_json(run.claim_path, DEAD)
    mine = claim(run, gone=lambda job: True)
    assert mine is not None
    names = {path.name for path in run.path.iterdir()}
    assert names == {"config.yaml", "claim.json", "claim.lock", "artifacts"}
    mine.release()
    assert not run.claim_path.exists()


def _die_as_heir(run: RunFolder) -> None:
    """Take over from a dead holder, and be killed between the two steps."""
    real = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if target == run.claim_path:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        claim(run, gone=lambda job: True)


@pytest.mark.parametrize("deaths", [1, 2, 3])
def test_an_heir_that_was_killed_here_holds_nobody_up(run: RunFolder, deaths: int) -> None:
    """Its process is known to be gone: no need to wait for its heartbeat to grow old."""
    files.write_json(run.claim_path, DEAD)
    for _ in range(deaths):
        process = multiprocessing.get_context("fork").Process(target=_die_as_heir, args=(run,))
        process.start()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
    assert len(list(run.path.glob(".claim.*.heir"))) == deaths
    mine = claim(run, gone=lambda job: True)
    assert mine is not None
    assert mine.beat()
    assert claim(run) is None
    assert not list(run.path.glob(".claim.*.heir"))


def test_of_many_claimers_one_inherits_from_a_killed_heir(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", lambda file, how: None)
    rounds, racers = 30, 6
    context = multiprocessing.get_context("fork")
    for number in range(rounds):
        run = RunFolder(tmp_path / str(number))
        run.path.mkdir()
        files.write_json(run.claim_path, DEAD)
        victim = context.Process(target=_die_as_heir, args=(run,))
        victim.start()
        victim.join(60)
    barrier, wins = context.Barrier(racers), context.Queue()
    processes = [
        context.Process(target=_race, args=(tmp_path, barrier, wins, rounds)) for _ in range(racers)
    ]
    for process in processes:
        process.start()
    won = Counter(wins.get(timeout=60) for _ in range(rounds))
    for process in processes:
        process.join(60)
    assert wins.empty()
    assert won == Counter(range(rounds))
