"""Online, offline or disabled: what W&B itself would decide, the more careful word, and why."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import KEY, forget_wandb
from wandb.sdk.lib import wbauth
from wandb_server import WandbServer

from hw5hpc.errors import UserError
from hw5hpc.store import SweepFolder
from hw5hpc.tracking.describe import words_of
from hw5hpc.tracking.mode import at_submission, choose, mode
from hw5hpc.tracking.words import CHOSEN, SAID, Words, merge, parse

NOBODY = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def forgotten() -> None:
    """W&B keeps the key and the settings that an earlier test used."""
    wbauth.unauthenticate_session(update_settings=False)
    forget_wandb()


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("online", "online"),
        ("run", "online"),
        ("shared", "online"),
        ("offline", "offline"),
        ("dryrun", "offline"),
        ("disabled", "disabled"),
    ],
)
def test_every_spelling_of_the_mode_counts(
    server: WandbServer, monkeypatch: pytest.MonkeyPatch, said: str, meant: str
) -> None:
    monkeypatch.setenv("WANDB_MODE", said)
    found, reason = mode()
    assert (found, "WANDB_MODE" in reason) == (meant, True)


def test_with_a_key_and_a_network_it_is_online(server: WandbServer) -> None:
    assert mode() == ("online", f"a key for {server.url}")


def test_without_a_key_it_is_offline(server: WandbServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY")
    found, reason = mode()
    assert found == "offline"
    assert "no API key" in reason


def test_without_a_network_it_is_offline(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", NOBODY)
    assert mode() == ("offline", f"{NOBODY} does not answer")


def test_an_unknown_mode_is_an_error(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "ofline")
    with pytest.raises(UserError, match=r"WANDB_MODE: .*'ofline'.*Did you mean 'offline'"):
        mode()


def test_an_empty_mode_says_nothing(server: WandbServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "")
    assert mode()[0] == "online"


@pytest.mark.parametrize("word", ["true", "1"])
def test_the_older_word_for_disabled_counts(
    server: WandbServer, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    monkeypatch.setenv("WANDB_DISABLED", word)
    assert mode() == ("disabled", "WANDB_DISABLED")


@pytest.mark.parametrize("command", ["offline", "disabled"])
def test_the_commands_of_wandb_count(server: WandbServer, tmp_path: Path, command: str) -> None:
    """`wandb offline` writes a settings file."""
    done = subprocess.run(
        [sys.executable, "-m", "wandb", command], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found, reason = mode()
    assert (found, "settings file" in reason) == (command, True)


def test_an_unknown_mode_in_a_settings_file_is_an_error(clean: Path) -> None:
    (clean / ".config" / "wandb").mkdir(parents=True)
    (clean / ".config" / "wandb" / "settings").write_text("[default]\nmode = never\n")
    with pytest.raises(UserError, match=r"wandb/settings: mode: unknown W&B mode 'never'"):
        mode()


def test_a_key_in_netrc_counts_for_its_host_and_port(
    server: WandbServer, clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_API_KEY")
    netrc = clean / ".netrc"
    netrc.write_text(f"machine 127.0.0.1:1 login user password {KEY}\n")
    assert mode()[0] == "offline"
    host = server.url.removeprefix("http://")
    netrc.write_text(f"machine {host} login user password {KEY}\n")
    assert mode()[0] == "online"


def test_a_proxy_is_asked_instead_of_the_server(
    server: WandbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stand-in answers as a proxy would; the server itself does not exist."""
    monkeypatch.setenv("WANDB_BASE_URL", "http://wandb.invalid")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert mode()[0] == "offline"
    monkeypatch.setenv("HTTP_PROXY", server.url)
    assert mode()[0] == "online"


def test_who_said_offline_is_never_online(
    server: WandbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    assert choose(Words(mode="offline")).mode == "offline"
    assert choose(Words(mode="online")).mode == "online"
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert choose(Words(mode="online")).mode == "offline"


def test_what_was_said_at_submission_goes_along(
    server: WandbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node may know neither the shell nor the settings file of who submitted."""
    assert "mode" not in at_submission(Words())
    monkeypatch.setenv("WANDB_MODE", "dryrun")
    block = at_submission(Words(project="p"))
    assert block == {
        "project": "p", "mode": "offline", SAID: "WANDB_MODE", CHOSEN: "offline (WANDB_MODE)",
    }  # fmt: skip


def test_the_reason_says_where_the_mode_was_said(
    server: WandbServer, sweep: SweepFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep's file, the profile, or who submitted: the block that is recorded said nothing."""
    places = ("the profile's key 'wandb'", "x.yaml: wandb")
    assert choose(merge({"mode": "offline"}, {"mode": "online"}, places)).reason == places[0]
    assert choose(merge({"mode": "online"}, {"mode": "dryrun"}, places)).reason == places[1]
    assert choose(merge({}, {"mode": "online"}, places)).reason == f"said by {places[1]}"
    monkeypatch.setenv("WANDB_MODE", "offline")
    block = at_submission(Words(project="p"))
    sweep.save({**sweep.load(), "wandb": block}, sweep.points())
    monkeypatch.delenv("WANDB_MODE")
    assert str(choose(words_of(sweep))) == "offline (WANDB_MODE at submission)"


def test_the_sweeps_words_go_over_the_profiles() -> None:
    low = {"entity": "lab", "project": "old", "tags": ["a"], "mode": "offline"}
    found = merge(low, {"project": "new", "tags": ["b", "a"], "mode": "online"}, ("low", "high"))
    assert found == Words("lab", "new", ("a", "b"), "offline")


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        ({"projct": "x"}, "unknown key 'projct'.*Did you mean 'project'"),
        ({"mode": "of"}, "unknown W&B mode 'of'"),
        ({"tags": "x"}, "takes a list of words"),
        ({"tags": ["x" * 65]}, "1 to 64 letters"),
        ({"entity": 3}, "key 'entity' takes a word"),
    ],
)
def test_a_wrong_block_is_one_line(block: dict[str, object], problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        parse(block, "x.yaml: wandb")
