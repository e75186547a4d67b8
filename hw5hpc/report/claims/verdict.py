"""What a claim comes to: its verdict, the numbers that decide, and what would settle it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from hw5hpc.report.statistics import FEWEST
from hw5hpc.report.tables import Tables

HOLDS, FAILS, OPEN = "holds", "does not hold", "cannot be told"
ONE_SEED = "cannot be told (one seed)"
NO_RUNS = "cannot be told (no finished runs)"
ENOUGH = f"at least {FEWEST} seeds of each"


@dataclass(frozen=True)
class Ruling:
    """What numbers say about a statement; `settle` is what would decide an open one."""

    verdict: str
    numbers: str
    settle: str = ""

    @property
    def decided(self) -> bool:
        return self.verdict in (HOLDS, FAILS)


@dataclass(frozen=True)
class Verdict:
    """A claim's sentence, whether it holds, and the numbers that decide.

    Attributes:
        settle: for an undecided claim what would settle it, '' when decided or not known.
        finding: one short sentence for people, with its numbers; '' when nothing was found.
        original: what the original study said, for a claim of its; '' for one of this study.
        rule: the rule that decides, for a claim of the original.
        effect: how much there is to see; of the decided findings the largest is told first.
    """

    claim: str
    sentence: str
    verdict: str
    numbers: str
    settle: str = ""
    finding: str = ""
    original: str = ""
    rule: str = ""
    effect: float = 0.0


@dataclass(frozen=True)
class Statement:
    """A statement about a sweep; `judge` gives one verdict for each case the sweep has."""

    name: str
    judge: Callable[[Tables], Iterator[Verdict]]


def ruled(sentence: str, ruling: Ruling, finding: str = "", effect: float = 0.0) -> Verdict:
    """Return a verdict whose claim's name is still to be filled in."""
    return Verdict(
        "", sentence, ruling.verdict, ruling.numbers, ruling.settle, finding, effect=effect
    )


def too_few(n: int) -> str | None:
    """Return the verdict that so few seeds leave, None when they may decide."""
    return {0: NO_RUNS, 1: ONE_SEED}.get(n, OPEN if n < FEWEST else None)


def every_run(right: Iterable[bool], numbers: str) -> Ruling:
    """Rule on a statement about every run: one that contradicts it is enough against it."""
    found = list(right)
    verdict = too_few(len(found))
    if verdict:
        return Ruling(verdict, numbers, f"at least {FEWEST} seeds")
    return Ruling(HOLDS if all(found) else FAILS, numbers)
