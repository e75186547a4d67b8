"""The original homework's statements, each with the rule that decides it, stated beforehand."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from hw5hpc.report.claims.original_rules import (
    crowded,
    larger_loss,
    near_uniform,
    one_more_run,
    settled,
)
from hw5hpc.report.claims.softmax import invariant
from hw5hpc.report.claims.verdict import OPEN, Ruling, Verdict, ruled
from hw5hpc.report.tables import Tables, settings_of

# One run each way on CIFAR-10, ten epochs; which network the losses are of is not said.
ACCURACY = {False: 0.6225, True: 0.6356}
LOSSES = {1: 1.6185, 10: 0.9991}
EPOCHS = 10
GAN_LOSSES = {"discriminator_loss": 1.4, "generator_loss": 0.75}

# The config values without which runs cannot speak about a statement; None is an absent key.
CIFAR = {"data.name": ("cifar10",), "data.limit": (None,), "train.epochs": (EPOCHS,)}
FASHION = {
    "data.name": ("fashion_mnist",), "data.limit": (None,), "score.samples": (None, 3000),
}  # fmt: skip
LOGISTIC = {**FASHION, "gan.objective": (None, "non_saturating")}

ONE_MORE = (
    "Holds when the original's number lies in the 95 % prediction interval for one more run of "
    "ours and that reaches at most {} to each side; does not hold when it lies outside; "
    "a wider interval would agree with too much, and cannot tell."
)
EVERY = "holds when so in every seed, does not hold when not so in some."


@dataclass(frozen=True)
class Original:
    """One statement of the original, which made a single run of each kind.

    Attributes:
        name: the claim's name.
        said: what the original reports, with its number.
        sentence: the statement as one about these runs; {} is the case where there are several.
        rule: when it holds, for people.
        needs: {config key: the values with which runs can speak about it}.
        cases: gives (case, ruling) for each case that a sweep has.
    """

    name: str
    said: str
    sentence: str
    rule: str
    needs: Mapping[str, tuple[Any, ...]]
    cases: Callable[[Tables], Iterator[tuple[str, Ruling]]]

    def judge(self, tables: Tables) -> Iterator[Verdict]:
        """Give a verdict for each case; only the reason where the runs cannot speak about it."""
        lacking = _lacking(tables, self.needs)
        for case, ruling in self.cases(tables):
            found = Ruling(OPEN, lacking, "runs with these values") if lacking else ruling
            verdict = ruled(self.sentence.format(case), found)
            yield replace(verdict, original=self.said, rule=self.rule)


def _lacking(tables: Tables, needs: Mapping[str, tuple[Any, ...]]) -> str:
    """Return which values these runs would need and have not; '' when nothing is lacking."""
    wrong = []
    for key, allowed in needs.items():
        values = dict.fromkeys(value for (value,) in settings_of(tables.results, [key]))
        if not set(values) <= set(allowed):
            wanted = " or ".join(map(_shown, allowed))
            wrong.append(f"{key} = {wanted} (here {' and '.join(map(_shown, values))})")
    return f"needs {', '.join(wrong)}" if wrong else ""


def _shown(value: object) -> str:
    return "none" if value is None else str(value)


def _accuracy(batch_norm: bool) -> Original:
    words, number = _with(batch_norm), ACCURACY[batch_norm]
    return Original(
        f"original: test accuracy {words}",
        f"test accuracy {number} {words}",
        f"The test accuracy {words} is the original's, {number}.",
        ONE_MORE.format(0.05),
        CIFAR,
        partial(one_more_run, batch_norm=batch_norm, widest=0.05,
                numbers={EPOCHS: ("test_accuracy", number)}),
    )  # fmt: skip


def _losses(batch_norm: bool) -> Original:
    words = _with(batch_norm)
    return Original(
        f"original: training loss {words}",
        "the training loss falls from 1.62 to 1.00 over ten epochs",
        f"The training loss {words} falls from 1.62 to 1.00 over ten epochs.",
        ONE_MORE.format("0.1 nats") + " Both numbers must hold.",
        CIFAR,
        partial(one_more_run, batch_norm=batch_norm, widest=0.1,
                numbers={epoch: ("train_loss", loss) for epoch, loss in LOSSES.items()}),
    )  # fmt: skip


def _with(batch_norm: bool) -> str:
    return "with batch norm" if batch_norm else "without batch norm"


ORIGINALS: dict[str, tuple[Original, ...]] = {
    "cnn": (
        _accuracy(False),
        _accuracy(True),
        Original(
            "original: larger training loss",
            "the training loss is larger with batch norm",
            "At the original's length the training loss is larger with batch norm.",
            "The 95 % interval of the difference lies above 0 (holds) or below (does not hold).",
            CIFAR,
            larger_loss,
        ),
        _losses(False),
        _losses(True),
    ),
    "gan": (
        Original(
            "original: losses",
            "the vanilla GAN's discriminator and generator losses settle near 1.4 and 0.75",
            "The vanilla GAN's losses settle near 1.4 (discriminator) and 0.75 (generator).",
            "Each run's mean over the last fifth of its looks; holds when the 95 % interval over "
            "seeds lies within 10 % of the number, does not hold when it lies outside. "
            "Both numbers must hold.",
            LOGISTIC,
            partial(settled, numbers=GAN_LOSSES),
        ),
        Original(
            "original: one class",
            "the vanilla GAN's 3,000 samples crowd into one class",
            "The vanilla GAN's samples crowd into one class.",
            f"One class holds at least 90 % of the samples at the end: {EVERY}",
            FASHION,
            crowded,
        ),
        Original(
            "original: near uniform",
            "the unrolled GAN is near uniform: one class higher, at least five near 300 of 3,000",
            "The unrolled GAN ({}) is near uniform.",
            f"At least five classes have within 30 % of an even share at the end: {EVERY} "
            "How many classes are higher is told, not judged.",
            FASHION,
            near_uniform,
        ),
    ),
    "softmax": (
        Original(
            "original: invariance",
            "softmax does not change when a constant is added to all logits",
            "Adding a constant to all logits does not change the softmax.",
            "With the maximum subtracted, the error is at most 4 units of the number format at "
            "every offset that the format holds, measured on the inputs as rounded.",
            {},
            lambda tables: iter([("", invariant(tables))]),
        ),
    ),
}
