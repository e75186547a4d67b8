"""What every command shows: help that fits and teaches, folded lines, the nearest option."""

import os
import pty
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from hw5hpc.errors import UserError
from hw5hpc.text import folded

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = sorted((ROOT / "jobs").glob("*.py"))


@pytest.mark.parametrize("script", COMMANDS, ids=lambda path: path.stem)
def test_help_fits_80_columns_and_shows_examples(script: Path) -> None:
    env = {**os.environ, "COLUMNS": "80"}
    words = [sys.executable, str(script), "--help"]
    shown = subprocess.run(words, env=env, capture_output=True, text=True, check=True).stdout
    assert [line for line in shown.splitlines() if len(line) > 80] == []
    assert f"python jobs/{script.name}" in shown
    assert "exit status: 0" in shown


def test_a_misspelt_option_is_one_line_with_the_nearest() -> None:
    submit = runpy.run_path(str(ROOT / "jobs" / "submit.py"))["arguments"]()
    with pytest.raises(UserError, match=r"--dryrun\. Did you mean '--dry-run'") as caught:
        submit.parse_args(["x", "--dryrun"])
    assert "\n" not in str(caught.value)


def test_long_lines_are_folded_below_where_their_words_begin() -> None:
    assert folded("short", 5) == "short"
    assert (
        folded("  12 queued: it waits for others", 20)
        == "  12 queued: it\n      waits for\n      others"
    )
    told = folded("note home           it cannot be written to here", 36)
    assert told == "note home           it cannot be\n                    written to here"


def test_a_command_is_never_broken() -> None:
    command = "python jobs/submit.py x --retry-failed=memory cluster.mem_gb=64"
    told = folded(f"    -> mend the code, then: {command}; or wait a while longer", 40)
    assert told.splitlines() == [
        "    -> mend the code, then:", f"        {command};", "        or wait a while longer"
    ]  # fmt: skip


def test_at_a_terminal_no_line_is_broken_by_the_terminal() -> None:
    master, inside = pty.openpty()
    words = [sys.executable, str(ROOT / "jobs" / "list.py"), "--cluster", "dve"]
    env = {**os.environ, "COLUMNS": "60"}
    subprocess.run(words, env=env, stdin=inside, stdout=inside, stderr=inside)
    os.close(inside)
    lines = os.read(master, 65536).decode().splitlines()
    assert len(lines) > 1
    assert max(map(len, lines[:-1])) <= 60
    assert "Did you mean 'dev'?" in " ".join(" ".join(lines).split())
