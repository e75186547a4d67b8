"""Runs sent from their files: every step once, whatever came in between."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import EPOCHS, KEY, ROOT, SWEEP, Write, add_epoch, forget_wandb, kill_all
from wandb_server import Run, WandbServer

from hw5hpc.report.aggregate import aggregate
from hw5hpc.store import Outputs, RunFolder, State, SweepFolder
from hw5hpc.store.files import read_json
from hw5hpc.tracking.mirror import Sent, export, send
from hw5hpc.tracking.session import place
from hw5hpc.tracking.words import Words

ALL = [100 * epoch for epoch in range(1, EPOCHS + 1)]


def sync(run: RunFolder, sweep: SweepFolder) -> Sent:
    return send(run, sweep, Words(), place(Words()))


def the_run(server: WandbServer) -> Run:
    (found,) = server.runs.values()
    return found


def check(run: Run, local: RunFolder, steps: list[int]) -> None:
    """Every step once, as the files have it, and every picture of every row."""
    assert [row["step"] for row in run.arrived] == steps, "no row was lost, none sent twice"
    assert [row["_step"] for row in run.rows] == steps
    kept = {row["step"]: row for row in local.metrics()}
    for row in run.rows:
        assert kept[row["step"]].items() <= row.items()
        pictures = [value["path"] for value in row.values() if isinstance(value, dict)]
        assert pictures
        assert set(pictures) <= run.files.keys()


def command(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "jobs" / "sync.py"), *map(str, words)],
        env={**os.environ, **environment}, cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def test_a_run_going_on_is_sent_row_by_row_and_nothing_twice(
    server: WandbServer, sweep: SweepFolder, write: Write
) -> None:
    assert sync(write(1), sweep).rows == 1
    assert sync(write(1), sweep).rows == 0
    assert sync(write(3), sweep).rows == 2
    run = write(EPOCHS)
    waits = sync(run, sweep)
    assert waits.rows == 0
    assert "1 row waits" in waits.note
    assert sync(write(EPOCHS, end=True), sweep).rows == 1
    asked = len(server.asked)
    assert (sync(run, sweep).rows, sync(run, sweep).problem) == (0, "")
    assert len(server.asked) == asked, "what is settled costs no network"
    found = the_run(server)
    check(found, run, ALL)
    assert found.exit_code == 0
    assert found.summary["modes_covered"] == 8
    assert found.summary["state"] == "finished"


def test_people_can_read_what_a_run_is(
    server: WandbServer, sweep: SweepFolder, write: Write
) -> None:
    run = write(1)
    send(run, sweep, Words(project="rings", tags=("homework",)), place(Words(project="rings")))
    found = the_run(server)
    facts = {k: found.facts[k] for k in ("displayName", "groupName", "jobType", "project", "tags")}
    assert facts == {
        "displayName": "K=5 seed=0",
        "groupName": SWEEP,
        "jobType": "ring",
        "project": "rings",
        "tags": [SWEEP, "CPU", "homework"],
    }
    config = {key: item["value"] for key, item in found.config.items() if key != "_wandb"}
    assert config["gan"] == {"unroll_steps": 5}
    assert (config["run"], config["commit"], config["job"]) == (run.id, "c0ffee", "17_3")
    axes = {item["1"]: item for item in found.config["_wandb"]["value"]["m"] if "1" in item}
    assert {"epoch", "step"} <= axes.keys()
    assert found.rows[0]["step_ms"] == 25.0


def test_a_run_cut_back_to_its_checkpoint_sends_each_step_once(
    server: WandbServer, sweep: SweepFolder, write: Write
) -> None:
    """A crash, retried from an older checkpoint: the rows come again, bit for bit."""
    run = write(3)
    sync(run, sweep)
    size = run.metrics_size() // 3
    run.cut_metrics(size)
    assert sync(run, sweep).rows == 0
    assert sync(write(EPOCHS, end=True), sweep).rows == 1
    check(the_run(server), run, ALL)


def test_a_run_made_again_is_a_new_run_of_wandb(
    server: WandbServer, sweep: SweepFolder, write: Write, outputs: Outputs
) -> None:
    first = write(EPOCHS, end=True)
    sync(first, sweep)
    outputs.put_aside(first.id)
    again = write(2)
    sync(again, sweep)
    old, new = server.runs.values()
    assert [row["step"] for row in old.arrived] == ALL
    check(new, again, [100, 200])
    assert {old.name[:13], new.name[:13]} == {f"{again.id}-"}


def test_rows_that_are_not_those_that_were_sent_become_a_new_run(
    server: WandbServer, sweep: SweepFolder, write: Write
) -> None:
    """Resumed on other hardware, say: W&B's first run keeps what it has."""
    run = write(2)
    sync(run, sweep)
    run.cut_metrics(0)
    for epoch in (1, 2):
        add_epoch(run, epoch, loss=9.0)
    told = sync(run, sweep)
    assert told.rows == 2
    assert "a new W&B run" in told.note
    old, new = server.runs.values()
    assert [row["generator_loss"] for row in old.rows] == [1, 0.5]
    check(new, run, [100, 200])


SENDER = """
import sys
from pathlib import Path
from hw5hpc.store import RunFolder, SweepFolder
from hw5hpc.tracking.mirror import send
from hw5hpc.tracking.session import place
from hw5hpc.tracking.words import Words
print(send(RunFolder(Path(sys.argv[1])), SweepFolder(Path(sys.argv[2])), Words(), place(Words())))
"""


def killed(number: int, run: RunFolder, sweep: SweepFolder, server: WandbServer) -> None:
    """Send, and kill the sender and W&B's process when rows are there but no picture is."""
    server.uploads.clear()
    sender = subprocess.Popen(
        [sys.executable, "-c", SENDER, str(run.path), str(sweep.path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True,
    )  # fmt: skip
    end = time.monotonic() + 60
    while not any(found.lines for found in list(server.runs.values())):
        assert time.monotonic() < end, "no row came"
        time.sleep(0.05)
    kill_all(sender.pid, number)
    try:
        sender.wait(60)
    finally:
        server.uploads.set()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_sender_that_was_killed_loses_and_doubles_nothing(
    server: WandbServer, sweep: SweepFolder, write: Write, number: int
) -> None:
    run = write(2)
    killed(number, run, sweep, server)
    assert read_json(run.path / "wandb.json")["opened_by"] == "sync"
    write(EPOCHS, end=True)
    told = sync(run, sweep)
    assert told.problem == ""
    check(the_run(server), run, ALL)


def test_a_server_that_is_away_is_named_and_tried_again(
    server: WandbServer, sweep: SweepFolder, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write(2)
    monkeypatch.setattr("hw5hpc.tracking.session.INIT_SECONDS", 3.0)
    server.refusing = True
    told = sync(run, sweep)
    assert told.problem
    assert told.away
    server.refusing = False
    assert sync(run, sweep).problem == ""
    check(the_run(server), run, [100, 200])


def test_two_senders_do_not_meet(server: WandbServer, sweep: SweepFolder, write: Write) -> None:
    from hw5hpc.tracking.memory import held

    run = write(2)
    with held(run.path):
        assert "by another process" in sync(run, sweep).note
    assert server.runs == {}


def test_a_damaged_run_costs_the_others_nothing(
    server: WandbServer, sweep: SweepFolder, write: Write
) -> None:
    run = write(1)
    (run.path / "config.yaml").write_text("{")
    assert "config.yaml" in sync(run, sweep).problem
    assert sync(write(1, "aaaaaaaaaaaa"), sweep).rows == 1


def test_a_failed_run_sends_all_it_has_and_goes_on_when_retried(
    server: WandbServer, sweep: SweepFolder, write: Write
) -> None:
    run = write(2)
    run.set_status(run.status().to(State.FAILED, reason="out of memory"))
    sync(run, sweep)
    found = the_run(server)
    assert found.exit_code == 1
    assert found.summary["reason"] == "out of memory"
    write(EPOCHS, end=True)
    sync(run, sweep)
    check(found, run, ALL)
    assert found.exit_code == 0


def history_of(folder: Path) -> list[dict[str, Any]]:
    """The rows of W&B's offline file, by its own reader."""
    from wandb_offline import records

    (file,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    return [row for row in records(file) if "generator_loss" in row]


def test_an_offline_run_holds_one_whole_history(
    clean: Path, sweep: SweepFolder, write: Write
) -> None:
    run = write(2)
    for epochs in (2, 3):
        write(epochs)
        assert export(run, sweep, Words(), place(Words())).problem == ""
    # W&B's own process writes the file, and at its end it is whole.
    forget_wandb()
    rows = history_of(run.path)
    assert [(row["step"], row["generator_loss"]) for row in rows] == [
        (100, 1.0), (200, 0.5), (300, 1 / 3),
    ]  # fmt: skip
    assert any("samples" in key for key in rows[0])


def test_wandb_sync_and_jobs_sync_make_the_same_run(
    server: WandbServer, sweep: SweepFolder, write: Write
) -> None:
    run = write(EPOCHS, end=True)
    export(run, sweep, Words(), place(Words()))
    forget_wandb()
    (folder,) = run.path.glob("wandb/offline-run-*")
    done = subprocess.run(
        [sys.executable, "-m", "wandb", "sync", str(folder)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert sync(run, sweep).problem == ""
    check(the_run(server), run, ALL)


def test_no_secret_reaches_a_file(server: WandbServer, sweep: SweepFolder, write: Write) -> None:
    run = write(EPOCHS, end=True)
    sync(run, sweep)
    export(run, sweep, Words(), place(Words()))
    for path in sweep.path.parents[1].rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path


def test_the_command_sends_a_sweep_with_its_summary(
    server: WandbServer, sweep: SweepFolder, write: Write, outputs: Outputs
) -> None:
    for name in ("aaaaaaaaaaaa", "bbbbbbbbbbbb"):
        write(EPOCHS, name, end=True)
    done = command(SWEEP, "--out", outputs.root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("4 rows sent") == 2
    assert "(summary): 1 row sent" in done.stdout
    assert KEY not in done.stdout + done.stderr
    jobs = {run.facts["jobType"]: run for run in server.runs.values()}
    summary = jobs["report"]
    runs = [run for run in server.runs.values() if run is not summary]
    assert summary.summary["runs finished"] == 2
    assert {"claims", "means"} <= summary.rows[0].keys()
    assert any(key.startswith("figures/") for key in summary.rows[0])
    assert "results.csv" in server.artifact_files
    assert server.artifact_files["results.csv"].count(b"\n") == 3
    aggregate(outputs, outputs.sweep(SWEEP))
    page = (outputs.sweep(SWEEP).report / "index.html").read_text()
    assert all(f'href="{server.url}/lab/hw5hpc/runs/{run.name}"' in page for run in runs)
    assert "W&amp;B at submission: online (a key)" in page
    again = command(SWEEP, "--out", outputs.root)
    assert again.returncode == 0
    assert "sent" not in again.stdout.lower()
    assert again.stdout == f"{SWEEP}: W&B has everything\n"
    assert len(summary.arrived) == 1
    written = command(SWEEP, "--out", outputs.root, "--offline")
    assert "sent" not in written.stdout, "nothing was"
    assert written.stdout.count("4 rows written to ") == 2


def test_watching_ends_when_every_run_has_ended(
    server: WandbServer, sweep: SweepFolder, write: Write, outputs: Outputs
) -> None:
    write(EPOCHS, "aaaaaaaaaaaa", end=True)
    write(2)
    watch = subprocess.Popen(
        [sys.executable, str(ROOT / "jobs" / "sync.py"), SWEEP, "--out", str(outputs.root),
         "--watch"], env=os.environ, cwd=ROOT,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert watch.stdout is not None
    seen: list[str] = []
    while sum("rows sent" in line for line in seen) < 2:
        seen.append(watch.stdout.readline())
        assert seen[-1], seen
    write(EPOCHS, end=True)
    told, _ = watch.communicate(timeout=120)
    assert watch.returncode == 0
    assert re.search(r"bbbbbbbbbbbb: 2 rows sent", told)
    for run in server.runs.values():
        if run.name.startswith(("a", "b")):
            assert [row["step"] for row in run.arrived] == ALL


@pytest.mark.parametrize("said", [{"WANDB_MODE": "offline"}, {"WANDB_DISABLED": "true"}])
def test_who_said_offline_sends_nothing_unless_asked(
    server: WandbServer, sweep: SweepFolder, write: Write, outputs: Outputs, said: dict[str, str]
) -> None:
    write(EPOCHS, end=True)
    done = command(SWEEP, "--out", outputs.root, **said)
    assert done.returncode == 2
    assert "--online sends all the same" in done.stderr
    assert server.asked == []
    done = command(SWEEP, "--out", outputs.root, "--online", **said)
    assert "4 rows sent" in done.stdout


def test_an_unknown_mode_ends_with_status_2(
    server: WandbServer, sweep: SweepFolder, outputs: Outputs
) -> None:
    done = command(SWEEP, "--out", outputs.root, WANDB_MODE="onlin")
    assert done.returncode == 2
    assert "Did you mean 'online'" in done.stderr
    assert "Traceback" not in done.stderr
