"""What an experiment's training class has to offer, beside what the loop asks of it."""

from typing import Any, Protocol

import torch
from torch import Tensor

from hw5hpc.engine.distributed import SOLO, Ranks
from hw5hpc.engine.loop import Training

# {role: the weights of the run in that role}, as the config's `prerequisites` name them.
Weights = dict[str, dict[str, Tensor]]


class Experiment(Training, Protocol):
    """A training that also says what its data are.

    Attributes:
        class_names: the classes in label order; empty where there are none.
        data_source: in words, which copy of the data it is.
        data_content: SHA-256 of all pixels and labels before any limit; '' where nothing is read.
    """

    class_names: tuple[str, ...]
    data_source: str
    data_content: str


class ExperimentClass(Protocol):
    """How an experiment is made; `config` is an instance of its own config class."""

    def __call__(
        self, config: Any, device: torch.device, weights: Weights, ranks: Ranks = SOLO
    ) -> Experiment: ...
