"""How far a run has been sent to W&B: the file wandb.json in its folder."""

import contextlib
import dataclasses
import fcntl
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from hw5hpc.store import RunFolder, files
from hw5hpc.tracking.history import History

FILE = "wandb.json"


@dataclass(frozen=True)
class Memory:
    """What W&B is known to have of one attempt at a run.

    The id is the attempt's own: the run's id and a random part, so that a run made again, here or
    in another output folder, never continues the history of another one. `step` is the last one
    that W&B confirmed, `digest` that of all rows up to it. `opened_by` is 'job' or 'sync' from the
    moment in which W&B is opened until it has confirmed: what came in between only W&B knows.
    """

    id: str
    place: str = ""
    step: int = -1
    digest: str = ""
    state: str = ""
    opened_by: str = ""
    url: str = ""
    earlier: tuple[str, ...] = ()

    def settled(self, found: History) -> bool:
        """Whether W&B has all that there is."""
        if self.opened_by or self.state != _told(found) or self.step < found.last_step:
            return False
        return self.step > found.last_step or self.digest == found.digest(self.step)

    def agrees(self, found: History) -> bool:
        """Whether the files continue what was sent.

        A run cut back to an older checkpoint has fewer rows: those to come are the same again.
        """
        return (
            found.last_step < self.step
            or not self.digest
            or (found.digest(self.step) == self.digest)
        )

    def sent(self, found: History, step: int, url: str) -> "Memory":
        """Return the memory after W&B confirmed all rows up to `step`.

        What W&B has beyond the files (they were cut back) is left open until they have grown again.
        """
        told = dataclasses.replace(self, state=_told(found), opened_by="", url=url)
        upto = min(step, found.last_step)
        if upto < self.step:
            return told
        return dataclasses.replace(told, step=upto, digest=found.digest(upto))

    def opened(self, by: str) -> "Memory":
        return dataclasses.replace(self, opened_by=by)

    def anew(self) -> "Memory":
        """Return the memory of a new W&B run, for a history that is not the one that was sent."""
        return Memory(
            fresh_id(self.id[: -SUFFIX - 1]), self.place, earlier=(*self.earlier, self.id)
        )


SUFFIX = 6


def fresh_id(run_id: str) -> str:
    return f"{run_id}-{secrets.token_hex(SUFFIX // 2)}"


def _told(found: History) -> str:
    """The end that W&B was told of; a run that goes on has none."""
    return str(found.state) if found.state.done or found.state == "failed" else ""


def load(folder: Path, run_id: str, place: str) -> Memory:
    """Return what wandb.json tells, or a fresh memory; another `place` knows nothing yet."""
    raw = files.read_json(folder / FILE)
    if not isinstance(raw, dict) or not isinstance(raw.get("id"), str):
        return Memory(fresh_id(run_id), place)
    if raw.get("place") != place:
        return Memory(raw["id"], place)
    known = {field.name: raw[field.name] for field in dataclasses.fields(Memory)
             if field.name in raw}  # fmt: skip
    return Memory(**{**known, "earlier": tuple(raw.get("earlier", ()))})


def url_of(run: RunFolder) -> str:
    """Return the address at W&B of a run that was sent, or ''."""
    raw = files.read_json(run.path / FILE)
    return str(raw.get("url") or "") if isinstance(raw, dict) else ""


def save(folder: Path, memory: Memory) -> None:
    files.write_json(folder / FILE, dataclasses.asdict(memory))


@contextlib.contextmanager
def held(folder: Path) -> Iterator[bool]:
    """Let one process at a time send a run; gives False when another one is at it."""
    with (folder / "wandb.lock").open("a") as file:
        yield _lock(file)


def _lock(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # No locks on this file system; W&B itself drops a step that it has.
        return True
    return True
