"""A crash at any write leaves a readable state: every system call that writes may be the last."""

import contextlib
import json
import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hw5hpc.store import Outputs, RunFolder, State, Status, StoreError, files


class Crash(BaseException):
    """Stands for the process's death: no handler of the store may see it."""


def write_a_life(run: RunFolder) -> None:
    """All that a worker writes, in its order."""
    run.create("ring", {"seed": 0})
    status = Status().to(State.QUEUED)
    run.set_status(status)
    run.set_job("7_1")
    run.reserve_room()
    for epoch in (1, 2):
        status = status.to(State.RUNNING, epoch=epoch, metrics={"loss": math.nan})
        run.set_status(status)
        run.add_array("samples", epoch, np.arange(epoch))
        run.add_metrics({"epoch": epoch, "loss": 0.5 * epoch})
        run.add_timing({"epoch": epoch, "seconds": 1.0})
    run.set_result({"state": "finished", "metrics": {"loss": 1.0}})
    run.set_status(status.to(State.FINISHED))


CALLS = ["fsync", "replace", "open"]


def crash_at(patch: pytest.MonkeyPatch, call: str, count: int, partly: float) -> None:
    """Die at the count-th call of one kind; an fsync may find its file written in part."""
    left = [count]

    def dying(real: Callable[..., object]) -> Callable[..., object]:
        def replaced(*arguments: object, **options: object) -> object:
            left[0] -= 1
            if left[0] == 0:
                if call == "fsync":
                    _cut(arguments[0], partly)
                raise Crash
            return real(*arguments, **options)

        return replaced

    owner: object = Path if call == "replace" else os
    patch.setattr(owner, call, dying(getattr(owner, call)))


def _cut(descriptor: object, partly: float) -> None:
    path = Path(f"/proc/self/fd/{descriptor}").resolve()
    if path.is_file():
        os.truncate(path, int(path.stat().st_size * partly))


@settings(deadline=None, max_examples=80, suppress_health_check=list(HealthCheck))
@given(call=st.sampled_from(CALLS), count=st.integers(1, 40), partly=st.floats(0, 1))
def test_a_crash_at_any_write_leaves_a_readable_state(
    tmp_path_factory: pytest.TempPathFactory, call: str, count: int, partly: float
) -> None:
    run = Outputs(tmp_path_factory.mktemp("crash")).run("abc")
    with pytest.MonkeyPatch.context() as patch:
        crash_at(patch, call, count, partly)
        with contextlib.suppress(Crash):
            write_a_life(run)
    state = run.status().state
    assert state in set(State) - {State.FAILED, State.LOST}
    assert (state is State.FINISHED) == (run.result() is not None)
    rows = run.metrics()
    assert rows == [{"epoch": e, "loss": 0.5 * e} for e in range(1, len(rows) + 1)]
    assert all(array.tolist() == list(range(e)) for e, array in
               run.arrays().get("samples", {}).items())  # fmt: skip
    run.create("ring", {"seed": 0})
    assert run.config() == ("ring", {"seed": 0})


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = Outputs(tmp_path).run("abc")
    folder.create("ring", {})
    return folder


def test_a_result_that_is_gone_makes_a_finished_run_eligible(run: RunFolder) -> None:
    run.set_result({"state": "finished", "metrics": {}})
    run.set_status(Status().to(State.RUNNING).to(State.FINISHED))
    (run.path / "result.json").write_text('{"state": "finis')
    status = run.status()
    assert status.state is State.LOST
    assert "result.json is missing or damaged" in status.reason
    assert status.to(State.QUEUED).state is State.QUEUED


@pytest.mark.parametrize("state", ["running", "nonsense", 3, None])
def test_a_result_with_an_impossible_state_is_damage(run: RunFolder, state: object) -> None:
    run.set_result({"state": state, "metrics": {}})
    assert run.result() is None


def test_a_result_of_another_format_is_named_and_kept(run: RunFolder) -> None:
    run.set_status(Status().to(State.RUNNING).to(State.FINISHED))
    files.write_json(run.path / "result.json", {"format": 0, "state": "finished", "metrics": {}})
    with pytest.raises(StoreError, match="format version 0"):
        run.result()
    assert run.status().state is State.FINISHED
    assert "format version 0" in run.status().reason


def test_numbers_that_are_none_stay_strict_json(run: RunFolder) -> None:
    row = {"epoch": 1, "loss": math.nan, "top": math.inf, "low": -math.inf}
    run.add_metrics(row)

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    json.loads(run.metrics_path.read_text(), parse_constant=refuse)
    (back,) = run.metrics()
    assert math.isnan(back.pop("loss"))
    assert back == {"epoch": 1, "top": math.inf, "low": -math.inf}


def test_rows_of_before_with_bare_nan_are_read(run: RunFolder) -> None:
    run.metrics_path.write_text('{"epoch": 1, "loss": NaN}\n')
    assert math.isnan(run.metrics()[0]["loss"])


def test_what_a_killed_worker_left_half_written_goes(run: RunFolder) -> None:
    (run.path / ".checkpoint.1.aa.tmp").write_text("half")
    (run.artifacts / ".samples.00001.npy.1.aa.tmp").write_text("half")
    (run.path / ".job.json.1.aa.tmp").write_text("a submitter may be at it just now")
    run.drop_leftovers()
    left = [path.name for path in run.path.rglob(".*.tmp")]
    assert left == [".job.json.1.aa.tmp"]
