"""The classifier's config."""

from dataclasses import dataclass, field

from hw5hpc.experiments.config import AdamConfig, DataConfig, TrainConfig
from hw5hpc.sweep.point import RunConfig


@dataclass(frozen=True)
class ClassifierConfig(RunConfig):
    """An MLP with the discriminator's body and 10 outputs."""

    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=lambda: TrainConfig(epochs=10, batch_size=128))
    optim: AdamConfig = field(default_factory=AdamConfig)
