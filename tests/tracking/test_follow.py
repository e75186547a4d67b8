"""Whether W&B is off for a run is known from its sweep's record; W&B is not loaded then."""

import subprocess
import sys
import textwrap
from typing import Any

import pytest
from conftest import ROOT, Write

from hw5hpc.store import Outputs
from hw5hpc.tracking.follow import Nobody, follower, off
from hw5hpc.tracking.live import Tracker

KEYLESS = {"chosen": "offline (no API key (wandb login, or WANDB_API_KEY))"}


@pytest.mark.parametrize(
    ("block", "off_on_a_node", "off_here"),
    [
        ({}, False, False),
        ({"chosen": "online (a key for https://api.wandb.ai)"}, False, False),
        # Nobody said so: a node may have a key that the submitter has not.
        (KEYLESS, False, True),
        ({"mode": "offline", "chosen": "offline (WANDB_MODE)"}, True, True),
        ({"mode": "disabled", "chosen": "disabled (WANDB_MODE)"}, True, True),
        ({"mode": "online", "chosen": "online (said by WANDB_MODE)"}, False, False),
        # Damaged: who follows the run finds out.
        ({"mode": "sideways"}, False, False),
        ("a word", False, False),
        (["offline"], False, False),
    ],
)  # fmt: skip
def test_the_record_says_whether_it_is_off(
    write: Write, outputs: Outputs, block: Any, off_on_a_node: bool, off_here: bool
) -> None:
    run, sweep = write(1), outputs.sweep("depths")
    sweep.save({**sweep.load(), "wandb": block}, sweep.points())
    assert bool(off(run, "depths", here=False)) is off_on_a_node
    assert bool(off(run, "depths", here=True)) is off_here
    assert isinstance(follower(run, "depths", here=True), Nobody if off_here else Tracker)


def test_for_a_run_without_a_sweep_it_is_not_known_to_be_off(write: Write) -> None:
    assert not off(write(1), "another", here=True)


def test_wandb_is_not_loaded_for_a_run_that_it_does_not_follow(
    write: Write, outputs: Outputs
) -> None:
    run, sweep = write(1), outputs.sweep("depths")
    sweep.save({**sweep.load(), "wandb": KEYLESS}, sweep.points())
    code = """
        import sys
        from pathlib import Path
        from hw5hpc.node import child
        from hw5hpc.node.fork_server import Order
        child.preload()
        loaded = []
        for job in ("", "7"):
            child.share(Order(sys.argv[1], "depths", job))
            loaded.append("wandb" in sys.modules)
        print(loaded)
    """
    words = [sys.executable, "-c", textwrap.dedent(code), str(run.path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "[False, True]\n", done.stderr
