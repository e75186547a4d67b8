"""The run store: atomic files, states, claims, and what a crash leaves behind."""

import multiprocessing
import os
import signal
import socket
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw5hpc.store import (
    Life,
    Outputs,
    RunFolder,
    State,
    Status,
    StoreError,
    claim,
    files,
    holder,
    life,
    tidy,
)
from hw5hpc.store.state import NEXT


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = Outputs(tmp_path).run("abc")
    folder.create("gan", {"seed": 0})
    return folder


def test_config_comes_back(run: RunFolder) -> None:
    assert run.config() == ("gan", {"seed": 0})


def test_a_run_sent_again_takes_the_newest_word(run: RunFolder) -> None:
    """Where the data lie is no part of the id, and they may have been moved."""
    for config in (
        {"data.root": "/old", "optim.lr": 1e-4},
        {"data.root": "/new", "optim.lr": 1e-4},
    ):
        run.create("gan", config)
        assert run.config() == ("gan", config)


def test_config_of_another_format_is_named(run: RunFolder) -> None:
    path = run.path / "config.yaml"
    path.write_text(path.read_text().replace("format: 1", "format: 99"))
    run.create("gan", {"seed": 0})
    with pytest.raises(StoreError, match="format version 99"):
        run.config()


@pytest.mark.parametrize("text", ["", "[", "just words", "format: 1"])
def test_a_damaged_config_is_one_line(run: RunFolder, text: str) -> None:
    (run.path / "config.yaml").write_text(text)
    with pytest.raises(StoreError, match="missing or damaged"):
        run.config()


def test_status_comes_back(run: RunFolder) -> None:
    assert run.status() == Status()
    status = Status().to(State.RUNNING, epoch=3, metrics={"loss": 0.5})
    run.set_status(status)
    assert run.status() == status


def test_the_result_outranks_a_status_left_by_a_crash(run: RunFolder) -> None:
    run.set_status(Status().to(State.RUNNING))
    run.set_result({"state": "finished", "metrics": {}})
    assert run.status().state is State.FINISHED


@given(cut=st.integers(min_value=0, max_value=200))
def test_a_status_cut_off_anywhere_is_readable(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    run = Outputs(tmp_path_factory.mktemp("cut")).run("abc")
    run.create("gan", {})
    run.set_status(Status().to(State.RUNNING))
    path = run.path / "status.json"
    path.write_bytes(path.read_bytes()[:cut])
    assert run.status().state in (State.NEW, State.RUNNING)


@given(rows=st.lists(st.integers(), min_size=1, max_size=5), cut=st.integers(0, 100))
def test_torn_rows_are_dropped_and_later_rows_kept(
    tmp_path_factory: pytest.TempPathFactory, rows: list[int], cut: int
) -> None:
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    for row in rows:
        files.append_json_line(path, {"value": row})
    content = path.read_bytes()
    path.write_bytes(content[: max(len(content) - cut, 0)])
    whole = len(files.read_json_lines(path))
    files.append_json_line(path, {"value": "last"})
    after = files.read_json_lines(path)
    assert [row["value"] for row in after[:whole]] == rows[:whole]
    assert after[-1] == {"value": "last"}
    assert len(after) == whole + 1


def test_metrics_are_cut_to_what_a_checkpoint_remembers(run: RunFolder) -> None:
    run.add_metrics({"epoch": 1})
    size = run.metrics_size()
    run.add_metrics({"epoch": 2})
    run.cut_metrics(size)
    assert run.metrics() == [{"epoch": 1}]


def test_arrays_come_back_and_damaged_ones_are_left_out(run: RunFolder) -> None:
    run.add_array("samples", 1, np.arange(4))
    run.add_array("samples", 2, np.arange(5))
    (run.artifacts / "samples.00002.npy").write_bytes(b"torn")
    arrays = run.arrays()
    assert list(arrays["samples"]) == [1]
    assert arrays["samples"][1].tolist() == [0, 1, 2, 3]


def test_arrays_of_a_run_that_has_ended_are_one_file_and_the_same(run: RunFolder) -> None:
    for epoch in (0, 1, 12):
        run.add_array("samples", epoch, np.arange(epoch + 3, dtype=np.uint8))
    run.add_array("real.histogram", 12, np.ones((2, 2)))
    before = run.arrays()
    run.set_result({"state": "finished", "metrics": {}})
    assert [path.name for path in run.artifacts.iterdir()] == ["arrays.npz"]
    after = run.arrays()
    assert {name: list(kept) for name, kept in after.items()} == {
        "real.histogram": [12],
        "samples": [0, 1, 12],
    }
    for name, kept in before.items():
        for epoch, array in kept.items():
            assert after[name][epoch].dtype == array.dtype
            assert np.array_equal(after[name][epoch], array)
    assert (run.has_array_of(0), run.has_array_of(2)) == (True, False)
    assert list(run.result()["files"]) == ["artifacts/arrays.npz"]
    run.drop_arrays()
    assert (run.arrays(), run.has_array_of(0)) == ({}, False)


def test_packing_that_a_crash_cut_short_is_completed(run: RunFolder) -> None:
    for epoch in range(3):
        run.add_array("samples", epoch, np.arange(epoch + 3))
    run.set_result({"state": "finished", "metrics": {}})
    whole = (run.artifacts / "arrays.npz").read_bytes()
    # As after a crash that left some of them beside the pack, and an end that came again.
    for epoch in (1, 2):
        run.add_array("samples", epoch, np.arange(epoch + 3))
    assert list(run.arrays()["samples"]) == [0, 1, 2]
    run.set_result({"state": "finished", "metrics": {}})
    assert (run.artifacts / "arrays.npz").read_bytes() == whole
    run.add_array("samples", 2, np.arange(5))
    run.set_result({"state": "finished", "metrics": {}})
    assert (run.artifacts / "arrays.npz").read_bytes() == whole
    assert len(list(run.artifacts.iterdir())) == 1


def test_what_cannot_be_read_is_not_packed_over(run: RunFolder) -> None:
    for epoch in range(2):
        run.add_array("samples", epoch, np.arange(3))
    (run.artifacts / "arrays.npz").write_bytes(b"torn")
    run.set_result({"state": "finished", "metrics": {}})
    assert list(run.arrays()["samples"]) == [0, 1]
    assert (run.artifacts / "arrays.npz").read_bytes() == b"torn"


def test_a_pipe_in_the_place_of_arrays_holds_nobody_up(run: RunFolder) -> None:
    run.add_array("samples", 1, np.arange(3))
    os.mkfifo(run.artifacts / "arrays.npz")
    assert list(run.arrays()["samples"]) == [1]
    assert not run.has_array_of(0)


def test_with_a_damaged_array_all_stay_as_they_are(run: RunFolder) -> None:
    for epoch in range(3):
        run.add_array("samples", epoch, np.arange(epoch + 3))
    (run.artifacts / "samples.00002.npy").write_bytes(b"torn")
    run.set_result({"state": "finished", "metrics": {}})
    assert list(run.arrays()["samples"]) == [0, 1]
    assert (run.artifacts / "samples.00002.npy").exists()


def test_a_write_that_fails_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    files.write_text(path, "old")

    def fail(file: object) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        files.write_atomic(path, fail)
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


def test_every_state_has_its_successors() -> None:
    assert set(NEXT) == set(State)
    for state in (State.FINISHED, State.DIVERGED):
        assert state.done
        with pytest.raises(ValueError, match="cannot become"):
            Status(state=state).to(State.RUNNING)


def test_one_claim_at_a_time(run: RunFolder) -> None:
    mine = claim(run)
    assert mine is not None
    assert mine.beat()
    assert claim(run) is None
    assert holder(run) is not None
    mine.release()
    assert holder(run) is None
    assert claim(run) is not None


def _claim_and_wait(path: Path) -> None:
    claim(RunFolder(path))
    time.sleep(600)


def test_a_killed_holder_keeps_nothing(run: RunFolder) -> None:
    process = multiprocessing.get_context("fork").Process(target=_claim_and_wait, args=(run.path,))
    process.start()
    while not run.claim_path.exists():
        time.sleep(0.01)
    assert claim(run) is None
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert claim(run) is not None


def _race(
    path: Path, start: "multiprocessing.synchronize.Event", wins: "multiprocessing.Queue[int]"
) -> None:
    start.wait()
    if claim(RunFolder(path)) is not None:
        wins.put(os.getpid())
    time.sleep(1.0)


def test_of_many_claimers_one_wins(run: RunFolder) -> None:
    context = multiprocessing.get_context("fork")
    start, wins = context.Event(), context.Queue()
    racers = [context.Process(target=_race, args=(run.path, start, wins)) for _ in range(12)]
    for racer in racers:
        racer.start()
    start.set()
    for racer in racers:
        racer.join()
    assert wins.get(timeout=5)
    assert wins.empty()


def test_a_requeued_job_takes_its_own_claim_back(run: RunFolder) -> None:
    record = {"token": "x", "host": "elsewhere", "pid": 1, "job": "7_1", "started": "1"}
    files.write_json(run.claim_path, record)
    assert claim(run, job="7_2") is None
    assert claim(run, job="7_1") is not None


def test_a_claim_on_another_host_goes_stale_or_is_known_gone(run: RunFolder) -> None:
    record = {"token": "x", "host": "elsewhere", "pid": 1, "job": "7", "started": "1"}
    files.write_json(run.claim_path, record)
    assert claim(run, gone=lambda job: False) is None
    assert claim(run, gone=lambda job: job == "7") is not None
    files.write_json(run.claim_path, record)
    os.utime(run.claim_path, (0, 0))
    assert claim(run) is not None


def test_a_holder_that_lost_its_claim_notices(run: RunFolder) -> None:
    mine = claim(run)
    assert mine is not None
    files.write_json(run.claim_path, {"token": "other", "host": "h", "pid": 1, "job": ""})
    assert not mine.beat()
    mine.release()
    assert run.claim_path.exists()


def test_an_unwritable_output_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        Outputs(tmp_path / "file" / "below").check_writable()


def test_putting_a_run_aside_deletes_nothing(tmp_path: Path, run: RunFolder) -> None:
    run.set_result({"state": "finished", "metrics": {"a": 1}})
    Outputs(tmp_path).put_aside("abc")
    (aside,) = (tmp_path / "runs" / "replaced").iterdir()
    assert RunFolder(aside).result() is not None
    assert not run.path.exists()


def test_a_claim_without_a_start_time_dies_with_its_process(run: RunFolder) -> None:
    ended = multiprocessing.get_context("fork").Process(target=time.sleep, args=(0,))
    ended.start()
    ended.join()
    record = {
        "token": "x",
        "host": socket.gethostname(),
        "pid": ended.pid,
        "job": "",
        "started": "",
    }
    files.write_json(run.claim_path, record)
    assert claim(run) is not None


def test_a_claim_without_a_start_time_is_as_old_as_its_heartbeat(run: RunFolder) -> None:
    """The number may have gone to another process since."""
    record = {"token": "x", "host": socket.gethostname(), "pid": 1, "job": "", "started": ""}
    files.write_json(run.claim_path, record)
    assert claim(run) is None
    os.utime(run.claim_path, (0, 0))
    assert claim(run) is not None


def test_a_claim_from_the_future_dies_like_others(run: RunFolder) -> None:
    record = {"token": "x", "host": "elsewhere", "pid": 1, "job": "7", "started": "1"}
    files.write_json(run.claim_path, record)
    ahead = time.time() + 86400
    os.utime(run.claim_path, (ahead, ahead))
    assert holder(run) is None
    assert claim(run) is not None


@pytest.mark.parametrize(
    ("job", "alive", "expected"),
    [
        ("7", True, Life.WAITING),
        ("7", None, Life.UNKNOWN),
        ("7", False, Life.GONE),
        ("", True, Life.GONE),
    ],
)
def test_without_a_holder_the_job_decides(
    run: RunFolder, job: str, alive: bool | None, expected: Life
) -> None:
    if job:
        run.set_job(job)
    assert life(run, lambda other: alive) is expected


@pytest.mark.parametrize("alive", [True, False, None])
def test_plan_status_and_worker_give_one_answer(run: RunFolder, alive: bool | None) -> None:
    """A young claim of another host: only its job's end says that it is dead."""
    record = {"token": "x", "host": "elsewhere", "pid": 1, "job": "7", "started": "1"}
    files.write_json(run.claim_path, record)
    held = life(run, lambda job: alive) is Life.HELD
    assert held == (alive is not False)
    assert (claim(run, "8", gone=lambda job: alive is False) is None) == held


def test_nothing_of_its_work_stays_behind_in_a_finished_run(run: RunFolder) -> None:
    mine = claim(run)
    assert mine is not None
    run.reserve_room()
    run.set_result({"state": "finished", "metrics": {}})
    for name in ("checkpoint.pt", ".status.json.1.aa.tmp", "artifacts/.samples.npy.1.aa.tmp"):
        (run.path / name).write_text("left by a killed worker")
    (run.path / ".claim.aa.heir").write_text("{}")
    mine.release()
    left = {str(path.relative_to(run.path)) for path in run.path.rglob("*")}
    assert left == {"config.yaml", "result.json", "artifacts"}


def test_what_a_living_worker_of_a_finished_run_needs_is_kept(run: RunFolder) -> None:
    assert claim(run) is not None
    run.set_result({"state": "finished", "metrics": {}})
    tidy(run)
    assert run.claim_path.exists()


def test_a_run_is_queued_once_its_job_is_known(run: RunFolder) -> None:
    run.set_job("7_0")
    assert run.status().state is State.QUEUED
    run.set_status(run.status().to(State.RUNNING))
    run.set_job("7_0")
    assert run.status().state is State.RUNNING


@pytest.mark.parametrize("job", [{"a": 1}, "7; rm", "9" * 1000, "../7", "7\x00", None, 7])
def test_a_job_without_sense_is_none(run: RunFolder, job: object) -> None:
    files.write_json(run.path / "job.json", {"job": job})
    assert run.job() == ""


def test_a_file_system_is_synced_with_what_many_writes_left_open(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path)
    for number in range(3):
        outputs.run(f"run{number}").register("gan", {"seed": number})
    outputs.sync()
    assert outputs.run("run2").config() == ("gan", {"seed": 2})
    assert sum(1 for _ in (tmp_path / "runs").rglob("*")) == 6


def test_a_damaged_config_is_written_anew_by_the_next_submission(run: RunFolder) -> None:
    (run.path / "config.yaml").write_text("[")
    run.register("gan", {"seed": 0})
    assert run.config() == ("gan", {"seed": 0})


def test_arrays_are_read_when_they_are_looked_at(run: RunFolder) -> None:
    run.add_array("samples", 1, np.arange(4))
    run.add_array("filters", 1, np.arange(4))
    arrays = run.arrays(without=["artifacts/filters.00001.npy"])
    run.add_array("samples", 1, np.arange(6))
    assert list(arrays) == ["samples"]
    assert arrays["samples"][1].tolist() == [0, 1, 2, 3, 4, 5]
