"""docs/your_experiment.md followed to the letter, and what becomes of files that are wrong."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hw5hpc.errors import UserError
from hw5hpc.experiments import read_sweep

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "your_experiment.md").read_text()
BLOCKS = dict(re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL))
COMMANDS = re.findall(r"^python jobs/submit.py my_study.yaml (.*)$", PAGE, re.MULTILINE)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    (tmp_path / "my_study.py").write_text(BLOCKS["python"])
    (tmp_path / "my_study.yaml").write_text(BLOCKS["yaml"])
    return tmp_path


def run(study: Path, words: str, script: str = "submit") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "jobs" / f"{script}.py"), "my_study.yaml", *words.split()]
    env = {**os.environ, "WANDB_MODE": "disabled"}
    return subprocess.run(command, cwd=study, env=env, capture_output=True, text=True, timeout=400)


def results(study: Path) -> list[dict[str, str]]:
    path = study / "outputs" / "sweeps" / "my_study" / "report" / "results.csv"
    return list(csv.DictReader(path.read_text().splitlines()))


def test_the_page_shows_an_experiment_of_under_sixty_lines() -> None:
    assert len(BLOCKS["python"].splitlines()) < 60
    assert COMMANDS == ["--local", "--cluster mine --wait"]


def test_the_page_works_here(study: Path) -> None:
    done = run(study, COMMANDS[0])
    assert done.returncode == 0, done.stdout + done.stderr
    rows = results(study)
    assert [row["state"] for row in rows] == ["finished"] * 4
    assert all(0 <= float(row["test_accuracy"]) <= 1 for row in rows)
    report = study / "outputs" / "sweeps" / "my_study" / "report"
    assert {"test_accuracy.png", "training_loss.png"} <= {path.name for path in report.iterdir()}
    shown = json.loads(run(study, "--json", "status").stdout)
    assert {row["state"] for row in shown} == {"finished"}
    again = run(study, COMMANDS[0])
    assert "all points are finished" in again.stdout
    with (study / "my_study.py").open("a") as file:
        file.write("# changed\n")
    assert "4 finished by another version of the code" in run(study, COMMANDS[0]).stdout


@pytest.mark.slurm
def test_the_page_works_on_slurm(study: Path, dev_cluster: Path) -> None:
    done = run(study, COMMANDS[1].replace("mine", "dev"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert [row["state"] for row in results(study)] == ["finished"] * 4
    (frozen,) = (study / "outputs" / "sweeps" / "my_study" / "code").glob("*/own/my_study.py")
    assert frozen.read_text() == BLOCKS["python"]
    for path in (study / "outputs" / "runs").glob("*/provenance.json"):
        assert json.loads(path.read_text())["code"] == frozen.parents[1].name
    # What the jobs ran from and what lies here are one version.
    assert "another version" not in run(study, COMMANDS[1].replace("mine", "dev")).stdout


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        ("class Config(", "class Conf(", "my_study.py: takes a frozen dataclass 'Config'"),
        ("class Training(", "class Train(", "my_study.py: takes a class 'Training'"),
        ("Training(Supervised)", "Training", "lacks start, step"),
        ("import get_model", "import get_modle", "my_study.py:6: ImportError"),
        (
            "class Config(ImagesConfig):",
            "class Config(ImagesConfig)",
            "my_study.py:28: SyntaxError",
        ),
        ('width: str = "x0_5"', 'width: str = "x9"', "Config(): FieldError: width: takes one of"),
    ],
)
def test_a_file_that_is_no_experiment_is_one_line(
    study: Path, right: str, wrong: str, words: str
) -> None:
    text = BLOCKS["python"]
    assert right in text
    (study / "my_study.py").write_text(text.replace(right, wrong))
    with pytest.raises(UserError) as caught:
        read_sweep(study / "my_study.yaml")
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_the_command_line_says_it_with_status_2_and_writes_nothing(study: Path) -> None:
    (study / "my_study.py").write_text(BLOCKS["python"].replace("class Config(", "class Conf("))
    done = run(study, "--local")
    assert done.returncode == 2
    assert "takes a frozen dataclass 'Config'" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (study / "outputs").exists()


def test_an_unknown_file_or_key_is_one_line(study: Path) -> None:
    with pytest.raises(UserError, match=r"Did you mean 'model\.width'\?"):
        read_sweep(study / "my_study.yaml", ["model.widht=x1_0"])
    (study / "my_study.py").unlink()
    with pytest.raises(UserError, match=r"my_study\.py: cannot be read: No such file"):
        read_sweep(study / "my_study.yaml")


def test_an_error_in_training_names_its_line(study: Path) -> None:
    text = BLOCKS["python"].replace("div(127.5)", "div(no_such_name)")
    (study / "my_study.py").write_text(text)
    assert run(study, "--local --name my_study seed=0 model.width=x0_5").returncode == 1
    (row,) = results(study)
    line = 1 + text[: text.index("no_such_name")].count("\n")
    assert row["state"] == "failed"
    assert f"NameError: name 'no_such_name' is not defined (my_study.py:{line})" in row["reason"]
