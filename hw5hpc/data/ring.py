"""The ring of Gaussians of Metz et al. 2016 (section 3.1), sampled on the fly."""

import math

import torch
from torch import Tensor


def centres(modes: int, radius: float, device: torch.device | str = "cpu") -> Tensor:
    """Return the modes' centres, evenly spaced on a circle: [modes, 2]."""
    angle = torch.arange(modes, device=device) * (2 * math.pi / modes)
    return radius * torch.stack([angle.cos(), angle.sin()], dim=1)


def sample(count: int, around: Tensor, std: float, source: torch.Generator) -> Tensor:
    """Draw from an equal mixture of Gaussians at `around` [modes, 2]: [count, 2]."""
    chosen = torch.randint(len(around), (count,), generator=source, device=around.device)
    noise = torch.randn(count, 2, generator=source, device=around.device)
    return around[chosen] + std * noise
