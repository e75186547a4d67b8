"""Two sweeps never share a folder unasked, and each is found by its file, name or path."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hw5hpc.cluster import folders
from hw5hpc.cluster import plan as planning
from hw5hpc.cluster.profile import Profile
from hw5hpc.errors import UserError
from hw5hpc.experiments import SCHEMAS
from hw5hpc.store import Outputs
from hw5hpc.sweep import Sweep, load

RING = "experiment: ring\ngrid: {seed: [0, 1]}\n"
SOFTMAX = "experiment: softmax\ngrid: {softmax.offset: [0, 1000]}\n"
Register = Callable[..., Sweep]


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    return Outputs(tmp_path / "out")


@pytest.fixture
def register(outputs: Outputs) -> Register:
    """Plan a sweep and record it, as every submission does."""

    def made(path: Path, *overrides: str, debug: bool = False, **more: object) -> Sweep:
        sweep = load(path, SCHEMAS, overrides, debug, **more)  # type: ignore[arg-type]
        planning.register(planning.make(sweep, outputs, "code"), outputs)
        return sweep

    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "one" / "sweep.yaml"
    path.parent.mkdir()
    path.write_text(RING)
    return path


def found(outputs: Outputs, word: str | Path) -> str:
    return folders.find(outputs.root, str(word))[1].name


def test_another_file_of_the_same_name_is_refused_and_replaces_nothing(
    register: Register, outputs: Outputs, file: Path, tmp_path: Path
) -> None:
    register(file)
    before = outputs.sweep("sweep").sweep_path.read_bytes()
    other = tmp_path / "two" / "sweep.yaml"
    other.parent.mkdir()
    for text in (SOFTMAX, RING.replace("[0, 1]", "[0, 1, 2]"), RING.replace("[0, 1]", "[0]")):
        other.write_text(text)
        with pytest.raises(UserError, match=r"one/sweep.yaml; give this one .* --name NAME"):
            register(other)
        assert outputs.sweep("sweep").sweep_path.read_bytes() == before
    assert register(other, name="mine").name == "mine"
    assert found(outputs, file) == "sweep"
    assert found(outputs, other) == "mine"


def test_the_same_points_from_another_path_are_fine(
    register: Register, file: Path, tmp_path: Path
) -> None:
    register(file)
    copy = tmp_path / "sweep.yaml"
    copy.write_text("# moved\n" + RING)
    assert register(copy).name == "sweep"


def test_the_same_file_edited_or_by_another_spelling_is_fine(
    register: Register, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(file)
    file.write_text(RING.replace("[0, 1]", "[7]"))
    register(file)
    monkeypatch.chdir(file.parent)
    register(Path("sweep.yaml"))
    file.write_text(RING)
    link = file.parents[1] / "link"
    link.symlink_to(file.parent)
    register(link / "sweep.yaml")


def test_overrides_have_a_folder_of_their_own(register: Register, outputs: Outputs) -> None:
    shift = Path(__file__).resolve().parents[2] / "sweeps" / "softmax_shift.yaml"
    register(shift)
    register(shift, "softmax.offset=[0,88]")
    rows = [len(outputs.sweep(name).points())
            for name in ("softmax_shift", "softmax_shift-offset=0,88")]  # fmt: skip
    assert rows == [68, 8]


def test_topped_up_seeds_are_not_dropped_unasked(
    register: Register, outputs: Outputs, file: Path
) -> None:
    register(file)
    register(file, seed_count=5)
    register(file, seed_count=6)
    for fewer in ({}, {"seed_count": 3}):
        with pytest.raises(UserError, match=r"points that this call leaves out; repeat --seeds 6"):
            register(file, **fewer)
    assert len(outputs.sweep("sweep").points()) == 6


def test_a_given_name_does_not_replace_another_calls_points(register: Register, file: Path) -> None:
    register(file, "seed=[3,4]", name="mine")
    register(file, "seed=[3,4,5]", name="mine")
    with pytest.raises(UserError, match=r"holds 2 points .* repeat seed=3,4,5, or give"):
        register(file, "seed=5", name="mine")


def test_a_file_means_its_own_sweep_or_its_only_one(
    register: Register, outputs: Outputs, file: Path
) -> None:
    register(file, debug=True)
    assert found(outputs, file) == "sweep_debug"
    register(file, "seed=5")
    with pytest.raises(UserError, match=r"several sweeps.*: sweep-seed=5, sweep_debug$"):
        found(outputs, file)
    register(file)
    register(file, name="mine")
    assert found(outputs, file) == "sweep"


def test_names_and_folders_are_found_too(register: Register, outputs: Outputs, file: Path) -> None:
    register(file, "seed=5")
    assert found(outputs, "sweep-seed=5") == "sweep-seed=5"
    apart = outputs.root / "sweeps" / "sweep-seed=5"
    where, folder = folders.find(Path("elsewhere"), str(apart))
    assert (where.root, folder.path) == (outputs.root, apart)
    with pytest.raises(UserError, match=r"no sweep was submitted here yet.*Did you mean 'sweep-s"):
        found(outputs, "sweep-seed=6")


def test_a_file_with_a_name_is_found_by_its_file(
    register: Register, outputs: Outputs, file: Path
) -> None:
    file.write_text(RING + "name: sharp\n")
    register(file)
    register(file, "seed=3")
    assert found(outputs, file) == "sharp"


def test_a_file_without_a_sweep_does_not_show_another_files(
    register: Register, outputs: Outputs, file: Path, tmp_path: Path
) -> None:
    register(file)
    other = tmp_path / "sweep.yaml"
    other.write_text(SOFTMAX)
    with pytest.raises(UserError, match="no sweep was submitted here yet from"):
        found(outputs, other)


def test_records_of_older_versions_are_read(
    register: Register, outputs: Outputs, file: Path
) -> None:
    register(file)
    path = outputs.sweep("sweep").sweep_path
    record = json.loads(path.read_text())
    path.write_text(json.dumps({key: record[key] for key in ("name", "path", "runs")}))
    assert found(outputs, file) == "sweep"
    register(file, seed_count=3)


@pytest.mark.parametrize("word", ["", "x" * 300, "x" * 9000, "a/../b", "\udcff", "x.yaml"])
def test_a_word_that_is_no_sweep_is_one_line(outputs: Outputs, word: str) -> None:
    with pytest.raises(UserError) as caught:
        found(outputs, word)
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_with_many_sweeps_lists_twenty(
    register: Register, outputs: Outputs, file: Path
) -> None:
    for seed in range(23):
        register(file, f"seed={seed}")
    with pytest.raises(UserError, match="and 3 more"):
        found(outputs, file)


def test_any_path_inside_a_folder_means_its_sweep_and_a_bare_name_its_file(
    register: Register, outputs: Outputs, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(file)
    folder = outputs.sweep("sweep")
    for inside in ("report/index.html", "logs", "sweep.json"):
        assert folders.find(Path("elsewhere"), str(folder.path / inside))[1].path == folder.path
    shift = register(Path(folders.SWEEPS / "softmax_shift.yaml"), debug=True)
    assert found(outputs, "softmax_shift") == shift.name == "softmax_shift_debug"
    with pytest.raises(UserError, match=r"holds softmax_shift_debug, sweep. Did you mean 'sweep'"):
        found(outputs, "sweap")


def test_the_output_folder_is_the_nearest_word_on_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said = Profile(out="/scratch/$HW5HPC_TEST/out")
    monkeypatch.setenv("HW5HPC_TEST", "me")
    monkeypatch.delenv("HW5HPC_OUT", raising=False)
    assert folders.out(None, Profile) == Path("outputs")
    assert folders.out(None, lambda: said) == Path("/scratch/me/out")
    monkeypatch.setenv("HW5HPC_OUT", "~/mine")
    assert folders.out(None, lambda: said) == Path.home() / "mine"
    assert folders.out(tmp_path, lambda: said) == tmp_path


def test_the_command_that_submits_again_repeats_what_was_typed(
    register: Register, outputs: Outputs, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HW5HPC_OUT", str(outputs.root))
    monkeypatch.chdir(file.parent)
    register(file, "seed=[3,4]", name="mine", seed_count=3)
    command = folders.again(outputs, outputs.sweep("mine"))
    assert command == "python jobs/submit.py sweep.yaml 'seed=[3,4]' --seeds 3 --name mine"
    outputs.sweep("mine").add_submission(
        {"first": [], "rest": ["7"], "report": "", "profile": "dev"}
    )
    monkeypatch.delenv("HW5HPC_OUT")
    command = folders.again(outputs, outputs.sweep("mine"))
    assert command.endswith(f"--name mine --cluster dev --out {outputs.root}")
