"""How far a run is: epochs, steps and loss sums, and the time that they have taken."""

import time
from typing import Any

import torch
from torch import Tensor

from hw5hpc.engine.distributed import Ranks, Share
from hw5hpc.store import metric_names


class Clock:
    """Time over all turns, in all and in training steps alone, and when to save next."""

    def __init__(self, device: torch.device, interval: float) -> None:
        self._device, self._interval = device, interval
        self._before, self._stepping = 0.0, 0.0
        self._start = self._saved = self._mark = time.monotonic()
        self._lap, self._lap_steps = 0.0, 0

    def take(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint; those of earlier versions know no time of steps alone."""
        self._before = state["seconds"]
        self._stepping = state.get("train_seconds", state["seconds"])

    @property
    def seconds(self) -> float:
        return self._before + time.monotonic() - self._start

    @property
    def stepping(self) -> float:
        """Seconds in training steps until the last call of `pause`."""
        return self._stepping

    def due(self) -> bool:
        return time.monotonic() - self._saved >= self._interval

    def stepped(self) -> None:
        self._lap_steps += 1

    def pause(self) -> None:
        """Count the steps until now; what follows (measuring, saving) is none of them."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        passed = time.monotonic() - self._mark
        self._stepping += passed
        self._lap += passed

    def go_on(self) -> None:
        self._mark = time.monotonic()

    def saved(self) -> None:
        self._saved = time.monotonic()
        self.go_on()

    def lap(self) -> dict[str, float]:
        """Return the timing of the steps since the last call, in this turn of the run."""
        step_ms = 1e3 * self._lap / max(self._lap_steps, 1)
        self._lap, self._lap_steps = 0.0, 0
        return {"seconds": self.seconds, "train_seconds": self._stepping, "step_ms": step_ms}


class Sums:
    """Sums of losses, weighted: in one vector, so that a step adds to it by few kernels."""

    def __init__(self, found: dict[str, Tensor] | None = None) -> None:
        self._names = tuple(found or ())
        self._total = torch.stack(list(found.values())) if found else torch.empty(0)

    def add(self, losses: dict[str, Tensor], weight: int) -> None:
        if not losses:
            return
        values = torch.stack(tuple(losses.values()))
        if self._names:
            self._total.add_(values, alpha=weight)
        else:
            self._names, self._total = tuple(losses), values.double() * weight

    def named(self) -> dict[str, Tensor]:
        return dict(zip(self._names, self._total.unbind(), strict=True))

    def means(self, ranks: Ranks, weight: int) -> dict[str, float]:
        """Return the sums over all ranks, divided by the weight of what was added."""
        totals = ranks.sum(self._total).tolist() if self._names else []
        return {name: total / weight for name, total in zip(self._names, totals, strict=True)}


class Position:
    """Where the run is: epochs done, steps done in the next one, loss sums since the last row."""

    def __init__(self) -> None:
        self.epoch = 0
        self.step = 0
        self.weight = 0
        self.sums = Sums()

    def add(self, losses: dict[str, Tensor], weight: int) -> None:
        self.sums.add(losses, weight)
        self.weight += weight
        self.step += 1

    def whole(self, ranks: Ranks) -> dict[str, Any]:
        """Return the position with each rank's own sums, [ranks], for a checkpoint."""
        own = Share(slice(ranks.rank, ranks.rank + 1), ranks.size)
        sums = {name: ranks.gather(value[None], own) for name, value in self.sums.named().items()}
        return {**vars(self), "sums": sums}

    def take(self, whole: dict[str, Any], ranks: Ranks) -> None:
        """Continue from `whole`: as many ranks each with its own sums, to the same bit.

        Of another number of ranks the first one goes on with all sums, the others add their parts.
        """
        found: dict[str, Tensor] = {}
        for name, parts in metric_names.now(whole["sums"]).items():
            # Checkpoints of earlier versions hold the sum of all ranks.
            parts = parts.reshape(-1)
            total = parts.sum() if ranks.first else torch.zeros_like(parts[0])
            found[name] = parts[ranks.rank] if len(parts) == ranks.size else total
        vars(self).update({**whole, "sums": Sums(found)})

    def end_epoch(self) -> None:
        self.epoch, self.step = self.epoch + 1, 0

    def end_row(self, ranks: Ranks) -> dict[str, float]:
        """Return the mean losses since the last row."""
        means = self.sums.means(ranks, self.weight)
        self.weight, self.sums = 0, Sums()
        return means
