"""The classifier's config."""

from dataclasses import dataclass, field

from hw5hpc.experiments.config import ImagesConfig, TrainConfig
from hw5hpc.experiments.optimizers import OptimConfig


@dataclass(frozen=True)
class ClassifierConfig(ImagesConfig):
    """An MLP with the discriminator's body and 10 outputs."""

    train: TrainConfig = field(default_factory=lambda: TrainConfig(epochs=10, batch_size=128))
    optim: OptimConfig = field(default_factory=OptimConfig)
