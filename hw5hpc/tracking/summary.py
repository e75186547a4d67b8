"""A sweep's one summary run at W&B: final figures, tables of claims and means, files."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import wandb

from hw5hpc.store import State, SweepFolder
from hw5hpc.store.files import valid
from hw5hpc.tracking import memory
from hw5hpc.tracking.describe import Card
from hw5hpc.tracking.memory import Memory
from hw5hpc.tracking.mirror import Sent, one_line
from hw5hpc.tracking.session import Place, Session

JOB_TYPE = "report"


@dataclass(frozen=True)
class Table:
    """A table of plain cells."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Content:
    """What a sweep's report says, as plain values and files.

    `verdicts` are (claim, verdict, numbers); `metrics` the names of the curves, headline first;
    `pictures` the media keys that its runs log.
    """

    title: str
    swept: Sequence[str]
    facts: Mapping[str, Any]
    verdicts: Sequence[tuple[str, str, str]]
    means: Table
    metrics: Sequence[str]
    pictures: Sequence[str]
    figures: Mapping[str, Path] = field(default_factory=dict)
    files: Sequence[Path] = ()

    @property
    def digest(self) -> str:
        """What decides whether it has changed: the numbers, of which the figures are drawn."""
        told = [self.title, dict(self.facts), list(self.verdicts), self.means.rows]
        return hashlib.sha256(json.dumps(valid(told), sort_keys=True).encode()).hexdigest()


def changed(sweep: SweepFolder, content: Content, where: Place) -> bool:
    """Whether W&B does not have this content yet."""
    past = memory.load(sweep.path, sweep.name, str(where))
    return past.digest != content.digest or bool(past.opened_by)


def send_summary(sweep: SweepFolder, content: Content, tags: Sequence[str], where: Place) -> Sent:
    """Send the sweep's summary when it has changed, always as the same W&B run."""
    name = f"{sweep.name} (summary)"
    try:
        with memory.held(sweep.path) as mine:
            past = memory.load(sweep.path, sweep.name, str(where))
            if not mine:
                return Sent(name, note="is being sent by another process")
            memory.save(sweep.path, past.opened("sync"))
            url = _send(sweep, content, tags, where, past)
            memory.save(sweep.path, Memory(past.id, str(where), digest=content.digest, url=url))
    except Exception as error:
        return Sent(name, problem=one_line(error))
    return Sent(name, rows=1, url=url)


def _send(
    sweep: SweepFolder, content: Content, tags: Sequence[str], where: Place, past: Memory
) -> str:
    card = Card(
        name=content.title,
        group=sweep.name,
        job_type=JOB_TYPE,
        tags=tuple(dict.fromkeys((sweep.name[:64], *tags))),
        config={"sweep": sweep.name, "swept": list(content.swept)},
    )
    with Session(past.id, card, where) as session:
        session.log_media(_media(content))
        session.attach(f"{sweep.name}-results", "results", content.files)
        session.update({**content.facts, **_verdict_counts(content)})
        url = session.url
        session.close(State.FINISHED)
    return url


def _media(content: Content) -> dict[str, Any]:
    verdicts = Table(("claim", "verdict", "numbers"), content.verdicts)
    tables = {"claims": verdicts, "means": content.means}
    made = {
        name: wandb.Table(columns=list(table.columns), data=[list(map(str, r)) for r in table.rows])
        for name, table in tables.items()
        if table.rows
    }
    drawn = {f"figures/{name}": wandb.Image(str(path)) for name, path in content.figures.items()}
    return {**made, **drawn}


def _verdict_counts(content: Content) -> dict[str, int]:
    verdicts = [verdict for _, verdict, _ in content.verdicts]
    return {f"claims: {verdict}": verdicts.count(verdict) for verdict in dict.fromkeys(verdicts)}
