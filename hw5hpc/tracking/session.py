"""One W&B run, open in this process: rows in, and W&B's own word on what arrived."""

import contextlib
import logging
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import wandb

from hw5hpc.store import State
from hw5hpc.tracking.describe import Card
from hw5hpc.tracking.history import Arrays, Row
from hw5hpc.tracking.mode import own_settings
from hw5hpc.tracking.pictures import pictures
from hw5hpc.tracking.words import PROJECT, Words

INIT_SECONDS = 60.0
# How long W&B may take until it has counted what it took.
CONFIRM_SECONDS = 20.0


@dataclass(frozen=True)
class Place:
    """Where runs go: W&B's server, and the entity ('' is the key's own) and project there."""

    server: str
    entity: str
    project: str

    def __str__(self) -> str:
        return "/".join((self.server, self.entity, self.project))


def place(words: Words) -> Place:
    """Return where runs go: W&B's own settings (environment, files) over the sweep's words."""
    settings = own_settings()
    project = settings.project or words.project or PROJECT
    entity = settings.entity or words.entity or ""
    return Place(settings.base_url, entity, project)


class Session:
    """An open W&B run.

    Its files lie in a temporary folder: what has not arrived is sent again from the run's own.
    """

    def __init__(
        self,
        id: str,
        card: Card,
        where: Place,
        *,
        live: bool = False,
        goes_on: bool = False,
        finish_seconds: float = 120.0,
        folder: Path | None = None,
    ) -> None:
        """Open it: online, or as an offline run in `folder`.

        `live` measures this machine as well; `goes_on` leaves the run unfinished when it is closed.

        Raises:
            wandb.Error: W&B does not answer in time, or refuses.
        """
        self._aside = None if folder else tempfile.mkdtemp(prefix="hw5hpc-wandb-")
        self._reach, self._goes_on = card.reach, goes_on
        self._run: Any = None
        try:
            self._run = wandb.init(
                project=where.project, entity=where.entity or None, id=id, name=card.name,
                group=card.group, job_type=card.job_type, tags=list(card.tags),
                config=dict(card.config), resume=None if folder else "allow",
                dir=folder or self._aside, mode="offline" if folder else "online",
                reinit="create_new", settings=_settings(live, goes_on, finish_seconds),
            )  # fmt: skip
        finally:
            if self._run is None:
                self._give_up()
        # W&B's own count: rows up to this step it has already.
        self.step = self._run.starting_step - 1

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *details: object) -> None:
        """Let go of a session that was not closed; what it sent is for W&B to tell."""
        if self._run is not None:
            with contextlib.suppress(Exception):
                self.close(State.RUNNING)
            self._give_up()

    @property
    def url(self) -> str:
        return str(self._run.url or "")

    @property
    def path(self) -> str:
        return f"{self._run.entity}/{self._run.project}/{self._run.id}"

    def axes(self) -> None:
        """Let every curve be drawn over epochs, or over steps where the reader prefers them."""
        self._run.define_metric("epoch", hidden=True)
        self._run.define_metric("step", hidden=True)
        self._run.define_metric("*", step_metric="epoch")

    def log(self, rows: Iterable[Row], arrays: Arrays) -> int:
        """Log the rows that W&B does not have, and return how many."""
        fresh = [row for row in rows if row.step > self.step]
        for row in fresh:
            shown = {name: wandb.Image(made) for name, made in self._made(row, arrays).items()}
            self._run.log({**row.values, **shown}, step=row.step, commit=True)
            self.step = row.step
        return len(fresh)

    def upload_again(self, rows: Iterable[Row], after: int, arrays: Arrays) -> None:
        """Upload the pictures of rows that W&B has from a session that it never confirmed.

        W&B names a picture's file by the step after the row before.
        """
        before = 0
        for row in rows:
            if after < row.step <= self.step:
                for name, made in self._made(row, arrays).items():
                    wandb.Image(made).bind_to_run(self._run, name, before)
            before = row.step + 1

    def _made(self, row: Row, arrays: Arrays) -> dict[str, Any]:
        if row.pictured is None:
            return {}
        found = {name: of[row.pictured] for name, of in arrays.items() if row.pictured in of}
        return pictures(found, self._reach)

    def log_media(self, values: Mapping[str, Any]) -> None:
        """Log one row of what W&B shows itself (tables, pictures from files)."""
        self._run.log(dict(values), commit=True)

    def attach(self, name: str, kind: str, paths: Iterable[Path]) -> None:
        """Log files as one artifact."""
        made = wandb.Artifact(name, type=kind)
        for path in paths:
            made.add_file(str(path), name=path.name)
        self._run.log_artifact(made)

    def update(self, summary: Mapping[str, Any]) -> None:
        self._run.summary.update(dict(summary))

    def close(self, state: State) -> None:
        """End it; returns when W&B has taken everything.

        Raises:
            TimeoutError: it has not in `finish_seconds`.
        """
        if state not in ENDS and not self._goes_on:
            self._run.mark_preempting()
        self._run.finish(exit_code=ENDS.get(state, 1))
        self._run = None
        self._drop()

    def _give_up(self) -> None:
        """End W&B's process: after a failure it holds the run's id, or is gone itself."""
        with contextlib.suppress(Exception, SystemExit):
            wandb.teardown(exit_code=1)
        self._drop()

    def _drop(self) -> None:
        if self._aside:
            shutil.rmtree(self._aside, ignore_errors=True)


ENDS = {State.FINISHED: 0, State.DIVERGED: 1, State.FAILED: 1}


def arrived(path: str, step: int, seconds: float = CONFIRM_SECONDS) -> bool:
    """Ask W&B until its run has all steps up to `step`; False when it has not in time."""
    end = time.monotonic() + seconds
    while True:
        if _last_step(path) >= step:
            return True
        if time.monotonic() > end:
            return False
        time.sleep(1)


def _last_step(path: str) -> int:
    try:
        found = wandb.Api(timeout=20).run(path)
        last = dict(found.summary).get("_step", -1)
        return max(int(found.lastHistoryStep), int(last))
    except (wandb.Error, ValueError, TypeError, KeyError):
        logging.getLogger(__name__).info("W&B has no word on %s yet", path)
        return -2


def _settings(live: bool, goes_on: bool, finish_seconds: float) -> wandb.Settings:
    """Quiet, bounded in time, and without the git remote, whose address may hold a token."""
    settings = wandb.Settings(
        silent=True, console="off", disable_git=True, save_code=False, label_disable=True,
        init_timeout=INIT_SECONDS, finish_timeout=finish_seconds, finish_timeout_raises=True,
        x_update_finish_state=not goes_on,
    )  # fmt: skip
    if not live:
        # The machine that sends is not the one that trained.
        settings.x_disable_stats = settings.x_disable_meta = True
        settings.x_save_requirements = False
    return settings
