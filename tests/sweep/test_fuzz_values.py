"""Any value, any bytes: read alike in a file and a command, or refused in one short line."""

import contextlib
import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from hw5hpc.cluster import profile as profiles
from hw5hpc.errors import UserError
from hw5hpc.experiments import SCHEMAS
from hw5hpc.sweep import Sweep, axes, load
from hw5hpc.sweep.reader import read_word

# The fixtures hold no state that one example leaves to the next.
calm = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
BOUND = 1200
KEYS = ["seed", "softmax.offset", "softmax.dtype", "softmax", "cluster.mem_gb", "cluster.setup",
        "cluster.partition", "cluster.time", "cluster.slurm_conf", "train.epochs"]  # fmt: skip
DIGITS = some.text("0123456789", min_size=1, max_size=12)
SIGN = some.sampled_from(["", "-", "+"])
AMBIGUOUS = some.one_of(
    some.builds("{}0{}".format, SIGN, DIGITS),
    some.builds("{}{}_{}".format, SIGN, DIGITS, DIGITS),
    some.builds("{}{:#x}".format, SIGN, some.integers(0)),
    some.builds("{}{:#o}".format, SIGN, some.integers(0)),
    some.builds("{}{:#b}".format, SIGN, some.integers(0, 2**30)),
    some.builds("{}{}:{}".format, SIGN, some.integers(1, 999), some.integers(0, 59)),
    some.builds("{}:{:02}:{:02}".format, some.integers(1, 99), some.integers(0, 59),
                some.integers(0, 59)),
)  # fmt: skip
NUMBERS = some.one_of(
    some.floats(allow_nan=False, allow_infinity=False).map(repr),
    some.builds("{:.3e}".format, some.floats(-1e300, 1e300)),
    some.builds("{:.2E}".format, some.floats(-1e300, 1e300)),
    some.builds("{}{}e{}".format, SIGN, some.integers(0, 99), some.integers(-200, 200)),
    some.builds("{}.{}".format, SIGN, DIGITS),
    some.builds("{}.".format, some.integers(1)),
)
SCALARS = some.one_of(
    some.none(), some.booleans(), some.integers(), some.floats(), some.text(),
    some.integers(10**300, 10**320), some.just("x" * 200_000), some.dates(),
)  # fmt: skip
VALUES = some.recursive(
    SCALARS, lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner), max_leaves=20
)
SPECIAL = [
    "!!bool x", "!!int", "!!python/object:os.system", "!", "&a ", "*a", "<<", "???", "${", "}",
    "[", "]", "{", "\n", ": ", ", ", "- ", "? ", "0", "9" * 400, "e999", "_", ":", "\0", "\ud800",
    '"\\ud800"', "%YAML 1.3\n---\n", "'", '"', "|", ">", "#", "x" * 5000, "[" * 100, "range",
    "2020-13-45", "-0.0", ".inf", ".nan", "~nobody/x", "\x85", "\ufeff", "\u2028",
]  # fmt: skip
TEXTS = some.one_of(
    some.text(some.characters(exclude_categories=[])),
    some.lists(some.sampled_from(SPECIAL) | some.text(max_size=3), max_size=8).map("".join),
)


def check_line(line: str) -> None:
    assert len(line.splitlines()) == 1, line
    assert len(line) < BOUND, line
    assert line.isprintable(), line


@contextlib.contextmanager
def one_short_line() -> Iterator[None]:
    """Let a user's error pass if it is one short line that can be shown."""
    try:
        yield
    except UserError as error:
        check_line(str(error))


def refusal(call: Callable[[], object]) -> str:
    """Return the line that something is refused with."""
    with pytest.raises(UserError) as caught:
        call()
    check_line(str(caught.value))
    return str(caught.value)


def resolve(path: Path, *overrides: str) -> Sweep:
    sweep = load(path, SCHEMAS, overrides)
    profiles.load("default", sweep.cluster, path)
    return sweep


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "plain.yaml"
    path.write_text("experiment: softmax\n")
    return path


@calm
@given(AMBIGUOUS, some.sampled_from(["{}", "[{}]", "[1, {}]", "{{range: [0, {}]}}"]))
def test_ambiguous_numbers_are_refused_with_what_to_write(
    plain: Path, text: str, shape: str
) -> None:
    file = plain.with_name("mine.yaml")
    file.write_text(f"experiment: softmax\ngrid:\n  seed: {shape.format(text)}\n")
    in_a_file = refusal(lambda: load(file, SCHEMAS))
    typed = refusal(lambda: load(plain, SCHEMAS, [f"seed={shape.format(text)}"]))
    file.write_text(f"nodes: 1\nmem_gb: {text}\n")
    in_a_profile = refusal(lambda: profiles.load("mine", {}, plain, plain.parent))
    assert "line 3: key 'grid.seed" in in_a_file
    assert "command line: key 'seed" in typed
    assert "line 2: key 'mem_gb'" in in_a_profile
    for line in (in_a_file, typed, in_a_profile):
        assert f"got {text}; write " in line
        assert isinstance(read_word("seed", line.rpartition("write ")[2].partition(",")[0]), int)


@calm
@given(NUMBERS)
def test_a_number_means_the_same_everywhere(plain: Path, text: str) -> None:
    file = plain.with_name("mine.yaml")
    file.write_text(f"experiment: softmax\ngrid:\n  softmax.offset: [{text}]\n")
    key = "softmax.offset"
    calls = [[], [f"{key}={text}"], [f"{key}=[{text}]"], [f"{key}={{linspace: [{text}, 0, 1]}}"]]
    number = float(text)
    vanished = number == 0 and re.search("[1-9]", re.split("[eE]", text)[0])
    if number < 0 or vanished or math.isinf(number):
        assert all(refusal(lambda words=words: load(file, SCHEMAS, words)) for words in calls)
        return
    read = [load(file, SCHEMAS, words).points[0].config.softmax.offset for words in calls]
    assert read[:3] == [number] * 3
    assert math.isclose(read[3], number, rel_tol=1e-11)
    assert all(math.copysign(1, value) == 1 for value in read)


@calm
@given(some.sampled_from(KEYS), TEXTS)
def test_any_word_of_the_command_line(plain: Path, key: str, text: str) -> None:
    with one_short_line():
        resolve(plain, f"{key}={text}")


@calm
@given(TEXTS)
def test_any_key_of_the_command_line(plain: Path, text: str) -> None:
    with one_short_line():
        resolve(plain, text)


@calm
@given(some.sampled_from(KEYS), VALUES)
def test_any_value_in_a_file_and_on_the_command_line(plain: Path, key: str, value: Any) -> None:
    name = key.removeprefix("cluster.")
    content = {"experiment": "softmax", "grid" if name == key else "cluster": {name: value}}
    file = plain.with_name("mine.yaml")
    file.write_bytes(yaml.safe_dump(content, allow_unicode=True).encode(errors="surrogatepass"))
    with one_short_line():
        resolve(file)
    with one_short_line():
        resolve(plain, f"{key}={json.dumps(value, default=str)}")


@calm
@given(some.binary(max_size=60), some.integers(0, 60), TEXTS)
def test_any_bytes_in_a_sweep_file_or_a_profile(
    plain: Path, junk: bytes, at: int, text: str
) -> None:
    base = b"experiment: softmax\ngrid: {seed: [1, 2]}\ncluster: {nodes: 1}\n"
    for content in (junk, base[:at] + junk + base[at:], base + text.encode(errors="replace")):
        (plain.parent / "mine.yaml").write_bytes(content)
        with one_short_line():
            resolve(plain.parent / "mine.yaml")
        with one_short_line():
            profiles.load("mine", {}, plain, plain.parent)


@calm
@given(
    some.sampled_from(list(axes.GENERATORS)),
    some.lists(some.floats() | some.integers() | some.integers(-(10**320), 10**320), max_size=4),
)
def test_any_ends_of_a_short_form(name: str, ends: list[Any]) -> None:
    with contextlib.suppress(ValueError):
        assert all(math.isfinite(value) for value in axes.values({name: ends}))
