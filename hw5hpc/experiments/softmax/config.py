"""The softmax experiment's config."""

from dataclasses import dataclass, field

from hw5hpc.errors import FieldError
from hw5hpc.experiments.config import ExperimentConfig, at_least, one_of

DTYPES = ("float16", "bfloat16", "float32", "float64")


@dataclass(frozen=True)
class ShiftConfig:
    """Random logits [rows, classes], the offset added to all of them, and the number format."""

    offset: float = 0.0
    dtype: str = "float32"
    rows: int = 1000
    classes: int = 10

    def __post_init__(self) -> None:
        at_least(self, "offset", 0)
        if self.offset == float("inf"):
            raise FieldError("offset", "takes finite values: an infinite one leaves no logits")
        one_of(self, "dtype", DTYPES)
        at_least(self, "rows", 1)
        at_least(self, "classes", 1)


@dataclass(frozen=True)
class SoftmaxConfig(ExperimentConfig):
    """One offset in one number format."""

    softmax: ShiftConfig = field(default_factory=ShiftConfig)
