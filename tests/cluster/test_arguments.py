"""The arguments of jobs/submit.py have the names and types that the package reads."""

import runpy
from pathlib import Path

from hw5hpc.cluster.arguments import Arguments

ROOT = Path(__file__).resolve().parents[2]


def test_every_argument_is_declared_and_none_too_many() -> None:
    arguments = runpy.run_path(str(ROOT / "jobs" / "submit.py"))["arguments"]
    given = arguments().parse_intermixed_args(["sweep.yaml"], Arguments())
    assert vars(given).keys() == Arguments.__annotations__.keys()
