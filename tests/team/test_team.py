"""Several processes of one task: how they meet, and what is left when one of them dies."""

import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from torch.distributed import HashStore

from hw5hpc.engine.distributed import Ranks
from hw5hpc.node.task import Task
from hw5hpc.node.worker import work
from hw5hpc.store import Outputs, RunFolder, State
from hw5hpc.team import rendezvous
from hw5hpc.team.assembly import torchrun_ranks
from hw5hpc.team.heartbeat import Heartbeat
from hw5hpc.team.rendezvous import Member, RendezvousError, join, meet_by_file

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("one_rank.py")


def run(folder: Path) -> RunFolder:
    (path,) = (folder / "runs").iterdir()
    return Outputs(folder).run(path.name)


def launch(folder: Path, how: str, victim: int, size: int = 3) -> list[tuple[int, str]]:
    """Return each rank's exit status and output; a frozen one is killed when the others ended."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    jobs = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), str(rank), str(size), str(folder), how, str(victim)],
            env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for rank in range(size)
    ]  # fmt: skip
    said = {}
    for rank in sorted(range(size), key=lambda rank: rank == victim):
        if rank == victim and how == "freeze":
            jobs[rank].send_signal(signal.SIGKILL)
        said[rank] = jobs[rank].communicate(timeout=300)[0]
    return [(jobs[rank].returncode, said[rank]) for rank in range(size)]


BAD_ENDS = [
    ("raise", 2, "rank 2 on localhost: ValueError: boom"),
    ("raise", 0, "rank 0 on localhost: ValueError: boom"),
    ("kill", 1, "rank 1 on localhost ended without a word"),
    ("kill", 0, "rank 0 on localhost ended without a word"),
    ("freeze", 1, "rank 1 on localhost ended without a word"),
]


@pytest.mark.parametrize(("how", "victim", "words"), BAD_ENDS)
def test_a_dying_rank_ends_the_others_with_its_error_first(
    tmp_path: Path, how: str, victim: int, words: str
) -> None:
    ended = launch(tmp_path, how, victim)
    assert all(status != 0 for status, _ in ended)
    for rank, (_, said) in enumerate(ended):
        if rank == victim and how != "raise":
            continue
        errors = [line for line in said.splitlines() if "rror" in line or "ended" in line]
        assert words in errors[0], said
    left = run(tmp_path)
    if victim != 0 or how == "raise":
        assert left.status().state is State.INTERRUPTED
        assert (left.status().crashes, words in left.status().reason) == (1, True)
    # What is left can be continued, here by one process alone.
    assert left.checkpoint.exists()
    assert work([left.path], Task("test")) == [State.FINISHED]
    assert [row["epoch"] for row in left.metrics()] == [1, 2, 3, 4]


@pytest.mark.parametrize("victim", [0, 1])
def test_what_one_rank_cannot_prepare_fails_the_run_on_all(tmp_path: Path, victim: int) -> None:
    """The task itself goes on, with its next run."""
    ended = launch(tmp_path, "unprepared", victim, size=2)
    assert [status for status, _ in ended] == [0, 0], ended
    assert all("'failed'" in said for _, said in ended)
    left = run(tmp_path).status()
    words = f"rank {victim}: weights.pt cannot be read here"
    assert (left.state, left.reason) == (State.FAILED, words)


@pytest.mark.parametrize("victim", [0, 1])
def test_ranks_that_cannot_connect_say_so_before_training(tmp_path: Path, victim: int) -> None:
    ended = launch(tmp_path, "unreachable", victim, size=3)
    assert all(status != 0 for status, _ in ended)
    for rank, (_, said) in enumerate(ended):
        (line,) = [line for line in said.splitlines() if "RendezvousTimeout:" in line]
        assert f"rank {rank} on localhost cannot connect to the others" in line
    assert not (tmp_path / "runs").exists()


def test_a_rank_that_was_stopped_for_a_while_does_not_take_itself_for_dead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its own last sign of life is as old as the stop; the others have shown theirs since."""
    monkeypatch.setattr("hw5hpc.team.heartbeat.SILENT_AFTER_ERROR", 0.5)
    store, everyone = HashStore(), [Member(0, 2, "a"), Member(1, 2, "b")]
    for rank in range(2):
        store.set(f"beat/{rank}", "1")
    heartbeat = Heartbeat(store, everyone, 0)
    over = threading.Event()

    def live() -> None:
        for number in itertools.count(2):
            store.set("beat/1", str(number))
            if over.wait(0.1):
                return

    other = threading.Thread(target=live)
    other.start()
    said = heartbeat.verdict(RuntimeError("connection reset"), "RuntimeError: connection reset")
    over.set()
    other.join()
    assert said == "rank 0 on a: RuntimeError: connection reset"


def test_no_rank_leaves_before_the_last_one(tmp_path: Path) -> None:
    """The first one's store would go with it, and the others take it for dead."""
    ended = launch(tmp_path, "linger", victim=1, size=2)
    assert [status for status, _ in ended] == [0, 0], ended


def test_only_the_first_rank_writes(tmp_path: Path) -> None:
    ended = launch(tmp_path, "nothing", -1, size=2)
    assert [status for status, _ in ended] == [0, 0], ended
    done = run(tmp_path)
    assert done.provenance()["ranks"] == 2
    assert len(done.metrics()) == 4
    assert len(done.timing()) == 4
    assert done.status().state is State.FINISHED
    assert not list(done.path.glob("*.tmp"))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendezvous, "JOIN_SECONDS", 2.0)
    monkeypatch.setattr(rendezvous, "RESOLVE_SECONDS", 1.0)


def both(first: Member, second: Member, path: Path) -> list[str]:
    """Let two processes (here threads) meet and join; return their errors."""
    errors = ["", ""]

    def one(index: int, member: Member) -> None:
        try:
            join(meet_by_file(member, path), member)
        except RendezvousError as error:
            errors[index] = str(error)

    threads = [threading.Thread(target=one, args=pair) for pair in enumerate((first, second))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (Member(0, 2, "localhost"), Member(1, 2, "localhost"), ""),
        (Member(0, 2, "localhost"), Member(1, 3, "localhost"), "wrong world size"),
        (Member(0, 3, "localhost"), Member(1, 3, "localhost"), "2 of 3 processes came"),
        (Member(0, 2, "localhost", "a"), Member(1, 2, "localhost"), "trains on"),
        (Member(0, 2, "localhost", "a"), Member(1, 2, "localhost", "a"), "would share the GPU a"),
    ],
)
def test_what_does_not_fit_is_said_on_every_rank(
    tmp_path: Path, first: Member, second: Member, words: str
) -> None:
    for error in both(first, second, tmp_path / "address.json"):
        assert (words in error) if words else not error
        assert len(error.splitlines()) <= 1


@pytest.mark.usefixtures("impatient")
def test_a_host_that_cannot_be_resolved_is_named_in_time(tmp_path: Path) -> None:
    path = tmp_path / "address.json"
    path.write_text('{"host": "no-such-host.invalid", "port": 1}')
    began = time.monotonic()
    with pytest.raises(RendezvousError, match=r"rank 1 on n2 cannot resolve .*no-such-host"):
        meet_by_file(Member(1, 2, "n2"), path)
    with pytest.raises(RendezvousError, match=r"rank 0 on no-such-host.invalid cannot resolve"):
        meet_by_file(Member(0, 2, "no-such-host.invalid"), path)
    assert time.monotonic() - began < 60


def test_the_waits_of_a_rendezvous_stay_below_a_minute() -> None:
    assert rendezvous.JOIN_SECONDS + rendezvous.RESOLVE_SECONDS < 60


@pytest.mark.usefixtures("impatient")
def test_an_address_that_does_not_come_is_said_with_its_file(tmp_path: Path) -> None:
    with pytest.raises(RendezvousError, match=r"rank 0 did not write .*address.json"):
        meet_by_file(Member(1, 2, "n2"), tmp_path / "address.json")


def test_tasks_on_one_node_have_ports_of_their_own(tmp_path: Path) -> None:
    host = socket.gethostname()
    stores = [meet_by_file(Member(0, 2, host), tmp_path / f"{task}.json") for task in range(20)]
    assert len({store.port for store in stores}) == 20  # type: ignore[attr-defined]


TORCHRUN = {
    "RANK": "1",
    "LOCAL_RANK": "1",
    "WORLD_SIZE": "2",
    "MASTER_ADDR": "x",
    "MASTER_PORT": "1",
}


def test_torchruns_variables() -> None:
    assert torchrun_ranks({}) == Ranks()
    assert torchrun_ranks({"RANK": "1", "WORLD_SIZE": "2"}) == Ranks()
    assert torchrun_ranks(TORCHRUN) == Ranks(1, 2, 1)
    with pytest.raises(RendezvousError, match="RANK is 2"):
        torchrun_ranks({**TORCHRUN, "RANK": "2"})
    with pytest.raises(RendezvousError, match="invalid literal"):
        torchrun_ranks({**TORCHRUN, "WORLD_SIZE": "two"})
