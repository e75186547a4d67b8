"""`make ranks`, at its shortest: every way of running gives a time and a ratio."""

import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("step_time.py")


def test_the_table_has_a_ratio_for_each_way() -> None:
    words = ["--rounds", "1", "--steps", "1", "--only", "ring, batch 512, K = 0"]
    done = subprocess.run([sys.executable, str(SCRIPT), *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    head, _, row = (line.split("|")[2:-1] for line in done.stdout.splitlines()[-3:])
    assert head[0].strip() == "1 process, 1 thread each"
    assert len(row) == len(head) >= 2
    assert all(re.fullmatch(r" \d+\.\d \(\d+\.\d\d\) ", cell) for cell in row)
    assert "(1.00)" in row[0]
