"""What a sweep is meant to show, and whether its numbers show it."""

from dataclasses import replace
from functools import partial

from hw5hpc.report.claims.batch_norm import batch_norm
from hw5hpc.report.claims.original import ORIGINALS
from hw5hpc.report.claims.ring import ring
from hw5hpc.report.claims.softmax import overflow
from hw5hpc.report.claims.unrolling import (
    CLASSES,
    VARIATION,
    Measure,
    at_end,
    at_equal_compute,
    at_equal_steps,
    collapse,
    unrolling,
)
from hw5hpc.report.claims.verdict import Statement, Verdict
from hw5hpc.report.tables import Tables

__all__ = ["CLAIMS", "ORIGINALS", "Statement", "Verdict", "judge"]


def judge(tables: Tables) -> list[Verdict]:
    """Return the verdicts on every claim of the tables' experiment, the original's last."""
    ours, theirs = (table.get(tables.experiment, ()) for table in (CLAIMS, ORIGINALS))
    return [
        replace(found, claim=claim.name)
        for claims in (ours, theirs)
        for claim in claims
        for found in claim.judge(tables)
    ]


def _unrolling(name: str, measure: Measure) -> tuple[Statement, ...]:
    ways = {"": at_end, " at equal steps": at_equal_steps, " at equal compute": at_equal_compute}
    return tuple(
        Statement(name + way, partial(unrolling, measure=measure, look=look))
        for way, look in ways.items()
    )


CLAIMS: dict[str, tuple[Statement, ...]] = {
    "gan": (
        *_unrolling("more classes", CLASSES),
        Statement("collapse", collapse),
        *_unrolling("lower total variation", VARIATION),
    ),
    "cnn": (
        Statement(
            "larger training loss",
            partial(batch_norm, column="train_loss", name="training loss", more="larger"),
        ),
        Statement(
            "higher test accuracy",
            partial(batch_norm, column="test_accuracy", name="test accuracy", more="higher"),
        ),
    ),
    "ring": (Statement("modes", ring),),
    "softmax": (Statement("overflow", overflow),),
}
