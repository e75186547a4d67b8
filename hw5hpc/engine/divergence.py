"""Whether a training has diverged: a loss, a weight or a measure that is no finite number."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor


def broken_number(kind: str, values: Mapping[str, float]) -> str:
    """Return words on the first value that is NaN or infinite, or ''."""
    names = (name for name, value in values.items() if not math.isfinite(value))
    name = next(names, "")
    return f"{kind} {name} became {_shown(values[name])}" if name else ""


def broken_weight(weights: Mapping[str, Tensor]) -> str:
    """Return words on the first tensor that holds NaN or infinity, or ''."""
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            return f"weight {name} became NaN or infinite"
    return ""


def _shown(value: float) -> str:
    return "NaN" if math.isnan(value) else "infinite"
