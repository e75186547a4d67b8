"""Measure what an offset does to both ways of computing the softmax; nothing is trained."""

from typing import Any

import torch
from torch import Tensor

from hw5hpc.engine.distributed import SOLO, Ranks
from hw5hpc.engine.loop import Evaluation
from hw5hpc.engine.random import generator
from hw5hpc.experiments.softmax.config import SoftmaxConfig
from hw5hpc.models.softmax import naive, shifted


class SoftmaxShift:
    """One measurement in the form of a one-step run; see engine.loop.Training."""

    epochs = steps_per_epoch = 1
    looks = ()
    class_names: tuple[str, ...] = ()
    data_source, data_content = "standard normal logits (made on the fly)", ""

    def __init__(
        self,
        config: SoftmaxConfig,
        device: torch.device,
        weights: dict[str, dict[str, Tensor]],
        ranks: Ranks = SOLO,
    ) -> None:
        self.seed, self._shift, self._device = config.seed, config.softmax, device

    def start(self) -> Evaluation:
        return Evaluation()

    def step(self, epoch: int, index: int) -> tuple[dict[str, Tensor], int]:
        return {}, 1

    def evaluate(self, epoch: int) -> Evaluation:
        """Largest errors against two references, both in float64.

        `…_error`: the softmax without offset, which exact arithmetic would give; adding the offset
        rounds. `…_stored_error`: the softmax of the rounded inputs, so the method's own error.
        """
        shift = self._shift
        source = generator("cpu", self.seed, "logits")
        size = (shift.rows, shift.classes)
        dtype: torch.dtype = getattr(torch, shift.dtype)
        # The logits are exact in every format: rounding them is not the question here.
        logits = torch.randn(size, generator=source).to(torch.bfloat16).half().double()
        reference = torch.softmax(logits, dim=-1)
        moved = (logits + shift.offset).to(self._device, dtype)
        stored = torch.softmax(moved.double().cpu(), dim=-1)
        metrics: dict[str, float] = {}
        for name, method in (("naive", naive), ("shifted", shifted)):
            found = method(moved).double().cpu()
            metrics[f"{name}_error"] = float((found - reference).abs().max())
            metrics[f"{name}_stored_error"] = float((found - stored).abs().max())
            metrics[f"{name}_nan"] = int(found.isnan().sum())
            metrics[f"{name}_inf"] = int(found.isinf().sum())
        return Evaluation(metrics, any_number=True)

    def finish(self) -> Evaluation:
        return Evaluation()

    def state(self) -> dict[str, Any]:
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """There is nothing to continue."""

    def weights(self) -> dict[str, Tensor]:
        return {}
