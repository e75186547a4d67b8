"""The ids of the shipped sweeps' points, so that no change loses the runs that users have.

A GAN's id also depends on the classifier that scores it, so GANs are not pinned here. When a
sweep file itself changes, write the list anew with `python tests/sweep/test_golden_ids.py`.
"""

from pathlib import Path

import pytest

from hw5hpc.experiments import SCHEMAS
from hw5hpc.sweep import load

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).with_name("golden_ids.txt")
PINNED = ("classifier", "cnn", "ring", "softmax")
CALLS = [(path.stem, debug) for path in sorted((ROOT / "sweeps").glob("*.yaml"))
         for debug in (False, True)]  # fmt: skip


def golden() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for line in GOLDEN.read_text().splitlines():
        name, *ids = line.split()
        found.setdefault(name, set()).update(ids)
    return found


def ids(name: str, debug: bool) -> tuple[str, list[str]]:
    sweep = load(ROOT / "sweeps" / f"{name}.yaml", SCHEMAS, debug=debug)
    return sweep.name, [point.id for point in sweep.points if point.experiment in PINNED]


@pytest.mark.parametrize(("name", "debug"), CALLS)
def test_no_point_of_a_shipped_sweep_has_moved(name: str, debug: bool) -> None:
    full, now = ids(name, debug)
    moved = golden().get(full, set()) - set(now)
    assert not moved, f"{len(moved)} ids of {full} are gone; users' finished runs would be lost"


def write() -> None:
    rows = [ids(*call) for call in CALLS]
    GOLDEN.write_text("".join(f"{name} {' '.join(found)}\n" for name, found in rows if found))


if __name__ == "__main__":
    write()
