"""The history that a run's files tell, whatever state they are in."""

import hashlib
import json

from conftest import EPOCHS, Write, add_epoch

from hw5hpc.store import State
from hw5hpc.tracking.history import History, read
from hw5hpc.tracking.memory import Memory


def steps(found: History) -> list[int]:
    return [row.step for row in found.rows]


def test_each_step_is_one_row_with_its_timing_and_picture(write: Write) -> None:
    found = read(write(2))
    assert steps(found) == [100, 200]
    assert found.rows[0].values == {
        "epoch": 1, "step": 100, "generator_loss": 1.0, "seconds": 2.5, "step_ms": 25.0,
    }  # fmt: skip
    assert [row.pictured for row in found.rows] == [1, 2]


def test_a_row_waits_for_its_timing_and_the_last_one_for_the_end(write: Write) -> None:
    run = write(1)
    run.add_metrics({"epoch": 2, "step": 200, "generator_loss": 0.5})
    assert (steps(read(run)), read(run).waiting) == ([100], 1)
    run.add_timing({"epoch": 2, "step": 200, "seconds": 5.0, "step_ms": 25.0})
    assert steps(read(run)) == [100, 200]
    run = write(EPOCHS)
    assert (steps(read(run)), read(run).waiting) == ([100, 200, 300], 1)
    run = write(EPOCHS, end=True)
    assert (steps(read(run)), read(run).state) == ([100, 200, 300, 400], State.FINISHED)


def test_rows_within_an_epoch_have_their_own_timing_but_no_picture(write: Write) -> None:
    run = write(1)
    run.add_metrics({"epoch": 1, "step": 150, "generator_loss": 0.7})
    assert steps(read(run)) == [100]
    run.add_timing({"epoch": 1, "step": 150, "seconds": 3.0, "step_ms": 20.0})
    found = read(run)
    assert steps(found) == [100, 150]
    assert found.rows[1].values["step_ms"] == 20.0
    assert [row.pictured for row in found.rows] == [1, None]


def test_what_was_pictured_before_training_is_step_zero(write: Write) -> None:
    run = write(1)
    run.add_array("filters", 0, run.arrays()["samples"][1])
    found = read(run)
    assert steps(found) == [0, 100]
    assert [row.pictured for row in found.rows] == [0, 1]


def test_a_torn_row_is_left_out(write: Write) -> None:
    run = write(2)
    with run.metrics_path.open("a") as file:
        file.write('{"epoch": 3, "st')
    assert steps(read(run)) == [100, 200]


def test_the_digest_knows_the_values_but_not_the_clock(write: Write) -> None:
    one, other = write(2, "aaaaaaaaaaaa"), write(1, "bbbbbbbbbbbb")
    other.add_metrics({"epoch": 2, "step": 200, "generator_loss": 0.5})
    other.add_timing({"epoch": 2, "step": 200, "seconds": 99.0, "step_ms": 1.0})
    assert read(one).digest(200) == read(other).digest(200)
    add_epoch(one, 3, loss=0.1)
    add_epoch(other, 3, loss=0.2)
    assert read(one).digest(200) == read(other).digest(200)
    assert read(one).digest(300) != read(other).digest(300)


def test_a_run_sent_before_its_loss_was_renamed_is_not_sent_again(write: Write) -> None:
    run = write(EPOCHS, end=True)
    sent = Memory("b-1").sent(read(run), 100 * EPOCHS, "")
    text = run.metrics_path.read_text()
    run.metrics_path.write_text(text.replace("generator_loss", "loss_generator"))
    assert read(run).rows[0].values["generator_loss"] == 1
    assert sent.settled(read(run))
    # This is what the version before the renaming wrote into wandb.json.
    rows = [json.loads(line) for line in run.metrics_path.read_text().splitlines()]
    lines = "".join(json.dumps(row, sort_keys=True) + "\n" for row in rows)
    assert sent.digest == hashlib.sha256(lines.encode()).hexdigest()


def test_a_cut_back_run_agrees_until_it_has_grown_into_something_else(write: Write) -> None:
    run = write(3)
    sent = Memory("b-1").sent(read(run), 300, "")
    assert sent.settled(read(run))
    size = run.metrics_size()
    lines = run.metrics_path.read_text().splitlines(keepends=True)
    run.cut_metrics(size - len(lines[-1]))
    assert sent.agrees(read(run))
    assert sent.sent(read(run), 300, "").step == 300
    add_epoch(run, 3)
    assert sent.settled(read(run))
    run.cut_metrics(size - len(lines[-1]))
    add_epoch(run, 3, loss=7.0)
    assert not sent.agrees(read(run))
    assert sent.anew().earlier == ("b-1",)


def test_what_only_the_server_has_is_believed_when_the_files_have_it_again(write: Write) -> None:
    """A job was killed after W&B had row 300; the files go back to row 200."""
    sent = Memory("b-1").sent(read(write(2)), 300, "")
    assert sent.step == 200
    assert sent.agrees(read(write(3)))
