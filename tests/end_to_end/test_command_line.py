"""The command lines as a user types them: bad input, --debug, and a second identical call."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SWEEP = """
experiment: gan
config:
  data: {name: synthetic, limit: 256}
  train.epochs: 1
  score: {classifier_epochs: 1, samples: 300}
grid: {gan.unroll_steps: [0, 1]}
"""


def run(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *[str(word) for word in words]],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def submit(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return run("jobs/submit.py", *words, **environment)


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(SWEEP)
    return path


SCRIPTS = sorted(path.stem for path in (ROOT / "jobs").glob("*.py"))
BAD_FILES = {
    "broken": ("experiment: [gan", "broken YAML"),
    "unknown_key": ("experiment: gan\nconfig: {gan.unrol_steps: 1}", "Did you mean"),
    "wrong_type": ("experiment: gan\nconfig: {train.epochs: many}", "takes int"),
    "precision": ("experiment: ring\nconfig: {train.precision: bf16}", "takes one of fp32"),
    "negative": ("experiment: gan\nconfig: {gan.unroll_steps: -1}", "at least 0"),
    "empty_grid": ("experiment: gan\ngrid: {seed: []}", "is empty"),
    "data_set": ("experiment: gan\nconfig: {data.name: fashion}", "takes one of"),
    "absent_data": ("experiment: gan\nconfig: {data.root: /nowhere}", "fetch_data.py"),
    "figure": ("experiment: gan\nreport: [loses]", "losses"),
    "wandb_key": ("experiment: gan\nwandb: {projct: x}", "Did you mean 'project'"),
    "wandb_mode": ("experiment: gan\nwandb: {mode: onlin}", "unknown W&B mode 'onlin'"),
    "cluster_key": ("experiment: gan\ncluster: {gpu: 1}", "unknown key 'gpu'"),
    "leading_zeros": ("experiment: gan\ngrid: {seed: [007]}", "write 7, or"),
    "colons": ("experiment: gan\nconfig: {train.epochs: 1:30}", "write 90, or"),
    "tag": ("experiment: gan\nconfig: {seed: !!bool x}", "no YAML tags"),
    "not_utf_8": (b"experiment: gan\n# caf\xe9", "UTF-8"),
    "long": ("experiment: gan\nconfig: {data.name: " + "x" * 200_000 + "}", "200002 characters"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_give_one_line_and_status_2(tmp_path: Path, name: str) -> None:
    text, words = BAD_FILES[name]
    path = tmp_path / f"{name}.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    done = submit(path, "--debug", "--out", tmp_path / "out")
    assert done.returncode == 2, done.stdout + done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert len(done.stderr) < 1500
    assert words in done.stderr
    assert not (tmp_path / "out").exists()


BAD_WORDS = {
    "leading_zeros": ("seed=010", "write 10, or"),
    "missing": ("train.epochs=???", "stands for none"),
    "max_parallel": ("--max-parallel=010", "--max-parallel takes no numbers with leading zeros"),
    "seeds": ("--seeds=0", "--seeds takes a whole number from 1, got '0'"),
    "jobs": ("--jobs=0", "--jobs takes a whole number from 1, got '0'"),
    "name": ("--name=a/b", "--name takes"),
}


@pytest.mark.parametrize("case", BAD_WORDS)
def test_bad_words_give_one_line_and_status_2(sweep: Path, tmp_path: Path, case: str) -> None:
    word, words = BAD_WORDS[case]
    done = submit(sweep, word, "--debug", "--out", tmp_path / "out")
    assert done.returncode == 2, done.stdout + done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert words in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_mistake_leaves_no_process_behind(sweep: Path) -> None:
    """What runs would have been forked from had begun before the sweep was read."""
    command = [sys.executable, ROOT / "jobs/submit.py", sweep, "seed=010", "--debug"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    assert process.wait(60) == 2
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_a_missing_file_and_an_unknown_profile(sweep: Path) -> None:
    missing = submit("sweeps/unrol_depth.yaml", "--debug")
    assert (missing.returncode, "unroll_depth.yaml" in missing.stderr) == (2, True)
    profile = submit(sweep, "--cluster", "dve")
    assert (profile.returncode, "Did you mean 'dev'" in profile.stderr) == (2, True)


def test_without_slurm_it_says_what_to_do(sweep: Path, tmp_path: Path) -> None:
    done = submit(sweep, "--out", tmp_path / "out", PATH="/nonexistent")
    assert done.returncode == 2
    assert "no Slurm on this machine" in done.stderr
    assert "--debug" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_dry_run_needs_no_slurm_and_says_what_it_does_not_know(
    sweep: Path, tmp_path: Path
) -> None:
    words = ["--dry-run", "--out", tmp_path / "out", "--cluster", "example_gpu_cluster"]
    done = submit(sweep, *words, PATH="/nonexistent")
    assert done.returncode == 0, done.stderr
    assert "sweep tiny: 2 points (gan)" in done.stdout
    assert "no Slurm on this machine (sbatch was not found): whether the partition" in done.stdout
    assert "#SBATCH --partition=gpu" in done.stdout
    assert "warning" not in done.stdout
    sweep.write_text(SWEEP.replace("{name: synthetic,", "{name: cifar10, root: /nowhere,"))
    absent = submit(sweep, *words, PATH="/nonexistent")
    assert absent.returncode == 0
    assert "warning: on this machine data.name 'cifar10' was not found in /nowhere" in absent.stdout
    assert submit(sweep, "--local", *words[:3]).returncode == 2
    assert not (tmp_path / "out").exists()


def test_bare_names_are_found_and_misspelt_ones_get_the_list(tmp_path: Path) -> None:
    done = submit("softmax_shift", "--local", "--dry-run", HW5HPC_OUT=str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert "sweep softmax_shift: 68 points" in done.stdout
    wrong = submit("softmax_shft", "--local", "--dry-run")
    assert wrong.returncode == 2
    assert "sweeps/ has batch_norm, " in wrong.stderr
    assert wrong.stderr.endswith("Did you mean 'softmax_shift'?\n")


def test_an_unwritable_output_folder(sweep: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = submit(sweep, "--local", "--out", tmp_path / "file" / "out")
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_teaches_and_loads_no_torch(script: str) -> None:
    done = run("-X", "importtime", f"jobs/{script}.py", "--help")
    assert done.returncode == 0
    assert "usage" in done.stdout
    loaded = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert not loaded & {"torch", "wandb", "matplotlib"}


def test_debug_runs_reports_and_reuses(sweep: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = submit(sweep, "--debug", "--out", out)
    assert first.returncode == 0, first.stdout + first.stderr
    report = out / "sweeps" / "tiny_debug" / "report"
    assert (report / "index.html").exists()
    assert len((report / "results.csv").read_text().splitlines()) == 3
    assert (report / "losses.png").exists()
    results = {path: path.stat().st_mtime_ns for path in out.glob("runs/*/result.json")}
    assert len(results) == 3
    second = submit(sweep, "--debug", "--out", out)
    assert second.returncode == 0
    assert "all points are finished" in second.stdout
    assert results == {path: path.stat().st_mtime_ns for path in results}
    status = run("jobs/status.py", "tiny_debug", "--out", out)
    assert status.returncode == 0
    assert status.stdout.count("finished") >= 2
    again = run("jobs/aggregate.py", "sweeps/tiny_debug.yml", "--out", out)
    assert again.returncode == 0


def test_overrides_files_and_seeds_never_replace_a_report(tmp_path: Path) -> None:
    """One file with other overrides, another file of the same name, and more seeds."""
    out, one, two = tmp_path / "out", tmp_path / "one", tmp_path / "two"
    for folder, offsets in ((one, "[0, 88, 700]"), (two, "[1]")):
        folder.mkdir()
        text = f"experiment: softmax\ngrid: {{softmax.offset: {offsets}}}\n"
        (folder / "shift.yaml").write_text(text)
    file = one / "shift.yaml"

    def rows(name: str) -> int:
        table = out / "sweeps" / name / "report" / "results.csv"
        return len(table.read_text().splitlines()) - 1

    for words, said in (([], "sweep shift: 3 points"),
                        (["softmax.offset=[0,88]"], "sweep shift-offset=0,88: 2 points"),
                        (["--seeds", "2"], "sweep shift: 6 points")):  # fmt: skip
        done = submit(file, *words, "--local", "--out", out)
        assert done.returncode == 0, done.stderr
        assert said in done.stdout
    refused = submit(two / "shift.yaml", "--local", "--out", out)
    assert refused.returncode == 2
    assert "--name" in refused.stderr
    assert submit(file, "--local", "--out", out).returncode == 2, "it would drop the new seeds"
    assert (rows("shift"), rows("shift-offset=0,88")) == (6, 2)
    for word, name in ((file, "shift"), ("shift-offset=0,88", "shift-offset=0,88"),
                       (out / "sweeps" / "shift", "shift")):  # fmt: skip
        shown = run("jobs/status.py", word, "--out", out)
        assert f"{name}: " in shown.stdout
    assert f"sweep {name}\n" in run("jobs/aggregate.py", word, "--out", out).stdout


def test_status_of_an_unknown_sweep(tmp_path: Path) -> None:
    done = run("jobs/status.py", "nothing", "--out", tmp_path)
    assert done.returncode == 2
    assert "no sweep was submitted here yet" in done.stderr


def test_a_stopped_local_run_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "long.yaml"
    path.write_text(SWEEP.replace("train.epochs: 1", "train.epochs: 40"))
    words = [sys.executable, "-u", "jobs/submit.py", str(path), "--local", "--jobs", "2"]
    words += ["--out", str(tmp_path)]
    with subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as job:
        rows = list((tmp_path / "runs").glob("*/metrics.jsonl"))
        while sum("generator_loss" in row.read_text() for row in rows) < 2:
            assert job.poll() is None
            time.sleep(0.05)
            rows = list((tmp_path / "runs").glob("*/metrics.jsonl"))
        job.send_signal(signal.SIGINT)
        _, message = job.communicate(timeout=60)
    assert job.returncode == 130
    assert b"run the same command to go on" in message
    assert len(list(tmp_path.glob("runs/*/checkpoint.pt"))) == 2
    again = submit(path, "--local", "--out", tmp_path)
    assert again.returncode == 0, again.stderr
    for rows_path in tmp_path.glob("runs/*/metrics.jsonl"):
        epochs = [json.loads(line)["epoch"] for line in rows_path.read_text().splitlines()]
        assert epochs == list(range(1, len(epochs) + 1))


SLOW = """
import time
from dataclasses import dataclass
from hw5hpc.experiments.softmax.config import SoftmaxConfig
from hw5hpc.experiments.softmax.train import SoftmaxShift

@dataclass(frozen=True)
class Config(SoftmaxConfig):
    @property
    def epochs(self):
        return 500

class Training(SoftmaxShift):
    epochs = 500

    def step(self, epoch, index):
        time.sleep(0.1)
        return super().step(epoch, index)
"""


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """A sweep of three points that take about a minute each."""
    (tmp_path / "slow.py").write_text(SLOW)
    path = tmp_path / "slow.yaml"
    path.write_text("experiment: slow.py\ngrid: {seed: [0, 1, 2]}\n")
    return path


def test_after_ctrl_c_what_never_started_is_new_and_what_is_watched_goes_on(
    slow: Path, tmp_path: Path
) -> None:
    out = ["--out", str(tmp_path / "out")]
    words = [sys.executable, "-u", "jobs/submit.py", str(slow), "--local", *out]
    watching = [sys.executable, "-u", "jobs/status.py", "slow", "--watch", *out]
    with subprocess.Popen(words, cwd=ROOT, stdout=-3, stderr=subprocess.PIPE, text=True) as job:
        while not list(tmp_path.glob("out/runs/*/metrics.jsonl")):
            assert job.poll() is None
            time.sleep(0.05)
        with subprocess.Popen(watching, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True) as watch:  # fmt: skip
            assert watch.stdout is not None
            assert "running" in watch.stdout.readline()
            watch.send_signal(signal.SIGINT)
            _, said = watch.communicate(timeout=60)
        assert (watch.returncode, "the jobs go on (python jobs/cancel.py slow" in said) == (
            130,
            True,
        )
        assert job.poll() is None
        job.send_signal(signal.SIGINT)
        _, said = job.communicate(timeout=60)
    assert job.returncode == 130
    assert re.search(
        r"0 of 3 runs have ended, \d can go on from a checkpoint, \d (was|were) not", said
    )
    rows = json.loads(run("jobs/status.py", "slow", "--json", *out).stdout)
    states = [row["state"] for row in rows]
    assert set(states) == {"interrupted", "new"}
    assert "run the same command to go on" in said
    assert all("job" not in row["reason"] for row in rows)
    # Watching what nobody works on ends.
    assert run(*watching[2:]).returncode == 0


def test_runs_of_a_command_that_is_killed_save_and_end(tmp_path: Path) -> None:
    """kill -9 leaves no process behind, and the same command goes on."""
    path = tmp_path / "long.yaml"
    path.write_text(
        "experiment: ring\ngrid: {seed: [0, 1]}\nconfig: {train.epochs: 9999, "
        "train.batch_size: 8, ring.steps_per_epoch: 5, ring.samples: 20}\n"
    )
    words = ["jobs/submit.py", str(path), "--local", "--jobs", "2", "--out", str(tmp_path)]
    with subprocess.Popen([sys.executable, *words], cwd=ROOT, stdout=subprocess.DEVNULL) as job:
        while len(list(tmp_path.glob("runs/*/metrics.jsonl"))) < 2:
            assert job.poll() is None
            time.sleep(0.05)
        claims = [json.loads(claim.read_text()) for claim in tmp_path.glob("runs/*/claim.json")]
        job.kill()
    while any(Path(f"/proc/{claim['pid']}").exists() for claim in claims):
        time.sleep(0.05)
    for run_folder in (tmp_path / "runs").iterdir():
        assert json.loads((run_folder / "status.json").read_text())["state"] == "interrupted"
        assert (run_folder / "checkpoint.pt").exists()


FRAGILE = """
from dataclasses import dataclass
from pathlib import Path
from hw5hpc.experiments.softmax.config import SoftmaxConfig
from hw5hpc.experiments.softmax.train import SoftmaxShift

@dataclass(frozen=True)
class Config(SoftmaxConfig):
    pass

class Training(SoftmaxShift):
    def step(self, epoch, index):
        if self.seed and Path(__file__).with_name("broken").exists():
            raise RuntimeError("broken")
        return super().step(epoch, index)
"""


def test_failed_points_wait_for_retry_failed(tmp_path: Path) -> None:
    """A run that fails is left alone, mended or not, until --retry-failed sends it."""
    (tmp_path / "fragile.py").write_text(FRAGILE)
    (tmp_path / "broken").touch()
    sweep, out = tmp_path / "fragile.yaml", tmp_path / "out"
    sweep.write_text("experiment: fragile.py\ngrid: {seed: [0, 1]}\n")
    assert submit(sweep, "--local", "--out", out).returncode == 1
    (tmp_path / "broken").unlink()
    left = submit(sweep, "--local", "--out", out)
    assert "--retry-failed" in left.stdout
    assert left.returncode == 1
    assert submit(sweep, "--local", "--retry-failed", "--out", out).returncode == 0


def test_a_classifier_that_cannot_be_loaded_is_trained_again(sweep: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert submit(sweep, "--local", "--out", out, "gan.unroll_steps=0").returncode == 0
    (weights,) = (path for path in out.glob("runs/*/artifacts/weights.pt") if _is_classifier(path))
    content = weights.read_bytes()
    weights.write_bytes(b"damaged")
    assert submit(sweep, "--local", "--out", out).returncode == 0
    assert weights.read_bytes() == content


def _is_classifier(weights: Path) -> bool:
    return "experiment: classifier" in (weights.parents[1] / "config.yaml").read_text()


def test_pdb_stops_where_a_run_fails_and_nothing_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "fragile.py").write_text(FRAGILE)
    (tmp_path / "broken").touch()
    sweep = tmp_path / "fragile.yaml"
    sweep.write_text("experiment: fragile.py\ngrid: {seed: [6, 7]}\n")
    words = ["jobs/submit.py", str(sweep), "--debug", "--pdb", "--out", str(tmp_path / "out")]
    typed = "p self.seed * 100\nq\n"
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, input=typed, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 130, done.stderr
    assert "RuntimeError: broken" in done.stderr
    assert "600" in done.stdout
    assert "left the debugger" in done.stderr
    assert done.stdout.count("(Pdb)") == 2
    # It failed, as status says; the same command sends it again, for whoever mends it.
    status = [sys.executable, "jobs/status.py", "fragile_debug", "--out", str(tmp_path / "out")]
    shown = subprocess.run(status, cwd=ROOT, capture_output=True, text=True)
    assert "1 new, 1 failed" in shown.stdout
    assert "RuntimeError: broken" in shown.stdout
    (tmp_path / "broken").unlink()
    again = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True)
    assert (again.returncode, "(Pdb)" in again.stdout) == (0, False), again.stderr
    refused = submit(sweep, "--pdb", "--dry-run")
    assert (refused.returncode, "--pdb goes with" in refused.stderr) == (2, True)
