"""Cluster profiles: every value is checked before Slurm sees it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hw5hpc.cluster import profile as profiles
from hw5hpc.cluster.profile import FOLDER, Profile, ProfileError
from hw5hpc.sweep.grammar import read as read_sweep

SWEEP = Path("sweeps/x.yaml")
SWEEPS = sorted((FOLDER.parent / "sweeps").glob("*.yaml"))
Mine = Callable[..., Profile]


def load(block: dict[str, Any], name: str = "default") -> Profile:
    return profiles.load(name, block, SWEEP)


@pytest.fixture
def mine(tmp_path: Path) -> Mine:
    """Load a profile of these lines, with a sweep's block and words of the command line."""

    def made(text: str, block: dict[str, Any] | None = None, **words: Any) -> Profile:
        (tmp_path / "mine.yaml").write_text(text)
        return profiles.load("mine", block or {}, SWEEP, tmp_path, words)

    return made


@pytest.mark.parametrize("name", [path.stem for path in FOLDER.glob("*.yaml")])
def test_every_profile_that_ships_is_valid(name: str) -> None:
    assert load({}, name).minutes > 0


def test_a_sweeps_block_counts_where_the_profile_says_nothing() -> None:
    assert load({"time": "00:10:00", "gpus_per_node": 0, "pack": 3}).minutes == 10
    assert load({"pack": 3}).pack == "3"


def test_the_profile_is_the_clusters_word_and_the_command_line_has_the_last(mine: Mine) -> None:
    needs = {"time": "04:00:00", "gpus_per_node": 4, "nodes": 2}
    profile = mine("time: '08:00:00'\ngpus_per_node: 1\n", needs)
    assert (profile.minutes, profile.gpus_per_node, profile.nodes) == (480, 1, 2)
    assert mine("time: '08:00:00'\n", needs, time="00:30:00").minutes == 30


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_a_copied_example_decides_for_every_sweep_that_ships(mine: Mine, path: Path) -> None:
    text = (FOLDER / "example_gpu_cluster.yaml").read_text()
    for line in ('time: "08:00:00"', "# gpus_per_node: 1  ", "partition: gpu"):
        assert line in text
    text = text.replace("08:00:00", "11:00:00").replace("# gpus_per_node: 1  ", "gpus_per_node: 3")
    profile = mine(text, read_sweep(path).cluster)
    assert (profile.minutes, profile.gpus_per_node, profile.partition) == (660, 3, "gpu")


def test_processes_of_a_sweep_do_not_fight_with_the_profiles_gpus(mine: Mine) -> None:
    profile = mine("gpus_per_node: 2\n", {"gpus_per_node": 0, "tasks_per_node": 3})
    assert (profile.gpus_per_node, profile.processes_per_node) == (2, 2)


def test_memory_can_be_left_out_or_given_for_a_cpu(mine: Mine) -> None:
    assert "mem" not in mine("mem_gb: null\n").options()
    options = mine("mem_per_cpu_gb: 3\n", {"mem_gb": 16}).options()
    assert (options.get("mem"), options["mem-per-cpu"]) == (None, "3G")
    assert mine("mem_per_cpu_gb: 3\n", mem_gb=5).options()["mem"] == "5G"
    with pytest.raises(ProfileError, match=r"mine.yaml: key 'mem_per_cpu_gb' takes null beside"):
        mine("mem_per_cpu_gb: 3\nmem_gb: 5\n")


@pytest.mark.parametrize(
    ("text", "option", "value"),
    [
        ("gpus_per_node: a100:2", "gpus-per-node", "a100:2"),
        ("gpu_type: a100:2", "gpus-per-node", "a100:2"),
        ("{gpu_type: a100, gpus_per_node: 2}", "gpus-per-node", "a100:2"),
        ("{gpus_per_node: a100:2, gpu_request: gres}", "gres", "gpu:a100:2"),
        ("gpu_request: gres", "gres", "gpu:1"),
        ("{gpus_per_node: 0, gpu_type: a100}", "gpus-per-node", None),
        ("reservation: course", "reservation", "course"),
        ("exclude: n[3,7]", "exclude", "n[3,7]"),
        ("licenses: scratch:1", "licenses", "scratch:1"),
        ("{mail_type: 'END,FAIL', mail_user: me@site.org}", "mail-user", "me@site.org"),
        ("nice: 100", "nice", "100"),
        ("nice: 0", "nice", "0"),
        ("sbatch: {hint: nomultithread}", "hint", "nomultithread"),
        ("sbatch: {exclusive: true}", "exclusive", ""),
        ("sbatch: {exclusive: false}", "exclusive", None),
        ("sbatch: {switches: 1}", "switches", "1"),
    ],
)
def test_what_sites_ask_for_has_a_key(mine: Mine, text: str, option: str, value: str) -> None:
    assert mine(text + "\n").options().get(option) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sbatch: {mem: 3G}", "takes no 'mem': use the key 'mem_gb'"),
        ("sbatch: {job-name: x}", "takes no 'job-name': it is the same for every job"),
        ("sbatch: {Comment: x}", "takes sbatch's long options as keys, got 'Comment'"),
        ("sbatch: {comment: [a]}", "takes one value for 'comment'"),
        ('sbatch: {comment: ""}', "takes printable text for 'comment'"),
        ("sbatch: [a]", "takes 'key: value' lines"),
        ("{sbatch: {gres: x:1}, gpu_request: gres}", "takes no 'gres' beside gpu_request"),
        ("gpu_request: some", "takes gpus-per-node or gres, got 'some'"),
        ("gpu_type: a 100", "key 'gpu_type' takes one word"),
        ("{gpu_type: v100, gpus_per_node: a100:2}", "'gpu_type' takes a100 beside gpus_per_node"),
        ("mail_user: a b", "key 'mail_user' takes one word"),
        ("nice: high", "key 'nice' takes int"),
        ("report: {tim: 1}", "report: unknown key 'tim'.*Did you mean 'time'"),
        ("report: {pack: 1}", "report: unknown key 'pack'"),
        ("report: {time: soon}", "report: key 'time' takes HH:MM:SS"),
        ("report: {mem_gb: 0}", "report: key 'mem_gb' takes whole numbers"),
        ("report: {gpus_per_node: 2}", "report: key 'gpus_per_node' takes 0 or 1"),
        ("prerequisites: {nodes: none}", "prerequisites: key 'nodes' takes int"),
        ("prerequisites: 3", "key 'prerequisites' takes 'key: value' lines"),
    ],
)
def test_wrong_words_of_a_profile_are_one_line(mine: Mine, text: str, words: str) -> None:
    with pytest.raises(ProfileError, match=rf"mine.yaml: .*{words}") as caught:
        mine(text + "\n")
    assert len(str(caught.value).splitlines()) == 1


def test_nothing_can_end_a_line_of_the_batch_script() -> None:
    with pytest.raises(ProfileError, match="takes printable text for 'comment'"):
        load({"sbatch": {"comment": "a\n#SBATCH --uid=0"}})


def test_the_report_and_the_prerequisites_have_resources_of_their_own(mine: Mine) -> None:
    text = """
partition: gpu
gpus_per_node: a100:4
nodes: 2
mem_gb: 64
report: {partition: cpu, time: "00:20:00", mem_per_cpu_gb: 2}
prerequisites: {gpus_per_node: 1, nodes: 1}
"""
    profile = mine(text)
    assert profile.options()["gpus-per-node"] == "a100:4"
    report = profile.for_report()
    assert (report.partition, report.minutes, report.gpus, report.processes) == ("cpu", 20, 0, 1)
    assert (report.mem_gb, report.mem_per_cpu_gb) == (None, 2)
    first = profile.for_prerequisites()
    assert (first.options()["gpus-per-node"], first.processes, first.mem_gb) == ("a100:1", 1, 64)
    assert mine("report: {gpus_per_node: v100:1}\n").for_report().options()["gpus-per-node"] == (
        "v100:1"
    )


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
        ({"abreast": "0"}, "'abreast' takes auto or a whole number from 1, got '0'"),
        ({"abreast": 2, "gpus_per_node": 4}, "takes 1 where 4 processes train one run together"),
        (
            {"abreast": 2, "prerequisites": {"gpus_per_node": 2}},
            "prerequisites: key 'abreast' takes 1 where 2 processes",
        ),
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
        ({"mem_gb": "064"}, r"takes int \| null, got '064'"),
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
