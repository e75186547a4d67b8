"""Cluster profiles: every value is checked before Slurm sees it."""

from pathlib import Path
from typing import Any

import pytest

from hw5hpc.cluster import profile as profiles
from hw5hpc.cluster.profile import FOLDER, Profile, ProfileError

SWEEP = Path("sweeps/x.yaml")


def load(block: dict[str, Any], name: str = "default") -> Profile:
    return profiles.load(name, block, SWEEP)


@pytest.mark.parametrize("name", [path.stem for path in FOLDER.glob("*.yaml")])
def test_every_profile_that_ships_is_valid(name: str) -> None:
    assert load({}, name).minutes > 0


def test_the_sweeps_block_wins() -> None:
    assert load({"time": "00:10:00", "gpus_per_node": 0, "pack": 3}).minutes == 10
    assert load({"pack": 3}).pack == "3"


@pytest.mark.parametrize(
    ("block", "on_a_node", "processes", "gpus"),
    [
        ({}, 1, 1, 1),
        ({"gpus_per_node": 4, "nodes": 2}, 4, 8, 8),
        ({"gpus_per_node": 4, "tasks_per_node": 4}, 4, 4, 4),
        ({"gpus_per_node": 0}, 1, 1, 0),
        ({"gpus_per_node": 0, "tasks_per_node": 3, "nodes": 2}, 3, 6, 0),
    ],
)
def test_one_process_a_gpu_or_as_many_as_asked_for(
    block: dict[str, Any], on_a_node: int, processes: int, gpus: int
) -> None:
    profile = load(block)
    found = (profile.processes_per_node, profile.processes, profile.gpus)
    assert found == (on_a_node, processes, gpus)


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("02:00:00", 120), ("1-00:00:00", 1440), ("00:00:30", 1), ("90", 90), ("0:05:01", 6)],
)
def test_times(text: str, minutes: int) -> None:
    assert load({"time": text}).minutes == minutes


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({"gpu_per_node": 1}, "Did you mean 'gpus_per_node'"),
        ({"gpus_per_node": -1}, "at least 0"),
        ({"device": "gpu"}, "takes auto, cpu, cuda, got 'gpu'"),
        ({"gpus_per_node": "many"}, "takes int"),
        ({"nodes": 0}, "at least 1"),
        ({"max_crashes": -1}, "at least 0"),
        ({"max_crashes": "often"}, "takes int"),
        ({"max_stops": -1}, "at least 0"),
        ({"max_crash": 1}, "Did you mean 'max_crashes'"),
        ({"tasks_per_node": 2}, "one process for each of gpus_per_node: 1"),
        ({"tasks_per_node": 1, "gpus_per_node": 4}, "takes 4, one process for each"),
        ({"tasks_per_node": 0}, "at least 1"),
        ({"time": "soon"}, "HH:MM:SS"),
        ({"time": 28800}, "in quotes"),
        ({"time": "00:00:00"}, "at least one minute"),
        ({"pack": "some"}, "auto or a whole number"),
        ({"partition": "a\n#SBATCH --uid=0"}, "one word"),
        ({"partition": "$(reboot)"}, "one word"),
        ({"account": "a;b"}, "one word"),
        ({"qos": "a b"}, "one word"),
        ({"constraint": "'"}, "one word"),
        ({"setup": ["true\n#SBATCH --uid=0"]}, "one shell command"),
        ({"setup": ["#SBATCH --uid=0"]}, "one shell command"),
        ({"setup": {"a": "b"}}, "list of texts"),
        ({"setup": [["true"]]}, "list of texts"),
        ({"partition": 1.10}, "takes text, got 1.1; write it in quotes"),
        ({"mem_gb": "064"}, "takes int, got '064'"),
    ],
)
def test_bad_values_are_one_line_with_file_and_key(block: dict[str, Any], words: str) -> None:
    with pytest.raises(ProfileError, match=words) as caught:
        load(block)
    assert "sweeps/x.yaml" in str(caught.value)
    assert next(iter(block)) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_budgets_come_from_the_profile_and_the_sweep() -> None:
    assert (load({}).max_crashes, load({}).max_stops) == (2, None)
    changed = load({"max_crashes": 0, "max_stops": 5})
    assert (changed.max_crashes, changed.max_stops) == (0, 5)
    assert load({"max_stops": None}).max_stops is None


@pytest.mark.parametrize(
    ("time", "seconds"), [("00:01:00", 20), ("00:02:00", 40), ("00:10:00", 90), ("02:00:00", 90)]
)
def test_a_short_job_gets_to_train_before_it_is_warned(time: str, seconds: int) -> None:
    assert load({"time": time}).warning_seconds == seconds


def test_an_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(ProfileError, match=r"unknown profile 'defualt'.*Did you mean 'default'"):
        load({}, "defualt")


def test_a_broken_profile_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("partition: [")
    with pytest.raises(ProfileError, match=r"mine.yaml: broken YAML"):
        profiles.load("mine", {}, SWEEP, tmp_path)


@pytest.mark.parametrize(
    ("block", "needs"),
    [
        ({}, "cuda"), ({"device": "cpu"}, "cpu"), ({"gpus_per_node": 0}, "auto"),
        ({"gpus_per_node": 0, "device": "cuda"}, "cuda"),
    ],
)  # fmt: skip
def test_a_job_that_asks_for_gpus_needs_them_unless_told_otherwise(
    block: dict[str, Any], needs: str
) -> None:
    assert load(block).trains_on == needs
