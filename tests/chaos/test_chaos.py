"""`make chaos`, shortened: every kind of fault at least once, and every run as if undisturbed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("chaos.py")


@pytest.mark.slurm
@pytest.mark.alone
@pytest.mark.timeout(1200)
def test_sweeps_come_through_every_fault(dev_cluster: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount the small disk that is filled")
    words = ["--quick", "--rounds", "1", "--seed", "2", "--seconds", "600"]
    done = subprocess.run([sys.executable, str(SCRIPT), *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
