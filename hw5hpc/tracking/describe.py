"""What W&B is told of a run besides its rows: name, group, tags, config."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from hw5hpc.store import Outputs, RunFolder, SweepFolder
from hw5hpc.tracking.words import CHOSEN, SAID, Words, parse

# Keys whose symbol everybody in the field knows; the others go by their last part.
SYMBOLS = {"gan.unroll_steps": "K"}
PROVENANCE = ("commit", "modified", "code", "job", "host", "device", "ranks", "data_source",
              "data_sha256")  # fmt: skip


@dataclass(frozen=True)
class Card:
    """How a run appears at W&B."""

    name: str
    group: str
    job_type: str
    tags: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    reach: float = 2.0


def card(run: RunFolder, sweep: SweepFolder, words: Words) -> Card:
    """Return a run's card, from its own files and the sweep's list of points.

    Raises:
        StoreError: config.yaml is missing or damaged.
    """
    experiment, config = run.config()
    facts = run.provenance()
    known = {key: facts[key] for key in PROVENANCE if key in facts}
    device = [str(facts["device"])[:64]] if facts.get("device") else []
    return Card(
        name=name(run.id, experiment, _swept(sweep, run.id)),
        group=sweep.name,
        job_type=experiment,
        tags=tuple(dict.fromkeys((sweep.name[:64], *device, *words.tags))),
        config={**nested(config), **known, "run": run.id, "sweep": sweep.name},
        reach=2.0 * float(config.get("ring.radius", 1.0)),
    )


def name(run_id: str, experiment: str, swept: Mapping[str, Any]) -> str:
    """Return 'K=5 seed=0' from what is swept; a run that no sweep lists goes by its id."""
    parts = [f"{short(key)}={_shown(value)}" for key, value in swept.items()]
    return " ".join(parts) or f"{experiment} {run_id}"


def short(key: str) -> str:
    return SYMBOLS.get(key, key.rsplit(".", 1)[-1])


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _swept(sweep: SweepFolder, run_id: str) -> dict[str, Any]:
    """What the sweep varies, at this run; {} for a prerequisite or a list that is gone."""
    if not sweep.points_path.exists():
        return {}
    for row in sweep.points():
        if row.get("run") == run_id:
            return {key: yaml.safe_load(text) if text else None
                    for key, text in row.items() if key and key != "run"}  # fmt: skip
    return {}


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return dotted keys as nested mappings, as W&B groups by them."""
    made: dict[str, Any] = {}
    for key, value in flat.items():
        *path, last = key.split(".")
        inner = made
        for part in path:
            inner = inner.setdefault(part, {})
        inner[last] = value
    return made


def words_of(sweep: SweepFolder) -> Words:
    """Return what was said of W&B when the sweep was submitted.

    Raises:
        StoreError: nothing was submitted.
        UserError: what was recorded cannot be read.
    """
    block = sweep.load().get("wandb") or {}
    said = {key: value for key, value in block.items() if key not in (CHOSEN, SAID)}
    where = f"{sweep.sweep_path}: wandb"
    who = f"{block[SAID]} at submission" if block.get(SAID) else where
    return replace(parse(said, where), said_by=who)


def mode_at_submission(sweep: SweepFolder) -> str:
    """Return the mode and its reason as the plan said them, '' where none was recorded."""
    return str((sweep.load().get("wandb") or {}).get(CHOSEN, ""))


def sweep_of(run: RunFolder, name: str) -> SweepFolder:
    """Return the sweep's folder beside a run's."""
    return Outputs(run.path.parents[1]).sweep(name)
