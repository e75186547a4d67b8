"""One reader for sweep files, profiles and the command line: what it reads and what it refuses."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from hw5hpc.cluster import profile as profiles
from hw5hpc.errors import UserError
from hw5hpc.experiments import SCHEMAS
from hw5hpc.sweep import Sweep, SweepError, load
from hw5hpc.sweep.grammar import read_yaml
from hw5hpc.sweep.reader import read_word

Write = Callable[[str | bytes], Path]
SOFTMAX = "experiment: softmax\n"
BOUND = 1000
AMBIGUOUS = [
    ("007", "7"),
    ("010", "10"),
    ("008", "8"),
    ("-07", "-7"),
    ("00", "0"),
    ("1:30", "90"),
    ("1:30:00", "5400"),
    ("1_000", "1000"),
    ("0x10", "16"),
    ("0o17", "15"),
    ("0b11", "3"),
]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(content: str | bytes) -> Path:
        path = tmp_path / "test.yaml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return to_file


def refused(path: Path, *overrides: str) -> str:
    """Return the one line that a sweep or its cluster block is refused with."""
    with pytest.raises(UserError) as caught:
        profiles.load("default", load(path, SCHEMAS, overrides).cluster, path)
    line = str(caught.value)
    assert len(line.splitlines()) == 1
    assert len(line) < BOUND + len(str(path))
    return line


@pytest.mark.parametrize(("text", "plain"), AMBIGUOUS)
def test_numbers_that_yaml_versions_read_differently_are_refused_in_a_file(
    write: Write, text: str, plain: str
) -> None:
    path = write(f"{SOFTMAX}grid:\n  seed: [3, {text}]\n")
    line = refused(path)
    assert line.startswith(f"{path}: line 3: key 'grid.seed': ")
    assert f'got {text}; write {plain}, or "{text}" in quotes' in line


@pytest.mark.parametrize(("text", "plain"), AMBIGUOUS)
@pytest.mark.parametrize("shape", ["{}", "[1, {}]", "{{range: [0, {}]}}"])
def test_and_on_the_command_line(write: Write, text: str, plain: str, shape: str) -> None:
    line = refused(write(SOFTMAX), f"seed={shape.format(text)}")
    assert line.startswith("command line: key 'seed")
    assert f"got {text}; write {plain}, or '\"{text}\"' in quotes" in line


@pytest.mark.parametrize(("text", "plain"), AMBIGUOUS)
def test_and_in_a_profile(tmp_path: Path, text: str, plain: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"nodes: 1\nmem_gb: {text}\n")
    with pytest.raises(profiles.ProfileError, match=rf"write {plain}, ") as caught:
        profiles.load("mine", {}, Path("x.yaml"), tmp_path)
    assert str(caught.value).startswith(f"{path}: line 2: key 'mem_gb': ")


@pytest.mark.parametrize("text", ['"007"', '"1_000"', '"0x10"', "'3 '", "３", "01:30"])
def test_quotes_do_not_let_such_numbers_through(write: Write, text: str) -> None:
    assert "key 'seed' takes int, got" in refused(write(f"{SOFTMAX}config: {{seed: {text}}}\n"))
    assert "key 'mem_gb' takes int | null, got" in refused(write(SOFTMAX), f"cluster.mem_gb={text}")


def test_a_quoted_number_and_a_quoted_time_are_what_they_look_like(write: Write) -> None:
    sweep = load(write(SOFTMAX + 'config: {seed: "5"}\n'), SCHEMAS, ["cluster.time='12:00:00'"])
    assert sweep.points[0].config.seed == 5
    assert profiles.load("default", sweep.cluster, sweep.path).minutes == 720


@pytest.mark.parametrize("text", ["1e-4", "1E-4", "1.e-4", "+1.0e-4", ".0001", "0.1e-3"])
def test_a_number_means_the_same_everywhere(write: Write, text: str) -> None:
    def offsets(sweep: Sweep) -> list[float]:
        return [point.config.softmax.offset for point in sweep.points]

    path = write(SOFTMAX)
    spaced = f"softmax.offset={{linspace: [{text}, {text}, 1]}}"
    for word in (f"softmax.offset={text}", f"softmax.offset=[{text}]", spaced):
        assert offsets(load(path, SCHEMAS, [word])) == [1e-4]
    assert offsets(load(write(f"{SOFTMAX}config: {{softmax.offset: {text}}}\n"), SCHEMAS)) == [1e-4]


def test_the_words_are_those_of_yaml_1_2() -> None:
    text = "[null, ~, true, False, .inf, -.inf, yes, no, on, off, 2020-13-45, 02:00:00, 3, -0, 1.]"
    expected = [None, None, True, False, math.inf, -math.inf, "yes", "no", "on", "off",
                "2020-13-45", "02:00:00", 3, 0, 1.0]  # fmt: skip
    assert read_word("key", text) == expected
    assert math.isnan(read_word("key", ".nan"))
    assert read_word("key", "") is None


def test_yes_and_no_still_mean_true_and_false_where_those_are_asked_for(write: Write) -> None:
    path = write("experiment: cnn\ngrid: {model.batch_norm: [yes, off]}\n")
    sweep = load(path, SCHEMAS)
    assert [point.config.model.batch_norm for point in sweep.points] == [True, False]


def test_yes_and_no_are_words_where_text_is_asked_for(write: Write) -> None:
    cluster = load(write(SOFTMAX + "cluster: {partition: on, qos: no}\n"), SCHEMAS).cluster
    profile = profiles.load("default", cluster, Path("x.yaml"))
    assert (profile.partition, profile.qos) == ("on", "no")


@pytest.mark.parametrize("path", sorted((profiles.FOLDER.parent / "sweeps").glob("*.yaml")),
                         ids=lambda path: path.stem)  # fmt: skip
def test_the_shipped_sweeps_read_as_omegaconf_reads_them(path: Path) -> None:
    assert read_yaml(path) == OmegaConf.to_container(OmegaConf.create(path.read_text()))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("config: {seed: !!bool x}", "line 2: key 'config.seed': takes no YAML tags"),
        ("config: {seed: !!timestamp 2020-13-45}", "takes no YAML tags"),
        ("config: {seed: ! 5}", "takes no YAML tags"),
        ("config: {seed: 2020-13-45}", "takes int"),
        (f"config: {{seed: {'9' * 5000}}}", "numbers that a float can hold.*5002 characters"),
        (f"config: {{seed: 0{'9' * 5000}}}", "leading zeros"),
        (f"config: {{seed: {'9' * 20}}}", "at most 9223372036854775807"),
        ("config: {softmax.offset: 1e400}", "numbers that a float can hold"),
        ("config: {softmax.offset: 1e-400}", "numbers that a float can hold"),
        ("config: {seed: 1e3}", "takes int, got 1000.0; write 1000"),
        (f"config: {{seed: {'[' * 500}{']' * 500}}}", "at most 30 levels"),
        (f"grid: {'[' * 5000}", "at most 30 levels"),
        (f"config: {{data: {'{a: ' * 40}1{'}' * 40}}}", "at most 30 levels"),
        ("config: &a [*a]", "aliases written out"),
        ("config: {<<: {seed: 1}}", "merge key"),
        ("config: {seed: *a}", "undefined alias"),
        ('config: {seed: "???"}', "stands for none"),
        ("grid: {seed: {range: [0, 99999999999999999999999]}}", "too many values"),
        (f"grid: {{seed: {{range: [0, {'9' * 300}]}}}}", "too many values"),
        ("grid: {softmax.offset: {linspace: [-1.7e308, 1.7e308, 3]}}", "less far apart"),
        ("grid: {softmax.offset: {logspace: [1e-308, 1e308, 3]}}", "less far apart"),
        ("grid: {softmax.offset: {logspace: [1e308, 1e-308, 3]}}", "less far apart"),
        (f"config: {{softmax.dtype: {'x' * 200_000}}}", "at most 4096 characters"),
        (f"config: {{softmax.dtype: {'x' * 4000}}}", "takes one of float16"),
        (f"config: {{{'x' * 1000}: 1}}", "unknown key"),
        (f"{'x' * 1000}: 1", "unknown block"),
        (f"cluster: {{partition: '{'x ' * 2000}'}}", "one word"),
        (f"cluster: {{setup: '{'x ' * 2000}'}}", "takes list"),
        (f"grid: {{seed: [{', '.join(['[1]'] * 9000)}]}}", "plain values"),
        (f"zip: [{{{', '.join(f'k{i}: {[1] * (i % 2 + 1)}' for i in range(900))}}}]", "length"),
        ("cluster: {partition: 1.10}", "takes text, got 1.1; write it in quotes"),
        ("cluster: {account: true}", "takes text"),
        ("config: {data.name: 1.0}", "unknown key 'data.name'"),
        ('config: {softmax.dtype: "\\0"}', "control characters"),
        ('config: {softmax.dtype: "\\ud800"}', "control characters"),
        ('config: {softmax.dtype: "\\x1b[2J"}', "control characters"),
        ("config: {softmax.dtype: \0}", r"line 2: takes no control characters, got '\\x00'"),
        ('config: {seed: "\\UFFFFFFFF"}', "broken YAML"),
        ("config: {seed: 1, seed: 2}", "line 2: key 'config': holds 'seed' twice"),
        ("? [a]\n: 1", "words as keys"),
        ("---\nexperiment: gan", "single document"),
        (f"# {'x' * 5_000_000}", "at most 4000000 bytes"),
    ],
    ids=lambda text: text[:30],
)
def test_bad_input_is_one_short_line(write: Write, content: str, words: str) -> None:
    path = write(f"{SOFTMAX}{content}\n")
    with pytest.raises(UserError, match=words):
        profiles.load("default", load(path, SCHEMAS).cluster, path)
    assert refused(path).startswith(str(path))


@pytest.mark.parametrize("content", [b"\xff\xfee\0", b"experiment: softmax\n# caf\xe9\n"])
def test_a_file_that_is_not_utf_8_is_one_line(write: Write, content: bytes) -> None:
    line = refused(write(content))
    assert f"line {1 + content.count(b'soft')}: takes text in UTF-8" in line


def test_aliases_are_read_but_no_bomb_goes_off(write: Write) -> None:
    path = write("experiment: softmax\nconfig: &a {seed: 3}\ndebug: *a\n")
    assert load(path, SCHEMAS, debug=True).points[0].config.seed == 3
    rows = [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi",
                                                                       strict=True)]  # fmt: skip
    assert "at most 500000 values" in refused(write("\n".join(["a: &a [x]", *rows])))


@pytest.mark.parametrize(
    "word",
    ["seed=\0", "seed=\udcff", "\udcff=1", "x" * 200_000, "x" * 200_000 + "=1", "seed=???",
     "seed=!!int 3", "seed=" + "[" * 5000, "seed=" + "9" * 5000, "softmax.offset=1e999",
     "cluster.partition=" + "${" * 900, "cluster.partition=${partition}", "cluster.x=1"],
)  # fmt: skip
def test_bad_words_on_the_command_line_are_one_short_line(write: Write, word: str) -> None:
    refused(write(SOFTMAX), word)


def test_minus_zero_is_zero(write: Write) -> None:
    path = write(SOFTMAX)
    plus, minus = (load(path, SCHEMAS, [f"softmax.offset={text}"]) for text in ("0.0", "-0.0"))
    assert plus.points[0].id == minus.points[0].id
    with pytest.raises(SweepError, match="two points are the same run"):
        load(path, SCHEMAS, ["softmax.offset=[0.0, -0.0]"])


@pytest.mark.parametrize("name", ["a\nb.yaml", "\x1b[2J.yaml", "\udcff.yaml"])
def test_a_path_that_cannot_be_shown_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(SweepError, match="printable") as caught:
        load(tmp_path / name, SCHEMAS)
    assert str(caught.value).isprintable()


def test_the_same_key_in_two_spellings_is_refused(write: Write) -> None:
    path = write("experiment: gan\nconfig: {train.epochs: 1, train: {epochs: 2}}\n")
    assert "twice" in refused(path)


def test_a_reader_takes_what_it_is_given(tmp_path: Path) -> None:
    values: Any = {"a": [1, -2, 0.5, True, None, "text"], "b": {"c": [[], {}]}}
    path = tmp_path / "any.yaml"
    path.write_text(yaml.safe_dump(values))
    assert read_yaml(path) == values
