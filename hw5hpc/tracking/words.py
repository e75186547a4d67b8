"""What a profile and a sweep file say of W&B: the key and the block `wandb`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hw5hpc.errors import UserError, brief, nearest, unknown

PROJECT = "hw5hpc"
# Where a recorded sweep keeps the mode that its plan showed, in words, and who asked for it.
CHOSEN, SAID = "chosen", "said_by"
KEYS = ("entity", "project", "tags", "mode")
# W&B's own spellings, and what each means here.
MODES = {
    "online": "online",
    "run": "online",
    "shared": "online",
    "offline": "offline",
    "dryrun": "offline",
    "disabled": "disabled",
}


@dataclass(frozen=True)
class Words:
    """Where the mirror goes; None leaves it to W&B's own settings.

    `said_by` is where the mode was said.
    """

    entity: str | None = None
    project: str | None = None
    tags: tuple[str, ...] = ()
    mode: str | None = None
    said_by: str = field(default="the block or key 'wandb'", compare=False)

    def block(self) -> dict[str, Any]:
        """Return the words as a block that `parse` reads."""
        return {key: getattr(self, key) for key in KEYS if getattr(self, key)}


def merge(profile: Mapping[str, Any], sweep: Mapping[str, Any], where: tuple[str, str]) -> Words:
    """Return the sweep's words over the profile's; tags add up, and the more careful mode counts.

    Raises:
        UserError: one line with the file, the key, what is wrong and what is allowed.
    """
    low, high = parse(profile, where[0]), parse(sweep, where[1])
    mode = careful(low.mode, high.mode)
    return Words(
        entity=high.entity or low.entity,
        project=high.project or low.project,
        tags=tuple(dict.fromkeys((*low.tags, *high.tags))),
        mode=mode,
        said_by=high.said_by if high.mode == mode else low.said_by,
    )


def careful(*modes: str | None) -> str | None:
    """Return the mode that sends least: who said offline is never online."""
    for mode in ("disabled", "offline", "online"):
        if mode in modes:
            return mode
    return None


def parse(block: Mapping[str, Any], where: str) -> Words:
    """Return the words of one block.

    Raises:
        UserError: an unknown key or mode, or a value of the wrong type.
    """
    for key, value in block.items():
        if key not in KEYS:
            hint = f"allowed: {', '.join(KEYS)}.{nearest(str(key), KEYS)}"
            raise UserError(f"{where}: unknown key {brief(key)}; {hint}")
        _check(key, value, where)
    values = {key: value for key, value in block.items() if value is not None}
    if "mode" in values:
        values["mode"] = spelling(values["mode"], f"{where}: key 'mode'")
    return Words(**{**values, "tags": tuple(values.get("tags", ())), "said_by": where})


def _check(key: str, value: Any, where: str) -> None:
    if value is None:
        return
    if key == "tags":
        words = isinstance(value, list | tuple) and all(isinstance(tag, str) for tag in value)
        if not words or not all(0 < len(tag) <= 64 for tag in value):
            raise UserError(
                f"{where}: key 'tags' takes a list of words (1 to 64 letters), got {brief(value)}"
            )
    elif not isinstance(value, str) or not value:
        raise UserError(f"{where}: key {key!r} takes a word, got {brief(value)}")


def spelling(mode: str, where: str) -> str:
    """Return 'online', 'offline' or 'disabled' for one of W&B's spellings.

    Raises:
        UserError: `mode` is none of them; the line begins with `where`.
    """
    if mode not in MODES:
        raise UserError(f"{where}: {unknown('W&B mode', mode, MODES)}")
    return MODES[mode]
