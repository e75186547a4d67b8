"""The CNN study's config."""

from dataclasses import dataclass, field

from hw5hpc.errors import FieldError
from hw5hpc.experiments.config import (
    DataConfig,
    ImagesConfig,
    TrainConfig,
    above,
    one_of,
)
from hw5hpc.experiments.optimizers import OptimConfig

PLACEMENTS = ("before_relu", "after_relu")


@dataclass(frozen=True)
class ModelConfig:
    """Batch norm, with torch's momentum (the new batch's share in the running mean) and epsilon.

    Keras's defaults are a momentum of 0.99 in its own sense, 0.01 here, and an epsilon of 1e-3;
    a Keras layer with a built-in activation is normalised after the ReLU.
    """

    batch_norm: bool = False
    batch_norm_momentum: float = 0.1
    batch_norm_eps: float = 1e-5
    batch_norm_placement: str = "before_relu"

    def __post_init__(self) -> None:
        above(self, "batch_norm_momentum", 0)
        if self.batch_norm_momentum > 1:
            value = self.batch_norm_momentum
            raise FieldError("batch_norm_momentum", f"takes values of at most 1, got {value}")
        above(self, "batch_norm_eps", 0)
        one_of(self, "batch_norm_placement", PLACEMENTS)


@dataclass(frozen=True)
class CnnConfig(ImagesConfig):
    """A CNN on small colour images; grey ones are padded and their channel repeated."""

    data: DataConfig = field(default_factory=lambda: DataConfig(name="cifar10"))
    train: TrainConfig = field(default_factory=lambda: TrainConfig(epochs=10, batch_size=32))
    optim: OptimConfig = field(default_factory=OptimConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
