"""Whatever stands in the place of a store file: one line, no hang, and the other runs go on."""

import contextlib
import json
import os
import random
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hw5hpc.cluster import follow, local, view
from hw5hpc.cluster import plan as planning
from hw5hpc.errors import UserError
from hw5hpc.experiments import SCHEMAS
from hw5hpc.report import markdown, page
from hw5hpc.report.collect import collect
from hw5hpc.report.summary import results_table, summarise
from hw5hpc.store import Outputs, State, Status, claim
from hw5hpc.sweep import Sweep, load

SWEEP = """
experiment: ring
config: {train.epochs: 1, train.batch_size: 16, ring.steps_per_epoch: 2, ring.samples: 64}
grid: {seed: [0, 1, 2]}
"""
OF_A_RUN = [
    "config.yaml", "status.json", "provenance.json", "metrics.jsonl", "timing.jsonl",
    "result.json", "job.json", "claim.json", "claim.lock", "reserve", "checkpoint.pt",
    "checkpoint.previous.pt", "artifacts", "artifacts/weights.pt", "artifacts/samples.00001.npy",
    "artifacts/arrays.npz",
]  # fmt: skip
OF_A_SWEEP = [
    "sweep.json", "points.csv", "submissions.jsonl", "report", "standing.json", "report/made.json",
]  # fmt: skip
NOBODY = 65534


def _clear(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _cut(path: Path) -> None:
    if path.is_file():
        os.truncate(path, path.stat().st_size // 2)


def _put(content: bytes) -> Callable[[Path], None]:
    def put(path: Path) -> None:
        _clear(path)
        path.write_bytes(content)

    return put


def _link(target: str) -> Callable[[Path], None]:
    def link(path: Path) -> None:
        _clear(path)
        path.symlink_to(path if target == "itself" else path.parents[4] / target)

    return link


def _made(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def replace(path: Path) -> None:
        _clear(path)
        make(path)

    return replace


def _gigabytes(path: Path) -> None:
    path.touch()
    os.truncate(path, 40 << 30)


NUMBER = "9" * 400
SHAPES = {
    "epoch": NUMBER, "updated": NUMBER, "seconds": NUMBER, "pid": NUMBER, "epochs": NUMBER,
    "metrics": f'{{"modes_covered": {NUMBER}, "kl_modes": 1e400}}', "state": '"finished"',
    "started": '""', "runs": "[]", "job": '{"a": 1}', "format": "1", "devices": NUMBER,
}  # fmt: skip
DAMAGE: dict[str, Callable[[Path], None]] = {
    "gone": _clear,
    "emptied": _put(b""),
    "cut": _cut,
    "binary": _put(random.Random(0).randbytes(5000)),
    "a list": _put(b'[1, "two", null]'),
    "a word": _put(b'"word"'),
    "numbers beyond a float": _put(
        ("{" + ", ".join(f'"{key}": {text}' for key, text in SHAPES.items()) + "}\n").encode()
    ),
    "values of other kinds": _put(
        json.dumps({key: [key, {}] for key in (*SHAPES, "host", "run", "reason")}).encode()
    ),
    "5,000 nested lists": _put(b"[" * 5000 + b"]" * 5000),
    "500 nested lists": _put(b'{"runs": ' + b"[" * 500 + b"]" * 500 + b"}"),
    "a folder": _made(lambda path: (path / "in it").mkdir(parents=True)),
    "a dangling link": _link("nowhere"),
    "a circular link": _link("itself"),
    "a link to a file": _link("victim"),
    "a pipe": _made(os.mkfifo),
    "gigabytes": _made(_gigabytes),
    "unreadable": lambda path: path.chmod(0) if path.exists() else None,
}


# What a reader of JSON or YAML may stumble over; to the others it is any wrong content ("binary").
TEXTS = (
    "a list", "a word", "numbers beyond a float", "values of other kinds", "5,000 nested lists",
    "500 nested lists",
)  # fmt: skip
CASES = [
    (name, kind)
    for name in OF_A_RUN
    for kind in DAMAGE
    if kind not in TEXTS or name.endswith((".json", ".jsonl", ".yaml"))
]


class Hang(BaseException):
    """No handler of the program may see it."""


@contextlib.contextmanager
def no_hang(seconds: int = 60) -> Iterator[None]:
    def late(number: int, frame: object) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that another user may reach, as pytest's own may not be."""
    with tempfile.TemporaryDirectory(prefix="damage-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def sweep(folder: Path) -> Sweep:
    path = folder / "test.yaml"
    path.write_text(SWEEP)
    return load(path, SCHEMAS)


@pytest.fixture(scope="module")
def template(folder: Path, sweep: Sweep) -> Path:
    """Three finished runs with all files that a run may ever have."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        outputs = Outputs(folder / "template" / "out")
        local.run(planning.make(sweep, outputs, "code"), outputs)
    run = outputs.run(sweep.points[0].id)
    result = (run.path / "result.json").read_bytes()
    (run.path / "result.json").unlink()
    mine = claim(run)
    assert mine is not None
    run.reserve_room()
    (run.path / "result.json").write_bytes(result)
    run.set_job("7_0")
    run.checkpoint.write_bytes(b"hw5hpc1\n" + bytes(5000))
    run.previous_checkpoint.write_bytes(b"hw5hpc1\n" + bytes(5000))
    # Its holder is this process, which is not to count as alive.
    record = {"token": "t", "host": "elsewhere", "pid": 1, "job": "7_0", "started": "1"}
    run.claim_path.write_text(json.dumps(record))
    os.utime(run.claim_path, (0, 0))
    submission = {"first": [], "rest": ["7_0"], "report": "8", "time": 0.0, "code": "code"}
    outputs.sweep("test").add_submission(submission)
    outputs.sweep("test").set_standing({run.id: {"job": "7_0", "state": "lost", "reason": "gone"}})
    outputs.sweep("test").set_report_origin({"submission": "a", "time": 0.0})
    return folder / "template"


@pytest.fixture
def outputs(template: Path) -> Iterator[Outputs]:
    copy = template.parent / "copy"
    shutil.copytree(template, copy)
    (copy / "victim").write_text("mine\n")
    yield Outputs(copy / "out")
    assert (copy / "victim").read_text() == "mine\n"
    assert not (copy / "nowhere").exists()
    shutil.rmtree(copy)


def look(outputs: Outputs) -> list[str]:
    """What status and aggregate read and write; returns the states that the report shows."""
    folder = outputs.sweep("test")
    with contextlib.suppress(UserError):
        rows = follow.standings(outputs, folder)
        assert view.table(rows).row_count == 3
    with contextlib.suppress(UserError):
        folder.submissions()
    folder.report_origin()
    try:
        tables = collect(outputs, folder)
    except UserError:
        return []
    summary = summarise(tables, [], [])
    assert markdown.text(summary)
    assert page.html(summary)
    assert len(results_table(tables).to_csv().splitlines()) == 4
    return list(tables.results["state"])


def submit(sweep: Sweep, outputs: Outputs) -> None:
    with outputs.locked():
        plan = planning.make(sweep, outputs, "code")
    local.run(plan, outputs)


def others(sweep: Sweep, outputs: Outputs) -> list[bytes]:
    folders = [outputs.run(point.id).path for point in sweep.points[1:]]
    return [path.read_bytes() for folder in folders for path in sorted(folder.glob("*.json*"))]


@contextlib.contextmanager
def as_somebody(outputs: Outputs) -> Iterator[None]:
    """Root may read everything."""
    if os.geteuid() != 0:
        yield
        return
    for path in (outputs.root, *outputs.root.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(("name", "kind"), CASES)
@pytest.mark.parametrize("ended", [True, False], ids=["finished", "lost"])
def test_a_damaged_file_of_a_run_costs_at_most_this_run(
    outputs: Outputs,
    sweep: Sweep,
    name: str,
    kind: str,
    ended: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    run = outputs.run(sweep.points[0].id)
    if not ended:
        (run.path / "result.json").unlink()
        run.set_status(Status(state=State.RUNNING))
    before = others(sweep, outputs)
    DAMAGE[kind](run.path / name)
    if kind == "unreadable":
        with no_hang(), as_somebody(outputs):
            assert look(outputs)[1:] == ["finished", "finished"]
            planning.make(sweep, outputs, "code")
        return
    with no_hang():
        assert look(outputs)[1:] == ["finished", "finished"]
        submit(sweep, outputs)
        assert look(outputs)[1:] == ["finished", "finished"]
    assert others(sweep, outputs) == before
    status = run.status()
    if not status.state.done:
        # The log says it where the run itself cannot be written to.
        assert str(run.path / name) in status.reason + caplog.text


@pytest.mark.parametrize("name", OF_A_SWEEP)
@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_file_of_a_sweep_is_named_and_rebuilt(
    outputs: Outputs, sweep: Sweep, name: str, kind: str
) -> None:
    folder = outputs.sweep("test")
    before = others(sweep, outputs)
    DAMAGE[kind](folder.path / name)
    if kind == "unreadable":
        with no_hang(), as_somebody(outputs):
            look(outputs)
        return
    with no_hang():
        look(outputs)
        try:
            submit(sweep, outputs)
        except UserError as error:
            assert str(folder.path / name) in str(error)
            assert name not in ("sweep.json", "points.csv")
        if name in ("sweep.json", "points.csv"):
            assert folder.load()["runs"] == [row["run"] for row in folder.points()]
            assert look(outputs) == ["finished"] * 3
    assert others(sweep, outputs) == before


@pytest.mark.parametrize("kind", [kind for kind in DAMAGE if kind not in ("unreadable", "cut")])
def test_whatever_stands_for_the_submitters_lock_holds_nobody_up(
    outputs: Outputs, sweep: Sweep, kind: str
) -> None:
    lock = outputs.root / "submit.lock"
    DAMAGE[kind](lock)
    with no_hang():
        try:
            submit(sweep, outputs)
        except UserError as error:
            assert str(lock) in str(error)
    assert look(outputs) == ["finished"] * 3
