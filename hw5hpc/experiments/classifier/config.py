"""The classifier's config."""

from dataclasses import dataclass, field

from hw5hpc.experiments.config import AdamConfig, DataConfig, TrainConfig, at_least


@dataclass(frozen=True)
class ClassifierConfig:
    """An MLP with the discriminator's body and 10 outputs."""

    seed: int = 0
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=lambda: TrainConfig(epochs=10, batch_size=128))
    optim: AdamConfig = field(default_factory=AdamConfig)

    def __post_init__(self) -> None:
        at_least(self, "seed", 0)
