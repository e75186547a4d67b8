"""Values over seeds in the words of a sentence."""

import pandas as pd

from hw5hpc.report.statistics import estimate

COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
DOUBT = "the two cannot be told apart yet"


def steps(depth: int) -> str:
    """Return 'five unrolled steps'."""
    count = COUNTS[depth] if 0 <= depth < len(COUNTS) else str(depth)
    return f"{count} unrolled step{'' if depth == 1 else 's'}"


def mean(values: "pd.Series[float]") -> str:
    """Return the mean as short as it can be read."""
    return f"{estimate(values).mean:.3g}"


def over_seeds(values: "pd.Series[float]") -> str:
    """Return for how many seeds a mean stands, and whether all of them agree."""
    if len(values) == 1:
        return "in one seed"
    if values.nunique() == 1:
        return f"in {'both' if len(values) == 2 else f'all {len(values)}'} seeds"
    return f"on average over {len(values)} seeds"


def sentence(text: str) -> str:
    """Return the text with a capital at its head and a full stop at its end."""
    return f"{text[:1].upper()}{text[1:]}."
