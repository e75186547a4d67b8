"""The code that jobs run: a whole copy, the submitter's own, that others cannot write."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

from hw5hpc.cluster.freeze import freeze, mend
from hw5hpc.cluster.private import own_folder, umask_line
from hw5hpc.errors import UserError
from hw5hpc.node.code import code_hash
from hw5hpc.node.intact import script_lines


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a small tree of code."""
    root = tmp_path / "checkout"
    for name in ("hw5hpc/__init__.py", "hw5hpc/node/a.py", "jobs/submit.py", "hw5hpc/page.html"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"# {name}\n")
    return root


def frozen(tmp_path: Path, root: Path) -> Path:
    return freeze(tmp_path / "it's a sweep" / "code", root)


def test_what_was_purged_changed_or_added_is_mended_by_the_next_submission(
    tmp_path: Path, root: Path
) -> None:
    copy = frozen(tmp_path, root)
    commit = (copy / "COMMIT").read_text()
    (copy / "hw5hpc" / "node" / "a.py").unlink()
    (copy / "hw5hpc" / "page.html").unlink()
    (copy / "jobs" / "submit.py").write_text("# changed\n")
    (copy / "jobs" / "added.py").write_text("# added\n")
    (copy / "COMMIT").unlink()
    assert code_hash(copy) != copy.name
    assert frozen(tmp_path, root) == copy
    assert code_hash(copy) == copy.name
    assert (copy / "hw5hpc" / "page.html").exists()
    assert not (copy / "jobs" / "added.py").exists()
    assert (copy / "COMMIT").read_text() == commit


def test_jobs_that_wait_get_their_code_back_when_nothing_is_sent(
    tmp_path: Path, root: Path
) -> None:
    copy = frozen(tmp_path, root)
    (copy / "jobs" / "submit.py").unlink()
    mend(copy.parent, root)
    assert (copy / "jobs" / "submit.py").exists()
    mend(tmp_path / "another sweep", root)
    assert not (tmp_path / "another sweep").exists()


def test_a_loose_umask_leaves_nothing_that_others_may_write(tmp_path: Path, root: Path) -> None:
    before = os.umask(0o002)
    try:
        copy = frozen(tmp_path, root)
        assert umask_line() == ["umask 0002"]
    finally:
        os.umask(before)
    modes = [path.stat().st_mode for path in (copy.parent, copy, *copy.rglob("*"))]
    assert not [mode for mode in modes if mode & (stat.S_IWGRP | stat.S_IWOTH)]
    (copy / "jobs").chmod(0o777)
    frozen(tmp_path, root)
    assert stat.S_IMODE((copy / "jobs").stat().st_mode) == 0o755


def test_a_link_and_anothers_folder_are_refused(tmp_path: Path, root: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="link"):
        own_folder(tmp_path / "link")
    if os.geteuid():
        pytest.skip("only root can give a file away")
    copy = frozen(tmp_path, root)
    os.chown(copy / "jobs" / "submit.py", 4242, -1)
    with pytest.raises(UserError, match="uid 4242"):
        frozen(tmp_path, root)


class Script:
    """A batch script's first lines, run by bash as Slurm does, with a stand-in for scontrol."""

    def __init__(self, folder: Path, copy: Path, job: str = "7_3") -> None:
        self.logs = folder / "the logs"
        self.logs.mkdir()
        (self.logs / f"{job}_submitted.pkl").write_bytes(b"x")
        self.asked = folder / "asked"
        scontrol = folder / "bin" / "scontrol"
        scontrol.parent.mkdir()
        scontrol.write_text(f'#!/bin/sh\necho "$@" >> "{self.asked}"\nexit 1\n')
        scontrol.chmod(0o755)
        self._text = "\n".join([*script_lines(copy, self.logs), "echo begun"])
        self._path = f"{scontrol.parent}:{os.environ['PATH']}"

    def run(self, restarts: int = 0) -> tuple[int, str, str]:
        job = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3", "SLURM_JOB_ID": "10"}
        done = subprocess.run(
            ["bash", "-c", self._text], capture_output=True, text=True, timeout=60,
            env={"PATH": self._path, "SLURM_RESTART_COUNT": str(restarts), **job},
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr


def test_a_job_begins_with_whole_code_of_its_own(tmp_path: Path, root: Path) -> None:
    assert Script(tmp_path, frozen(tmp_path, root)).run() == (0, "begun\n", "")


@pytest.mark.parametrize("what", ["a file", "a changed file", "the sums", "all"])
def test_a_job_with_damaged_code_says_so_in_one_line_and_goes_back(
    tmp_path: Path, root: Path, what: str
) -> None:
    copy = frozen(tmp_path, root)
    script = Script(tmp_path, copy)
    if what == "all":
        copy.rename(copy.with_name("gone"))
    elif what == "a changed file":
        (copy / "hw5hpc" / "node" / "a.py").write_text("# other\n")
    else:
        (copy / {"a file": "hw5hpc/node/a.py", "the sums": "SHA256SUMS"}[what]).unlink()
    status, out, err = script.run()
    assert (status, "begun" in out) == (1, False)
    assert [line for line in err.splitlines() if line.startswith("not started: ")] == [
        f"not started: {copy} is not the code that was submitted (purged or changed?); "
        "submit the sweep again, which mends it"
    ]
    assert script.asked.read_text() == "requeue 10\n"
    assert script.run(restarts=3)[0] == 1
    assert script.asked.read_text() == "requeue 10\n", "it must not come back for ever"
    (copy.with_name("gone") if what == "all" else copy).rename(copy)
    frozen(tmp_path, root)
    assert script.run()[0] == 0, "mended, it begins"


@pytest.mark.parametrize("what", ["logs", "pickle", "code", "own pickle of another"])
def test_a_job_executes_nothing_that_others_may_write(
    tmp_path: Path, root: Path, what: str
) -> None:
    copy = frozen(tmp_path, root)
    script = Script(tmp_path, copy)
    pickle = script.logs / "7_3_submitted.pkl"
    path = {"logs": script.logs, "code": copy / "hw5hpc" / "node"}.get(what, pickle)
    if what != "own pickle of another":
        path.chmod(path.stat().st_mode | 0o020)
    elif os.geteuid():
        pytest.skip("only root can give a file away")
    else:
        os.chown(path, 4242, -1)
    status, out, err = script.run()
    assert (status, out) == (1, "")
    assert err.startswith(f"not started: {path} belongs to another user or may be written")
