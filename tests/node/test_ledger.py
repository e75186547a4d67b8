"""The ledger: who may write a run's status on a node, and what it says after each end."""

import ast
from pathlib import Path

import pytest

from hw5hpc.engine.distributed import Ranks
from hw5hpc.engine.loop import Outcome
from hw5hpc.node.ledger import ClaimLost, Ledger
from hw5hpc.node.retry import Budget
from hw5hpc.node.task import Task
from hw5hpc.store import Outputs, RunFolder, State, Status, claim, files

ROOT = Path(__file__).resolve().parents[2]
ALONE, FIRST, SECOND = Ranks(), Ranks(0, 2), Ranks(1, 2)
DONE = Outcome(State.FINISHED, metrics={"epoch": 4.0}, seconds=9.0)
RESULT = {"state": State.FINISHED, "metrics": {"loss": 1.0}}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    queued = Outputs(tmp_path).run("r")
    queued.set_status(Status(state=State.QUEUED))
    return queued


def opened(run: RunFolder, ranks: Ranks = ALONE, task: Task | None = None) -> Ledger:
    ledger = Ledger(run, task or Task("test", "7"), ranks)
    ledger.open()
    return ledger


def test_only_the_ledger_writes_a_status_on_a_node() -> None:
    writers = {"set_status", "set_last_status", "set_result"}
    floors = [ROOT / "hw5hpc" / name for name in ("node", "team", "engine", "experiments")]
    for path in [path for floor in floors for path in floor.rglob("*.py")]:
        tree = ast.parse(path.read_text())
        called = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert bool(called & writers) == (path.name == "ledger.py"), path


def test_a_run_from_its_claim_to_its_result(run: RunFolder) -> None:
    told: list[State] = []
    task = Task("test", "7", tell=lambda name, status: told.append(status.state))
    ledger = Ledger(run, task, ALONE)
    assert ledger.open() == (True, State.QUEUED)
    ledger.began(epochs=4)
    assert (run.status().job, run.status().epochs) == ("7", 4)
    ledger.progressed(3, {"loss": 2.0}, now=True)
    assert (run.status().epoch, run.status().metrics) == (3, {"loss": 2.0})
    assert ledger.ended(DONE, RESULT) is State.FINISHED
    ledger.close()
    assert run.result() is not None
    assert (run.status().state, run.status().seconds) == (State.FINISHED, 9.0)
    assert told == [State.RUNNING, State.RUNNING, State.FINISHED]
    assert not run.claim_path.exists()
    assert Ledger(run, task, ALONE).open() == (False, State.FINISHED)


def test_the_other_ranks_hold_a_silent_one(run: RunFolder) -> None:
    told: list[str] = []
    ledger = opened(run, SECOND, Task("test", tell=lambda name, status: told.append(name)))
    ledger.began(epochs=4)
    ledger.progressed(3, {}, now=True)
    ledger.crashed("boom", final=True)
    ledger.stopped(Outcome(State.INTERRUPTED, "stopped by a signal"))
    ledger.check()
    assert run.status() == Status(state=State.QUEUED)
    assert not told
    other = opened(run, SECOND)
    other.began(epochs=4)
    other.ended(DONE, RESULT)
    assert run.result() is None
    assert not run.claim_path.exists()


@pytest.mark.parametrize(("ranks", "state"), [(ALONE, State.RUNNING), (FIRST, State.INTERRUPTED)])
def test_several_ranks_wait_for_the_next_turn_after_a_crash(
    run: RunFolder, ranks: Ranks, state: State
) -> None:
    ledger = opened(run, ranks, Task("test", budget=Budget(crashes=1)))
    ledger.began(epochs=4)
    assert ledger.crashed("boom") is state
    assert (run.status().state, run.status().reason) == (state, "boom")
    assert ledger.crashed("boom") is State.FAILED
    assert run.status().reason == "boom (2 times in a row; max_crashes is 1)"


def test_a_closed_ledger_writes_nothing(run: RunFolder) -> None:
    """A rank found dead after a run's end is no crash of that run."""
    ledger = opened(run, FIRST)
    ledger.began(epochs=4)
    ledger.stopped(Outcome(State.INTERRUPTED, "stopped by a signal"))
    ledger.close()
    before = run.status()
    ledger.crashed("rank 1 ended without a word")
    assert run.status() == before


@pytest.mark.parametrize("last", ["check", "progressed", "ended"])
def test_nothing_is_written_once_the_claim_is_anothers(run: RunFolder, last: str) -> None:
    ledger = opened(run)
    ledger.began(epochs=4)
    files.write_json(run.claim_path, {"token": "another", "host": "h", "pid": 1})
    before = run.status()
    writers = {
        "check": lambda: ledger.check(),
        "progressed": lambda: ledger.progressed(1, {}, now=True),
        "ended": lambda: ledger.ended(DONE, RESULT),
    }
    with pytest.raises(ClaimLost):
        writers[last]()
    ledger.close()
    assert (run.status(), run.result()) == (before, None)
    assert files.read_json(run.claim_path)["token"] == "another"


def test_a_run_that_another_worker_holds_is_left_alone(run: RunFolder) -> None:
    theirs = claim(run, "8")
    assert theirs is not None
    assert Ledger(run, Task("test", "7"), ALONE).open() == (False, State.RUNNING)
    assert theirs.beat()
