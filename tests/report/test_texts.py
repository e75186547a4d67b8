"""Texts that come from files: shown harmlessly on the screen, the page, in tables and figures."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hw5hpc.cluster.freeze import freeze
from hw5hpc.report import origin, spreadsheet
from hw5hpc.report.aggregate import aggregate
from hw5hpc.store import State, Status, files
from hw5hpc.text import safe

ROOT = Path(__file__).resolve().parents[2]
SMALL = {"gan.unroll_steps": [0, 5], "seed": [0, 1]}
HOSTILE = (
    "\x1b[2J\x1b]0;title\x07 \x9b31m \u202elamron \udcff $\\frac{1 "
    "[x](https://evil.example) www.evil.example"
)


def failed(made: Any, reason: str) -> None:
    (made.run(0).path / "result.json").unlink()
    made.run(0).set_status(Status(state=State.NEW).to(State.FAILED, reason=reason))


def named(made: Any, classes: list[str]) -> None:
    for index in range(len(made.ids)):
        path = made.run(index).path / "result.json"
        result = files.read_json(path)
        if result:
            files.write_json(path, {**result, "class_names": classes})


def test_no_escape_sequence_and_no_surrogate_comes_out_of_a_file(fake: Any) -> None:
    made = fake("unroll_depth", grid=SMALL, report=["mode_histogram"])
    failed(made, HOSTILE)
    named(made, [HOSTILE, *(f"${index}_a$" for index in range(9))])
    result = aggregate(made.outputs, made.folder)
    assert result.figures == ("mode_histogram",), result.missing
    every = "".join(result.missing)
    for name in ("index.html", "summary.md", "results.csv", "curves.csv"):
        every += (made.folder.report / name).read_bytes().decode("utf-8")
    assert not [one for one in every if safe(one) == "\ufffd" and one != "\ufffd"]
    assert "$1_a$" in every, "a dollar sign is a dollar sign"
    summary = (made.folder.report / "summary.md").read_text()
    assert "https" in summary and not re.search(r"(?<!\\)\]\(http|https:|www\.", summary)


def run(words: list[str], **environment: str) -> "subprocess.CompletedProcess[bytes]":
    given = {**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8", **environment}
    return subprocess.run([sys.executable, *words], capture_output=True, env=given, cwd=ROOT)


@pytest.mark.parametrize("script", ["jobs/status.py", "jobs/aggregate.py"])
def test_the_commands_show_hostile_texts_in_one_piece(fake: Any, script: str) -> None:
    made = fake("unroll_depth", grid=SMALL, report=["losses"])
    failed(made, HOSTILE)
    done = run([script, "unroll_depth", "--out", str(made.outputs.root)])
    assert b"Traceback" not in done.stderr and done.returncode == (script == "jobs/status.py")
    assert b"\x1b" not in done.stdout + done.stderr
    assert b"lamron" in done.stdout


def test_a_name_that_is_not_utf8_is_a_line_and_no_traceback(tmp_path: Path) -> None:
    name = os.fsdecode(b"sw\xffeep")
    done = run(["jobs/aggregate.py", name, "--out", str(tmp_path)])
    assert (done.returncode, b"Traceback" in done.stderr) == (2, False)
    files.write_text(tmp_path / "text", name)
    assert (tmp_path / "text").read_text(encoding="utf-8") == "sw\\udcffeep"


def test_a_cell_is_never_a_formula_and_a_number_stays_a_number() -> None:
    words = ["=1+1", "+A1", "-cmd", "@sum", "-0.5", "+3", "-inf", "plain"]
    frame = pd.DataFrame({"=key": words, "value": [-0.5] * len(words)})
    written = pd.read_csv(io.StringIO(spreadsheet.text(frame)), dtype={"'=key": str})
    assert list(written["'=key"]) == [
        "'=1+1", "'+A1", "'-cmd", "'@sum", "-0.5", "+3", "-inf", "plain",
    ]  # fmt: skip
    assert set(written["value"]) == {-0.5}


@pytest.mark.parametrize("way", ["matplotlibrc", "MPLBACKEND", "undecodable"])
def test_a_users_matplotlib_settings_change_nothing(fake: Any, tmp_path: Path, way: str) -> None:
    made = fake("unroll_depth", grid=SMALL, report=["losses", "mode_coverage"])
    made_with: dict[str, dict[str, bytes]] = {}
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    settings = "text.usetex: True\nfont.family: serif\nsavefig.transparent: True\n"
    content = b"\xff\xfe" if way == "undecodable" else (settings + "figure.figsize: 3, 2").encode()
    (theirs / "matplotlibrc").write_bytes(content)
    given = {
        "plain": {"MPLCONFIGDIR": str(tmp_path / "own"), "MPLBACKEND": ""},
        "MPLBACKEND": {"MPLBACKEND": "module://matplotlib_inline.backend_inline"},
    }
    for name in ("plain", way):
        environment = given.get(name, {"MPLCONFIGDIR": str(theirs)})
        done = run(["jobs/aggregate.py", "unroll_depth", "--out", str(made.outputs.root)],
                   **environment)  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        assert b"not drawn" not in done.stdout
        files = [path for path in made.folder.report.iterdir() if path.name != "made.json"]
        made_with[name] = {path.name: path.read_bytes() for path in files}
    assert made_with["plain"] == made_with[way]


@pytest.mark.parametrize("name", ["index.html", "losses.png", "losses.pdf"])
def test_a_figure_and_a_page_tell_what_made_them(fake: Any, name: str) -> None:
    made = fake("unroll_depth", grid=SMALL, report=["losses"])
    made.run(1).set_provenance(
        {"commit": "feed(me)", "code": "c0de", "job": "77_3", "modified": True,
         "data_source": "</script> (other) \\ data", "data_sha256": "abc"}
    )  # fmt: skip
    aggregate(made.outputs, made.folder)
    done = run(["jobs/why.py", str(made.folder.report / name)])
    said = done.stdout.decode()
    assert done.returncode == 0, done.stderr
    assert all(run_id in said for run_id in made.ids)
    assert f"{made.ids[1]}  job 77_3" in said
    assert "feed(me), with changes that are not committed" in said and "0123abc" in said
    groups = origin.read(made.folder.report / name).groups
    assert [len(group.runs) for group in groups] == [3, 1]


@pytest.mark.parametrize("named", ["name", "folder", "file inside"])
def test_a_sweep_whose_name_holds_a_dot_is_no_file(fake: Any, named: str) -> None:
    made = fake("unroll_depth", grid=SMALL, report=["losses"])
    aggregate(made.outputs, made.folder)
    dotted = made.outputs.sweep("unroll_depth-lr=0.001")
    made.folder.path.rename(dotted.path)
    word = {"name": dotted.name, "folder": dotted.path, "file inside": dotted.report / "index.html"}
    done = run(["jobs/why.py", str(word[named]), "--out", str(made.outputs.root)])
    assert (done.returncode, b"page of sweep unroll_depth" in done.stdout) == (0, True), done.stderr


def test_a_file_without_a_record_is_a_line_and_status_2(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"\x89PNG")
    for path in (tmp_path / "x.png", tmp_path / "none.png", tmp_path):
        done = run(["jobs/why.py", str(path)])
        assert (done.returncode, done.stderr.count(b"\n")) == (2, 1), done.stderr


def test_the_frozen_code_brings_the_pages_template(tmp_path: Path) -> None:
    copy = freeze(tmp_path) / "hw5hpc" / "report" / "template"
    files = {path.name for path in copy.iterdir() if path.is_file()}
    assert files == {"page.html", "page.css", "page.js"}
