"""The log of one point: a job's output, wherever it was sent from, or the run's own rows."""

import threading
import time
from pathlib import Path

import pytest

from hw5hpc.cluster import logs
from hw5hpc.cluster import plan as planning
from hw5hpc.experiments import SCHEMAS
from hw5hpc.node.progress import line
from hw5hpc.store import Outputs, State, Status, claim
from hw5hpc.sweep import load


@pytest.fixture
def source(tmp_path: Path) -> logs.Source:
    path = tmp_path / "test.yaml"
    path.write_text("experiment: ring\ngrid: {seed: [0]}\n")
    sweep, outputs = load(path, SCHEMAS), Outputs(tmp_path / "out")
    for name in ("test", "other"):
        named = load(path, SCHEMAS, name=name)
        planning.register(planning.make(named, outputs, "code"), outputs)
    run = outputs.run(sweep.points[0].id)
    return logs.Source(outputs, outputs.sweep("test"), run, None)


def test_a_row_is_told_with_its_losses_the_headline_and_the_speed() -> None:
    row = {"epoch": 3, "step": 1200, "generator_loss": 0.71132, "kl": 2.0, "classes_covered": 9}
    told = line(row, 50, "classes_covered", {"step_ms": 12.34, "seconds": 41.2})
    assert told == (
        "epoch 3/50 step 1200: generator_loss 0.7113, classes_covered 9 (12.3 ms a step, 41 s)"
    )


def test_a_point_without_a_job_is_told_from_its_own_rows(source: logs.Source) -> None:
    source.run.set_status(Status().to(State.RUNNING, epochs=8))
    source.run.add_metrics({"epoch": 1, "step": 5, "generator_loss": 1.0, "modes_covered": 2})
    source.run.add_timing({"epoch": 1, "step": 5, "seconds": 3.0, "step_ms": 2.0})
    head, told = logs.show(source)
    assert "its rows in" in head
    assert told == "epoch 1/8 step 5: generator_loss 1, modes_covered 2 (2 ms a step, 3 s)"


def test_the_log_of_a_job_that_another_sweep_sent_is_found(source: logs.Source) -> None:
    source.run.set_job("7_0")
    log = source.outputs.sweep("other").log_of("7_0")
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("one\ntwo\nthree\n")
    head, *lines = logs.show(source, last=2)
    assert str(log) in head
    assert lines == ["two", "three"]


def test_following_shows_what_comes_and_ends_with_the_run(source: logs.Source) -> None:
    source.run.set_job("7_0")
    log = source.sweep.log_of("7_0")
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("first\n")
    held = claim(source.run, "7_0")
    assert held is not None
    source.run.set_status(Status().to(State.RUNNING, job="7_0"))
    shown: list[str] = []

    def follow() -> None:
        shown.extend(logs.show(source, follow=True))

    thread = threading.Thread(target=follow)
    thread.start()
    while "first" not in shown:
        assert thread.is_alive()
        time.sleep(0.05)
    with log.open("a") as file:
        file.write("second\n")
    source.run.set_result({"state": "finished", "metrics": {}})
    thread.join(60)
    assert not thread.is_alive()
    assert [line for line in shown if not line.startswith("---")] == ["first", "second"]
    assert any("is finished" in line for line in shown)
