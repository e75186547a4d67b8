"""What a run needs before it trains: its checked config, and the weights of earlier runs."""

from typing import Any

import torch

from hw5hpc.engine import checkpoint
from hw5hpc.errors import UserError
from hw5hpc.experiments import EXPERIMENTS, rebuild
from hw5hpc.store import Outputs, RunFolder, State
from hw5hpc.sweep import run_id


def checked_config(run: RunFolder) -> tuple[str, Any]:
    """Return (experiment, config), refused unless it hashes to the folder's name."""
    experiment, values = run.config()
    if experiment not in EXPERIMENTS:
        raise UserError(f"{run.path}: unknown experiment {experiment!r}")
    try:
        config = rebuild(experiment, values)
    except ValueError as error:
        raise UserError(f"{run.path}/config.yaml: {error}") from error
    if run_id(experiment, config) != run.id:
        raise UserError(f"{run.path}: config.yaml was changed, it is not run {run.id} any more")
    return experiment, config


def weights_of_prerequisites(run: RunFolder, config: Any) -> dict[str, dict[str, torch.Tensor]]:
    """Return {role: weights} of the runs that this one needs.

    Raises:
        UserError: one of them has no result.
    """
    outputs = Outputs(run.path.parents[1])
    found = {}
    for role, (experiment, needed) in config.prerequisites().items():
        other = outputs.run(run_id(experiment, needed))
        if other.status().state is not State.FINISHED:
            raise UserError(
                f"its {role}, run {other.id}, is {other.status().state}: {other.status().reason}"
            )
        found[role] = checkpoint.read_weights(other.weights)
    return found
