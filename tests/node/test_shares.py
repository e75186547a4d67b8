"""How many runs train at a time, and with what: from cores, memory and GPUs."""

import os
import stat
from pathlib import Path

import pytest

from hw5hpc.node import mps, processes, shares
from hw5hpc.node.fork_server import ForkServer
from hw5hpc.node.processes import Processes, ahead
from hw5hpc.node.shares import Need, Place, here, measured
from hw5hpc.store import Outputs


@pytest.mark.parametrize(
    ("place", "runs", "abreast", "threads"),
    [
        (Place(32, 99), 68, 32, 1),
        (Place(32, 99), 4, 4, 8),
        (Place(32, 99, threads=4), 68, 8, 4),
        (Place(2, 99, threads=4), 68, 1, 4),
        (Place(32, 8.5), 68, 8, 1),
        (Place(32, 9, need=Need(memory_gb=3)), 68, 3, 1),
        (Place(1, 0.5), 68, 1, 1),
        (Place(8, 99, (80.0,)), 68, 16, 1),
        (Place(8, 99, (80.0, 80.0)), 68, 32, 1),
        (Place(8, 99, (80.0,), need=Need(gpu_memory_gb=30)), 68, 2, 1),
        (Place(8, 99, (1.0,)), 68, 1, 1),
        (Place(8, 99, (80.0, 80.0), exclusive=True), 68, 2, 1),
    ],
)
def test_runs_share_what_there_is(place: Place, runs: int, abreast: int, threads: int) -> None:
    assert (place.abreast(runs), place.threads_each(runs)) == (abreast, threads)


def test_threads_are_shared_out_among_as_many_runs_as_are_asked_for() -> None:
    assert Place(32, 99).threads_each(68, 4) == 8
    assert Place(32, 99).threads_each(2, 4) == 16


def test_runs_that_share_a_gpu_share_its_hours() -> None:
    assert Place(8, 99).gpu_share(8) == 1
    assert Place(8, 99, (80.0,)).gpu_share(8) == 1 / 8
    assert Place(8, 99, (80.0, 80.0)).gpu_share(8) == 1 / 4
    assert Place(8, 99, (80.0, 80.0)).gpu_share(1) == 1


def test_a_task_has_what_slurm_gave_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "7")
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "4096")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert here() == Place(7, 4.0)


def test_two_threads_of_a_core_are_one_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch
                                            ) -> None:  # fmt: skip
    for cpu, siblings in enumerate(["0,2", "1,3", "0,2", "1,3"]):
        folder = tmp_path / f"cpu{cpu}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(siblings)
    monkeypatch.setattr(shares, "CPU_FOLDER", tmp_path)
    assert [shares._cores(cpus) for cpus in ({0, 1, 2, 3}, {0, 2}, {0, 9})] == [2, 1, 2]


def test_earlier_runs_say_how_much_memory_one_needs(tmp_path: Path) -> None:
    runs = [Outputs(tmp_path).run(name) for name in "abcd"]
    assert measured(runs) == Need()
    for run, words in zip(runs, [{}, {"memory_gb": 2.0}, {"memory_gb": 3.0}], strict=False):
        run.path.mkdir(parents=True)
        run.set_result({"state": "finished", "metrics": {}, **words})
    assert measured(runs) == Need(memory_gb=3.0)


CONTROL = """#!/bin/sh
echo "$@ $(cat)" >> {folder}/told
[ -e {folder}/refuses ] && echo "an old driver" && exit 1
exit 0
"""


@pytest.fixture
def control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for NVIDIA's daemon that notes what it is told."""
    file = tmp_path / mps.CONTROL
    file.write_text(CONTROL.format(folder=tmp_path))
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(mps, "USUAL_PIPE", str(tmp_path / "nowhere"))
    monkeypatch.setenv(mps.VISIBLE, "1")
    monkeypatch.delenv(mps.PIPE, raising=False)
    return tmp_path


def test_mps_lives_as_long_as_the_runs(control: Path) -> None:
    with mps.shared() as words:
        assert words == "with NVIDIA MPS, started for these runs"
        folder = Path(os.environ[mps.PIPE])
        assert folder.is_dir()
        assert mps.VISIBLE not in os.environ
    assert (control / "told").read_text() == "-d \n quit\n"
    assert os.environ[mps.VISIBLE] == "1"
    assert mps.PIPE not in os.environ
    assert not folder.exists()


def test_an_mps_that_does_not_start_is_done_without(control: Path) -> None:
    (control / "refuses").touch()
    with mps.shared() as words:
        assert words == "without NVIDIA MPS (an old driver)"
        assert os.environ[mps.VISIBLE] == "1"
        assert mps.PIPE not in os.environ


def test_the_mps_of_a_site_is_used_and_left_alone(
    control: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (control / "control").touch()
    monkeypatch.setenv(mps.PIPE, str(control))
    with mps.shared() as words:
        assert words == "with the NVIDIA MPS that runs here"
    assert not (control / "told").exists()


def test_an_mps_that_ended_several_runs_is_done_without(
    control: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (control / "control").touch()
    monkeypatch.setenv(mps.PIPE, str(control))
    monkeypatch.setattr(processes, "may_have_gpu", lambda: True)
    monkeypatch.setattr(ForkServer, "free_gpu_memory_gb", lambda server: (80.0,))
    with Processes() as used:
        first = used.server.pid
        used.place(Need())
        assert used.leave_mps is not None
        assert used.leave_mps(7) == 7
        assert not list(Path(os.environ[mps.PIPE]).iterdir())
        assert used.server.pid != first
        assert used.sharing.startswith("without NVIDIA MPS (it ended several runs")
        assert used.leave_mps is None
    assert os.environ[mps.PIPE] == str(control)


def test_a_server_that_was_begun_ahead_is_taken_over_and_ended_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processes, "may_have_gpu", lambda: False)
    with ahead(True) as server:
        assert server is not None
        with Processes(False, server) as used:
            assert used.server is server
        with pytest.raises(ProcessLookupError):
            os.kill(server.pid, 0)
        # What now has the numbers of its pipes is not the server's to close.
        ends = os.pipe()
    assert all(os.fstat(end) for end in ends)
    for end in ends:
        os.close(end)


def test_no_server_is_begun_before_mps_or_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "may_have_gpu", lambda: True)
    with ahead(True) as server:
        assert server is None
    monkeypatch.setattr(processes, "may_have_gpu", lambda: False)
    with ahead(False) as server:
        assert server is None


def test_without_mps_the_reason_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(mps, "USUAL_PIPE", str(tmp_path))
    with mps.shared() as words:
        assert words == "without NVIDIA MPS (nvidia-cuda-mps-control is not here)"
