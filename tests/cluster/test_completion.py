"""Completion in a real bash: options, sweeps and profiles, and nothing for other programs."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("completion") / "script"
    command = [sys.executable, str(ROOT / "jobs" / "completion.py")]
    path.write_text(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return path


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("python jobs/submit.py softm", {"softmax_shift"}),
        ("python jobs/submit.py unroll_depth --dry", {"--dry-run"}),
        ("python3 /x/jobs/status.py mysw", {"mysweep_debug"}),
        ("python jobs/status.py mysweep_debug --cluster de", {"default", "dev"}),
        ("python jobs/cancel.py mysweep_debug --state r", {"running"}),
        ("python other.py un", set()),
    ],
)
def test_the_shell_offers_what_fits(
    script: Path, tmp_path: Path, typed: str, offered: set[str]
) -> None:
    (tmp_path / "outputs" / "sweeps" / "mysweep_debug").mkdir(parents=True)
    words = typed.split()
    lines = [f"source {script}", f"COMP_WORDS=({typed})", f"COMP_CWORD={len(words) - 1}",
             "_hw5hpc", 'echo "${COMPREPLY[@]}"', "complete -p python"]  # fmt: skip
    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)], cwd=tmp_path, capture_output=True, text=True
    )
    found, registered = done.stdout.splitlines()
    assert set(found.split()) == offered, done.stderr
    assert "_hw5hpc python" in registered
