"""What a run needs before it trains: its checked config, and the weights of earlier runs."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from hw5hpc.engine import checkpoint
from hw5hpc.errors import UserError
from hw5hpc.experiments import rebuild
from hw5hpc.experiments.config import ExperimentConfig
from hw5hpc.experiments.contract import Weights
from hw5hpc.node.needs import of_no_use
from hw5hpc.store import Outputs, RunFolder, State, StoreError
from hw5hpc.sweep import run_id


def checked_config(run: RunFolder, own: Path | None = None) -> tuple[str, ExperimentConfig]:
    """Return (experiment, config), refused unless it hashes to the folder's name.

    Raises:
        UserError: it was changed, or there is no such experiment in the table or the file `own`.
    """
    experiment, values = run.config()
    try:
        config = rebuild(experiment, values, own)
    except ValueError as error:
        raise UserError(f"{run.path}/config.yaml: {error}") from error
    if run_id(experiment, config) != run.id:
        raise UserError(f"{run.path}: config.yaml was changed, it is not run {run.id} any more")
    return experiment, config


def weights_of_prerequisites(run: RunFolder, config: ExperimentConfig) -> Weights:
    """Return {role: weights} of the runs that this one needs.

    Raises:
        UserError: one of them has no result, or its weights are not what it wrote.
    """
    outputs = Outputs(run.path.parents[1])
    weights = {}
    for role, (experiment, needed) in config.prerequisites().items():
        other = outputs.run(run_id(experiment, needed))
        if other.status().state is not State.FINISHED:
            why = f"is {other.status().state}: {other.status().reason}"
            raise UserError(of_no_use(role, other.id, why))
        try:
            weights[role] = _whole_weights(other)
        except StoreError as error:
            why = f"is damaged: {error}; submit the sweep again, which makes it anew"
            raise UserError(of_no_use(role, other.id, why)) from error
    return weights


def _whole_weights(run: RunFolder) -> dict[str, Tensor]:
    """Raises: StoreError: the file is missing, damaged, or not the one that the run wrote."""
    damaged = run.damage()
    name = str(run.weights.relative_to(run.path))
    if name in damaged:
        raise StoreError(f"{run.weights}: {damaged[name]}")
    return checkpoint.read_weights(run.weights)


def digest(weights: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 over the names and values of weights."""
    found = hashlib.sha256()
    for name, tensor in weights.items():
        found.update(name.encode() + b"\0")
        found.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
