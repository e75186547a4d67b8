"""The GAN's config, and the classifier run that scores it."""

from dataclasses import dataclass, field

from hw5hpc.experiments.classifier.config import ClassifierConfig
from hw5hpc.experiments.config import (
    DataConfig,
    ImagesConfig,
    TrainConfig,
    above,
    at_least,
    one_of,
)
from hw5hpc.experiments.optimizers import OptimConfig
from hw5hpc.sweep.point import RunConfig, added

OBJECTIVES = ("saddle", "non_saturating")


@dataclass(frozen=True)
class GanOptimConfig(OptimConfig):
    """Adam for both networks; `lr` is the generator's, the discriminator has its own.

    The generator's is ten times the discriminator's, as in Metz et al. 2016, section 3.1: with
    equal rates the discriminator wins, and unrolling makes that worse (docs/findings.md).
    """

    lr: float = 1e-3
    lr_discriminator: float = 1e-4
    beta1: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        above(self, "lr_discriminator", 0)
        # The lookahead differentiates through its own steps of Adam (engine.unroll).
        one_of(self, "name", ("adam",))


@dataclass(frozen=True)
class GanTrainConfig(TrainConfig):
    """The unrolled step is taken in single precision: in TF32 ten steps fail (docs/findings.md)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self, "precision", ("fp32",))


@dataclass(frozen=True)
class UnrollConfig:
    """`unroll_steps` discriminator updates are simulated before each generator step.

    The generator then descends on its `objective` (engine.unroll.OBJECTIVES): `saddle`, minus the
    discriminator's loss, or `non_saturating`.
    """

    unroll_steps: int = 0
    noise_size: int = 100
    objective: str = added("non_saturating")

    def __post_init__(self) -> None:
        at_least(self, "unroll_steps", 0)
        at_least(self, "noise_size", 1)
        one_of(self, "objective", OBJECTIVES)


@dataclass(frozen=True)
class ScoreConfig:
    """How samples are scored: how many, by a classifier trained for how long, and how often.

    After every epoch, and at the start, where most is decided, after every `every_steps` steps as
    well (0: after every epoch alone).
    """

    samples: int = 3000
    classifier_epochs: int = 10
    every_steps: int = added(0, now=100)

    def __post_init__(self) -> None:
        at_least(self, "samples", 10)
        at_least(self, "classifier_epochs", 1)
        at_least(self, "every_steps", 0)


@dataclass(frozen=True)
class GanConfig(ImagesConfig):
    """A GAN of two MLPs (Goodfellow et al. 2014), unrolled as in Metz et al. 2016."""

    train: GanTrainConfig = field(default_factory=lambda: GanTrainConfig(epochs=50, batch_size=128))
    optim: GanOptimConfig = field(default_factory=GanOptimConfig)
    gan: UnrollConfig = field(default_factory=UnrollConfig)
    score: ScoreConfig = field(default_factory=ScoreConfig)

    @property
    def cost(self) -> float:
        return float(self.epochs * (1 + self.gan.unroll_steps))

    def prerequisites(self) -> dict[str, tuple[str, RunConfig]]:
        """Return {role: (experiment, config)}; the classifier sees all images, limit or not."""
        data = DataConfig(name=self.data.name, root=self.data.root)
        train = TrainConfig(epochs=self.score.classifier_epochs, batch_size=128)
        return {"classifier": ("classifier", ClassifierConfig(data=data, train=train))}
