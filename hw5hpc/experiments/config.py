"""The config that every experiment's is made from, and the groups that they share.

Each checks itself when it is made.
"""

from dataclasses import dataclass, field

from hw5hpc.data.sets import DATA_SETS
from hw5hpc.errors import FieldError, brief, nearest
from hw5hpc.sweep.point import RunConfig

PRECISIONS = ("fp32", "tf32", "bf16")


def at_least(node: object, field_name: str, lowest: float) -> None:
    """Raise FieldError unless the field's value is None or a number of at least `lowest`."""
    value = getattr(node, field_name)
    if value is not None and not value >= lowest:
        raise FieldError(field_name, f"takes values of at least {lowest}, got {value}")


def above(node: object, field_name: str, bound: float) -> None:
    """Raise FieldError unless the field's value is None or a finite number above `bound`."""
    value = getattr(node, field_name)
    if value is not None and not bound < value < float("inf"):
        raise FieldError(field_name, f"takes finite values above {bound}, got {value}")


def one_of(node: object, field_name: str, allowed: tuple[str, ...]) -> None:
    """Raise FieldError unless the field's value is one of the allowed words."""
    value = getattr(node, field_name)
    if value not in allowed:
        hint = nearest(value, allowed)
        raise FieldError(
            field_name, f"takes one of {', '.join(allowed)}, got {brief(value)}.{hint}"
        )


@dataclass(frozen=True)
class DataConfig:
    """Which images; `root` only says where they lie, so it does not change a run's id."""

    name: str = "fashion_mnist"
    root: str | None = field(default=None, metadata={"identity": False})
    limit: int | None = None

    def __post_init__(self) -> None:
        one_of(self, "name", tuple(DATA_SETS))
        at_least(self, "limit", 1)


@dataclass(frozen=True)
class TrainConfig:
    """How long, in what batches, and in which number format (engine.precision).

    `batch_size` is the global batch, over all ranks.
    """

    epochs: int = 10
    batch_size: int = 128
    precision: str = "fp32"
    checkpoint_minutes: float = field(default=5.0, metadata={"identity": False})

    def __post_init__(self) -> None:
        at_least(self, "epochs", 1)
        at_least(self, "batch_size", 1)
        one_of(self, "precision", PRECISIONS)
        at_least(self, "checkpoint_minutes", 0)


@dataclass(frozen=True)
class ExperimentConfig(RunConfig):
    """What the parts around a run ask of every experiment's config: how long it is, and its data.

    An experiment that trains takes a TrainedConfig, one that trains on images an ImagesConfig.
    """

    @property
    def epochs(self) -> int:
        return 1

    @property
    def cost(self) -> float:
        """How long the run takes beside others of its experiment, in any unit."""
        return float(self.epochs)

    @property
    def checkpoint_minutes(self) -> float:
        return 5.0

    @property
    def precision(self) -> str:
        return "fp32"

    @property
    def images(self) -> DataConfig | None:
        """The data set that must be there before the run can start; None: it needs none."""
        return None


@dataclass(frozen=True)
class TrainedConfig(ExperimentConfig):
    """An experiment that trains; subclasses give `train` their own defaults."""

    train: TrainConfig = field(default_factory=TrainConfig)

    @property
    def epochs(self) -> int:
        return self.train.epochs

    @property
    def checkpoint_minutes(self) -> float:
        return self.train.checkpoint_minutes

    @property
    def precision(self) -> str:
        return self.train.precision


@dataclass(frozen=True)
class ImagesConfig(TrainedConfig):
    """An experiment that trains on images; subclasses give `data` their own default."""

    data: DataConfig = field(default_factory=DataConfig)

    @property
    def images(self) -> DataConfig:
        return self.data
