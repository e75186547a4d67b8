"""Whether W&B is online, offline or disabled here, and why: wandb's own settings decide."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import wandb
from wandb.errors import AuthenticationError
from wandb.sdk.lib import wbauth

from hw5hpc.errors import UserError
from hw5hpc.tracking.words import CHOSEN, SAID, Words, careful, spelling

KEY_HELP = "no API key (wandb login, or WANDB_API_KEY)"


@dataclass(frozen=True)
class Choice:
    """The mode and the reason in words; `said` is who asked for it, '' when nobody did."""

    mode: str
    reason: str
    said: str = ""

    def __str__(self) -> str:
        return f"{self.mode} ({self.reason})"


def mode(words: Words | None = None) -> tuple[str, str]:
    """Return the mode in which runs started here would be mirrored, and why.

    Raises:
        UserError: a mode that W&B does not know, wherever it was said.
    """
    found = choose(words or Words())
    return found.mode, found.reason


def at_submission(words: Words) -> dict[str, Any]:
    """Return the block to record with a sweep; CHOSEN holds the mode and why, for the plan.

    What was said here is recorded: a node may know neither this shell nor its settings file.

    Raises:
        UserError: a mode that W&B does not know, wherever it was said.
    """
    found = choose(words)
    said = {"mode": found.mode, SAID: found.said} if found.said else {}
    return words.block() | said | {CHOSEN: str(found)}


def choose(words: Words) -> Choice:
    """Return the choice; of several words the most careful counts.

    Raises:
        UserError: a mode that W&B does not know, wherever it was said.
    """
    settings = own_settings()
    asked = [*_said(settings), *([(words.mode, words.said_by)] if words.mode else [])]
    told = careful(*(word for word, _ in asked))
    if told in ("offline", "disabled"):
        who = next(who for word, who in asked if word == told)
        return Choice(told, who, said=who)
    missing = _missing(settings)
    if missing and told is None:
        return Choice("offline", missing)
    reason = f"said by {asked[0][1]}" if asked else f"a key for {settings.base_url}"
    said = asked[0][1] if asked else ""
    return Choice("online", f"{reason}, but {missing}" if missing else reason, said=said)


def own_settings() -> wandb.Settings:
    """Return W&B's settings from its files and the environment, read anew.

    Raises:
        UserError: one of them holds what W&B does not accept.
    """
    os.environ.setdefault("WANDB_SILENT", "true")
    settings = wandb.Settings()
    # As W&B finds it; its own loader keeps what it once read for the life of the process.
    folder = os.environ.get("WANDB_CONFIG_DIR") or "~/.config/wandb"
    settings.settings_system = str(Path(folder).expanduser() / "settings")
    if os.environ.get("WANDB_DIR"):
        settings.root_dir = os.environ["WANDB_DIR"]
    files = settings.read_system_settings()
    if "mode" in files.all():
        spelling(files.all()["mode"], f"{files.sources[-1]}: mode")
    if os.environ.get("WANDB_MODE"):
        spelling(os.environ["WANDB_MODE"], "WANDB_MODE")
    else:
        # An empty word says nothing, but W&B stumbles over it.
        os.environ.pop("WANDB_MODE", None)
    try:
        settings.update_from_system_settings()
        settings.update_from_env_vars(dict(os.environ))
    except ValueError as error:
        first = " ".join(str(error).split())[:200]
        raise UserError(f"W&B does not accept its settings: {first}") from error
    return settings


def _said(settings: wandb.Settings) -> list[tuple[str, str]]:
    """Return (mode, who said it); WANDB_DISABLED is an older word that W&B no longer reads."""
    said = []
    if os.environ.get("WANDB_DISABLED", "").lower() in ("1", "true", "yes", "on"):
        said.append(("disabled", "WANDB_DISABLED"))
    files = settings.read_system_settings()
    if os.environ.get("WANDB_MODE"):
        said.append((spelling(os.environ["WANDB_MODE"], "WANDB_MODE"), "WANDB_MODE"))
    elif "mode" in files.all():
        path = str(files.sources[-1])
        said.append((spelling(files.all()["mode"], path), f"the settings file {path}"))
    return said


def _missing(settings: wandb.Settings) -> str:
    """Return what keeps W&B from being online: a key or a network; '' when nothing does."""
    try:
        key = wbauth.authenticate_session(
            host=settings.base_url, source="hw5hpc", prompt=False, update_session=False
        )
    except AuthenticationError as error:
        return f"the API key cannot be used: {str(error).splitlines()[0]}"
    if key is None and not settings.api_key:
        return KEY_HELP
    return "" if _reachable(settings) else f"{settings.base_url} does not answer"


def _reachable(settings: wandb.Settings, seconds: float = 5.0) -> bool:
    """Whether any answer comes, through the proxies that W&B would use."""
    named = {"http": settings.http_proxy, "https": settings.https_proxy}
    proxies = {scheme: proxy for scheme, proxy in named.items() if proxy}
    try:
        requests.head(settings.base_url, timeout=seconds, proxies=proxies or None)
    except requests.RequestException:
        return False
    return True
