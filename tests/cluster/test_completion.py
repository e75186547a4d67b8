"""Completion in real shells: options, sweeps, points, profiles; nothing for other programs."""

import os
import pty
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("completion") / "script"
    command = [sys.executable, str(ROOT / "jobs" / "completion.py")]
    path.write_text(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return path


def lay_out(folder: Path) -> None:
    """Two sweeps with points."""
    for name, ids in {"mysweep_debug": ("3f2a", "3f91", "80c0"), "odd=1-lr=2": ("77aa",)}.items():
        path = folder / "outputs" / "sweeps" / name
        path.mkdir(parents=True)
        (path / "points.csv").write_text("\n".join(["run,seed", *(f"{run},0" for run in ids), ""]))


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("python jobs/submit.py softm", {"softmax_shift"}),
        ("python jobs/status.py --cluster dev mysw", {"mysweep_debug"}),
        ("python jobs/submit.py unroll_depth --dry", {"--dry-run"}),
        ("python3 /x/jobs/status.py mysw", {"mysweep_debug"}),
        ("python jobs/status.py mysweep_debug --cluster de", {"default", "dev"}),
        ("python jobs/cancel.py mysweep_debug --state r", {"running"}),
        ("python jobs/submit.py mysweep_debug --retry-failed = no", {"no-gpu", "node"}),
        ("python jobs/submit.py --retry-failed softm", {"softmax_shift"}),
        ("python jobs/logs.py mysweep_debug 3f", {"3f2a", "3f91"}),
        ("python jobs/cancel.py odd = 1-lr = 2 77", {"77aa"}),
        ("python jobs/fetch_data.py fash", {"fashion_mnist"}),
        ("python other.py un", set()),
    ],
)
def test_the_shell_offers_what_fits(
    script: Path, tmp_path: Path, typed: str, offered: set[str]
) -> None:
    lay_out(tmp_path)
    words = typed.split()
    lines = [f"source {script}", f"COMP_WORDS=({typed})", f"COMP_CWORD={len(words) - 1}",
             "_hw5hpc", 'echo "${COMPREPLY[@]}"', "complete -p python"]  # fmt: skip
    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)], cwd=tmp_path, capture_output=True, text=True
    )
    found, registered = done.stdout.splitlines()
    assert set(found.split()) == offered, done.stderr
    assert "_hw5hpc python" in registered


class Terminal:
    """A zsh at a terminal, as somebody types into it."""

    def __init__(self, folder: Path, *setup: str) -> None:
        words = {**os.environ, "TERM": "dumb", "PS1": "> ", "ZDOTDIR": str(folder)}
        self._master, inside = pty.openpty()
        self.process = subprocess.Popen(["zsh", "-fi"], cwd=folder,
                                        env=words, stdin=inside, stdout=inside, stderr=inside,
                                        start_new_session=True)  # fmt: skip
        os.close(inside)
        os.set_blocking(self._master, False)
        for line in setup:
            self.type(f"{line}; print -r READY-$((1+1))\n", until="READY-2")

    def type(self, text: str, until: str, seconds: float = 30) -> str:
        os.write(self._master, text.encode())
        shown, end = "", time.monotonic() + seconds
        while until not in shown and time.monotonic() < end:
            time.sleep(0.05)
            try:
                shown += os.read(self._master, 65536).decode(errors="replace")
            except BlockingIOError:
                continue
        return shown


def test_a_name_that_others_chose_is_not_executed(script: Path, tmp_path: Path) -> None:
    lay_out(tmp_path)
    evil = "$(touch${IFS}executed)"
    (tmp_path / "outputs" / "sweeps" / evil).mkdir()
    points = tmp_path / "outputs" / "sweeps" / "mysweep_debug" / "points.csv"
    points.write_text(f"run,seed\n{evil},0\n3f2a,1\n")
    words = "COMP_WORDS=(python jobs/logs.py mysweep_debug ''); COMP_CWORD=3; _hw5hpc"
    again = "COMP_WORDS=(python jobs/status.py ''); COMP_CWORD=2; _hw5hpc"
    lines = f'source {script}; {words}; echo "${{COMPREPLY[*]}}"; {again}'
    done = subprocess.run(["bash", "-c", lines], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "3f2a\n"
    assert not (tmp_path / "executed").exists()


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh here")
@pytest.mark.parametrize(
    ("typed", "becomes"),
    [
        ("python jobs/submit.py softm", "softmax_shift"),
        ("python jobs/submit.py unroll_depth --dry", "--dry-run"),
        ("python jobs/logs.py mysweep_debug 8", "80c0"),
        ("python jobs/logs.py odd=1-lr=2 7", "77aa"),
        ("python jobs/submit.py x --retry-failed=gp", "--retry-failed=gpu-memory"),
    ],
)
def test_zsh_completes_what_is_typed(
    script: Path, tmp_path: Path, typed: str, becomes: str
) -> None:
    lay_out(tmp_path)
    shell = Terminal(tmp_path, f"source {script}")
    try:
        assert becomes in shell.type(f"{typed}\t", until=becomes)
    finally:
        shell.process.kill()
        shell.process.wait()
