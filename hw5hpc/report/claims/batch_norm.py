"""Claims of batch norm: what it does to the training loss and the test accuracy."""

from collections.abc import Iterator

from hw5hpc.report.claims import words
from hw5hpc.report.claims.compare import Side, compare, pairs, side
from hw5hpc.report.claims.verdict import Ruling, Verdict, ruled
from hw5hpc.report.columns import possible
from hw5hpc.report.tables import Tables

KEY = "model.batch_norm"


def batch_norm(tables: Tables, column: str, name: str, more: str) -> Iterator[Verdict]:
    """Judge a final value with batch norm against without, where nothing else varies."""
    if tables.settings != [KEY] or not pairs(tables, KEY, False):
        return
    with_it = side("with batch norm", tables.finished((True,)), column)
    without = side("without", tables.finished((False,)), column)
    ruling = compare(with_it, without, possible(tables, column))
    finding = _finding(name, with_it, without, ruling)
    yield ruled(f"The {name} is {more} with batch norm than without.", ruling, finding)


def _finding(name: str, with_it: Side, without: Side, ruling: Ruling) -> str:
    if with_it.values.empty or without.values.empty:
        return ""
    doubt = "" if ruling.decided else f": {words.DOUBT}"
    return words.sentence(
        f"the {name} is {words.mean(with_it.values)} with batch norm "
        f"{words.over_seeds(with_it.values)}, {words.mean(without.values)} without{doubt}"
    )
