"""Compare every run with the same run left undisturbed: bytes, tensors, rows."""

import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import torch
from ground import read


@dataclass(frozen=True)
class Verdict:
    """Runs without a result, runs that differ from the reference, and rows that came twice."""

    runs: int
    lost: tuple[str, ...]
    differ: tuple[str, ...]
    doubled: int


def compare(reference: Path, laps: list[Path]) -> Verdict:
    """Every run of every lap against the one run of that name that was left alone."""
    names = sorted(path.parent.name for path in reference.glob("runs/*/result.json"))
    pairs = [(reference / "runs" / name, lap / "runs" / name) for lap in laps for name in names]
    lost, differ = [], []
    for first, mine in pairs:
        label = f"{mine.parents[1].name}/{mine.name}"
        if not (mine / "result.json").exists():
            lost.append(label)
        elif why := difference(first, mine):
            differ.append(f"{label}: {why}")
    return Verdict(len(pairs), tuple(lost), tuple(differ), sum(map(_doubled, laps)))


def difference(first: Path, mine: Path) -> str:
    """Return what differs between two folders of one run, or ''."""
    if (first / "metrics.jsonl").read_bytes() != (mine / "metrics.jsonl").read_bytes():
        return "metrics.jsonl"
    results = read(first / "result.json"), read(mine / "result.json")
    for key in ("state", "reason", "metrics"):
        if results[0].get(key) != results[1].get(key):
            return f"result.json: {key}"
    arrays = [{path.name: path.read_bytes() for path in folder.glob("artifacts/*.np[yz]")}
              for folder in (first, mine)]  # fmt: skip
    if arrays[0] != arrays[1]:
        return "arrays"
    weights = [torch.load(folder / "artifacts/weights.pt", weights_only=True)
               for folder in (first, mine)]  # fmt: skip
    same = weights[0].keys() == weights[1].keys() and all(
        torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items()
    )
    return "" if same else "weights"


def _doubled(out: Path) -> int:
    """Rows of one run and epoch that stand twice, in metrics.jsonl or in a report's curves."""
    rows: list[tuple[str, ...]] = []
    for path in out.glob("runs/*/metrics.jsonl"):
        rows += [(str(path), line.partition('"epoch": ')[2].partition(",")[0])
                 for line in path.read_text().splitlines()]  # fmt: skip
    for path in out.glob("sweeps/*/report/curves.csv"):
        with path.open() as file:
            rows += [(str(path), row["run"], row["epoch"]) for row in csv.DictReader(file)]
    return sum(count - 1 for count in Counter(rows).values())
