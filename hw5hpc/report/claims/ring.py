"""The claims of Metz et al. 2016, section 3.1, on the ring of Gaussians."""

from collections.abc import Iterator

import pandas as pd

from hw5hpc.report.claims import words
from hw5hpc.report.claims.compare import side
from hw5hpc.report.claims.verdict import Verdict, every_run, ruled
from hw5hpc.report.tables import Tables

KEY = "gan.unroll_steps"
FEW = 2


def ring(tables: Tables) -> Iterator[Verdict]:
    """Judge every seed: without unrolling at most FEW modes, with 5 or 10 steps all of them."""
    depths = [setting[0] for setting in tables.compared] if tables.settings == [KEY] else []
    for depth in depths:
        if depth in (0, 5, 10):
            yield _judged(tables, depth)


def _judged(tables: Tables, depth: int) -> Verdict:
    modes = int(tables.largest("ring.modes", 8))
    values = side("", tables.finished((depth,)), "modes_covered").values
    right = [value >= modes if depth else value <= FEW for value in values]
    what = f"all {modes} modes are covered" if depth else f"at most {FEW} modes are covered"
    named = f"with {words.steps(depth)}" if depth else "without unrolling"
    numbers = ", ".join(f"{value:g}" for value in values) or "none"
    ruling = every_run(right, f"modes covered by each seed: {numbers}")
    count = f"{sum(right)} of {len(right)} seeds"
    vanilla = side("", tables.finished((0,)), "modes_covered").values
    beside = f"; without unrolling {_covered(vanilla, modes)}" if depth and len(vanilla) else ""
    finding = words.sentence(f"{named} {what} at the end in {count}{beside}") if right else ""
    short = f"With {depth} unrolled steps" if depth else "Without unrolling"
    return ruled(f"{short}, {what} at the end.", ruling, finding, float(sum(right)) if depth else 0)


def _covered(values: "pd.Series[float]", modes: int) -> str:
    return f"{words.mean(values)} of {modes} {words.over_seeds(values)}"
