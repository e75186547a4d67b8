"""Whether W&B may be online for a run is known from its sweep's record; only then is W&B loaded."""

import subprocess
import sys
import textwrap
from typing import Any

import pytest
from conftest import ROOT, Write

from hw5hpc.store import Outputs
from hw5hpc.tracking.follow import Nobody, follower, may_be_online
from hw5hpc.tracking.live import Tracker

KEYLESS = {"chosen": "offline (no API key (wandb login, or WANDB_API_KEY))"}


@pytest.mark.parametrize(
    ("block", "on_a_node", "here"),
    [
        ({}, True, True),
        ({"chosen": "online (a key for https://api.wandb.ai)"}, True, True),
        # Nobody said so: a node may have a key that the submitter has not.
        (KEYLESS, True, False),
        ({"mode": "offline", "chosen": "offline (WANDB_MODE)"}, False, False),
        ({"mode": "disabled", "chosen": "disabled (WANDB_MODE)"}, False, False),
        ({"mode": "online", "chosen": "online (said by WANDB_MODE)"}, True, True),
        # Damaged: who follows the run finds out.
        ({"mode": "sideways"}, True, True),
    ],
)  # fmt: skip
def test_the_record_says_whether_it_may_be_online(
    write: Write, outputs: Outputs, block: dict[str, Any], on_a_node: bool, here: bool
) -> None:
    run, sweep = write(1), outputs.sweep("depths")
    sweep.save({**sweep.load(), "wandb": block}, sweep.points())
    assert may_be_online(run, "depths", here=False) is on_a_node
    assert may_be_online(run, "depths", here=True) is here
    assert isinstance(follower(run, "depths", here=True), Tracker if here else Nobody)


def test_a_run_without_a_sweep_may_be_online(write: Write) -> None:
    assert may_be_online(write(1), "another", here=True)


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
