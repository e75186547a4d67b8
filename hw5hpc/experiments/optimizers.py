"""The optimizers of supervised training: one row each, and the config that they share."""

import importlib
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from hw5hpc.errors import FieldError
from hw5hpc.experiments.config import above, one_of
from hw5hpc.sweep.point import added

if TYPE_CHECKING:
    import torch
    from torch.nn import Parameter
    from torch.optim import Optimizer


@dataclass(frozen=True)
class OptimConfig:
    """An optimizer by its name in OPTIMIZERS, its learning rate, and Adam's other settings.

    `beta1` and `beta2` are Adam's decay rates, `eps` its epsilon (Kingma and Ba 2015, algorithm 1);
    `beta1` is the momentum of `sgd`.
    """

    lr: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    name: str = added("adam")

    def __post_init__(self) -> None:
        above(self, "lr", 0)
        above(self, "eps", 0)
        one_of(self, "name", tuple(OPTIMIZERS))
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise FieldError(
                    name, f"takes values from 0 up to below 1, got {getattr(self, name)}"
                )


def _adam(config: OptimConfig, gpu: bool) -> dict[str, Any]:
    # On a GPU the count of steps lies there too, so that a step can be captured (engine.replay).
    settings = {"lr": config.lr, "betas": (config.beta1, config.beta2), "eps": config.eps}
    return settings | {"fused": True, "capturable": gpu}


def _sgd(config: OptimConfig, gpu: bool) -> dict[str, Any]:
    return {"lr": config.lr, "momentum": config.beta1, "fused": True}


# The methods of torch's optimizers that prepare themselves for its compiler.
PREPARED = ("step", "zero_grad", "add_param_group", "state_dict", "load_state_dict")

# {name: (class of torch.optim, what it is called with, on a GPU or not)}
OPTIMIZERS: dict[str, tuple[str, Callable[[OptimConfig, bool], dict[str, Any]]]] = {
    "adam": ("Adam", _adam),
    "sgd": ("SGD", _sgd),
}


def build(
    config: OptimConfig, parameters: "Iterable[Parameter]", device: "torch.device"
) -> "Optimizer":
    """Return the optimizer that the config names, over these parameters on this device."""
    name, arguments = OPTIMIZERS[config.name]
    made: Optimizer = _uncompiled(name)(parameters, **arguments(config, device.type == "cuda"))
    return made


@cache
def _uncompiled(name: str) -> Any:
    """Return a class of torch.optim that never imports torch's compiler.

    As they come, the first call of these methods does: two seconds of CPU for nothing here.
    """
    # Only now is torch imported: a config is checked without it.
    torch = importlib.import_module("torch")
    kind = getattr(torch.optim, name)
    methods = {method: inspect.unwrap(getattr(kind, method)) for method in PREPARED}
    # What wraps the step also sees to it that it is not differentiated.
    methods["step"] = torch.no_grad()(methods["step"])
    return type(name, (kind,), methods)
