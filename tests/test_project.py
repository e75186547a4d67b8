"""The rules of the project: versions agree, the top level is fixed, modules stay small."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted([*(ROOT / "hw5hpc").rglob("*.py"), *(ROOT / "jobs").rglob("*.py")])
TOP = {
    "jobs", "hw5hpc", "sweeps", "slurm", "tests", "docs", ".ci", "env.yaml", "README.md",
    "pyproject.toml", "requirements.lock", "Makefile", ".gitignore",
}  # fmt: skip
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def specs(lines: list[str]) -> dict[str, str]:
    return {Requirement(line).name.lower(): str(Requirement(line).specifier) for line in lines}


@pytest.mark.parametrize(
    ("said", "spins"),
    [
        ({}, "4000"),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "unset"),
    ],
)
def test_threads_spin_for_a_moment_unless_the_user_says_otherwise(
    said: dict[str, str], spins: str
) -> None:
    code = "import os, hw5hpc; print(os.environ.get('GOMP_SPINCOUNT', 'unset'))"
    kept = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, env=kept | said, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == f"{spins}\n", done.stderr


def test_conda_and_pip_agree() -> None:
    conda = yaml.safe_load((ROOT / "env.yaml").read_text())["dependencies"]
    (listed,) = [item["pip"] for item in conda if isinstance(item, dict)]
    found = specs([line for line in listed if line != "-e ."])
    assert found == specs([*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]])
    (python,) = [item for item in conda if str(item).startswith("python=")]
    assert SpecifierSet(PROJECT["requires-python"]).contains(python.removeprefix("python="))


def test_the_lock_is_exact_and_satisfies_every_range() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.+!-]+", line) for line in lines)
    assert len({line.lower().split("==")[0] for line in lines}) == len(lines)
    locked = dict(line.lower().replace("_", "-").split("==") for line in lines)
    wanted = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
    for line in wanted:
        requirement = Requirement(line)
        version = locked[requirement.name.lower().replace("_", "-")]
        assert requirement.specifier.contains(version), line


def test_the_top_level_is_what_was_agreed() -> None:
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True, check=True
    )
    assert {line.split("/")[0] for line in listed.stdout.splitlines()} - {"LICENSE"} == TOP


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_say_what_they_do_and_stay_small(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "a module's first line says the one thing it does"
    assert len(text.splitlines()) <= 300
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < 60, node.name


@pytest.mark.parametrize("floor", ["cluster", "node", "team"])
def test_the_map_has_no_room_missing_and_none_too_many(floor: str) -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    (block,) = re.findall(rf"^  {floor}/ .*\n((?:    \S+\.py .*\n)+)", text, re.M)
    shown = re.findall(r"^    (\S+\.py) ", block, re.M)
    rooms = {path.name for path in (ROOT / "hw5hpc" / floor).glob("*.py")} - {"__init__.py"}
    assert sorted(shown) == sorted(rooms)


def test_every_sweep_that_ships_loads() -> None:
    from hw5hpc.experiments import SCHEMAS
    from hw5hpc.report.figures import check_names
    from hw5hpc.sweep import load

    for path in (ROOT / "sweeps").glob("*.yaml"):
        for debug in (False, True):
            sweep = load(path, SCHEMAS, debug=debug)
            check_names(sweep.report, str(path))
