"""Two thousand damaged sweep and profile files: always a user's error, never a traceback."""

import random
from pathlib import Path

import pytest

from hw5hpc.cluster import profile as profiles
from hw5hpc.errors import UserError
from hw5hpc.experiments import SCHEMAS
from hw5hpc.sweep import load

ROOT = Path(__file__).resolve().parents[2]
SPICE = [
    "\n", ":", "- ", "[", "]", "{", "}", "'", '"', "#", "&a", "*a", "!!python/object", "${",
    "$(id)",
    ";", "\t", "null", "1e999", "-1", "nan", ".inf", "\0", "\u2028", "é", "0x10", "true", "---\n",
    "#SBATCH --uid=0", "<<: ", "? ", "|", ">", "%", "@", "`", "range", "logspace", "12:30:45",
]  # fmt: skip


def mutate(text: str, source: random.Random) -> str:
    """Cut, repeat, swap or season a few places."""
    for _ in range(source.randint(1, 4)):
        start = source.randrange(len(text) + 1)
        end = min(len(text), start + source.randint(0, 12))
        change = source.choice(["cut", "spice", "repeat", "swap"])
        if change == "cut":
            text = text[:start] + text[end:]
        elif change == "spice":
            text = text[:start] + source.choice(SPICE) + text[start:]
        elif change == "repeat":
            text = text[:end] + text[start:end] * source.randint(1, 3) + text[end:]
        else:
            text = text[:start] + text[start:end][::-1] + text[end:]
    return text


@pytest.mark.parametrize("seed", range(10))
def test_damaged_sweep_files(tmp_path: Path, seed: int) -> None:
    source = random.Random(seed)
    originals = [path.read_text() for path in sorted((ROOT / "sweeps").glob("*.yaml"))]
    path = tmp_path / "fuzzed.yaml"
    refused = 0
    for _ in range(150):
        path.write_text(mutate(source.choice(originals), source))
        try:
            sweep = load(path, SCHEMAS, debug=source.random() < 0.5)
            profiles.load("default", sweep.cluster, path)
        except UserError as error:
            assert len(str(error).splitlines()) == 1, str(error)
            refused += 1
    assert refused > 50


@pytest.mark.parametrize("seed", range(5))
def test_damaged_profiles(tmp_path: Path, seed: int) -> None:
    source = random.Random(seed)
    originals = [path.read_text() for path in sorted((ROOT / "slurm").glob("*.yaml"))]
    for _ in range(120):
        (tmp_path / "fuzzed.yaml").write_text(mutate(source.choice(originals), source))
        try:
            made = profiles.load("fuzzed", {}, Path("x.yaml"), tmp_path)
        except UserError as error:
            assert len(str(error).splitlines()) == 1, str(error)
            continue
        for word in (made.partition, made.account, made.qos, made.constraint):
            assert word is None or not set(word) & set("\n\r;'\"` $#")
