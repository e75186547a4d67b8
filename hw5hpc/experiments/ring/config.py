"""The ring's config."""

from dataclasses import dataclass, field

from hw5hpc.experiments.config import TrainedConfig, above, at_least
from hw5hpc.experiments.gan.config import GanOptimConfig, GanTrainConfig, UnrollConfig


@dataclass(frozen=True)
class MixtureConfig:
    """The mixture, how many samples are judged, and how many steps make an epoch."""

    modes: int = 8
    radius: float = 1.0
    std: float = 0.02
    samples: int = 2500
    steps_per_epoch: int = 100

    def __post_init__(self) -> None:
        for name in ("modes", "samples", "steps_per_epoch"):
            at_least(self, name, 1)
        above(self, "radius", 0)
        above(self, "std", 0)


@dataclass(frozen=True)
class RingConfig(TrainedConfig):
    """Eight Gaussians on a ring (Metz et al. 2016, section 3.1), measured after each epoch."""

    train: GanTrainConfig = field(default_factory=lambda: GanTrainConfig(epochs=25, batch_size=512))
    optim: GanOptimConfig = field(default_factory=GanOptimConfig)
    gan: UnrollConfig = field(default_factory=lambda: UnrollConfig(noise_size=256))
    ring: MixtureConfig = field(default_factory=MixtureConfig)

    @property
    def cost(self) -> float:
        return float(self.epochs * (1 + self.gan.unroll_steps))
