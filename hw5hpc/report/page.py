"""Write a report as one accessible HTML page that needs no other file and no network."""

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from hw5hpc.report import origin, svg
from hw5hpc.report.claims.verdict import FAILS, HOLDS, Verdict
from hw5hpc.report.figures import FIGURES
from hw5hpc.report.headline import headline, key_figure
from hw5hpc.report.render import Drawn
from hw5hpc.report.summary import (
    Missing,
    Summary,
    common,
    means_table,
    missing_groups,
    number,
    shown_runs,
)
from hw5hpc.text import safe

FOLDER = Path(__file__).parent / "template"
KINDS = {HOLDS: "holds", FAILS: "fails"}
# A page with more rows, or more members of one kind of missing run, answers slowly.
ROWS, MEMBERS = 1000, 100
# The most pixels of the page that a point (1/72 inch) of a figure takes: text stays in proportion.
SCALE = 1.5


@dataclass(frozen=True)
class Cell:
    """A table's cell; `value` is the number that it is sorted by, None for words."""

    text: str
    value: float | None = None


@dataclass(frozen=True)
class Head:
    """The head of a column."""

    text: str
    number: bool = False


@dataclass(frozen=True)
class Row:
    """A table's row; `links` are what a reader can open of it."""

    cells: Sequence[Cell]
    links: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """A table of the page."""

    caption: str
    header: Sequence[Head]
    rows: Sequence[Row]
    links: bool = False


def html(summary: Summary, drawn: Sequence[Drawn] = (), made: str = "") -> str:
    """Return index.html; every text that came from a file is escaped.

    `made` is a sentence on what made the report.
    """
    script = _file("page.js")
    figures = {one.name: _figure(one) for one in drawn}
    key = key_figure(summary)
    missing = missing_groups(summary)
    parts = [part for one in drawn for part in (one.wide, one.narrow) if part]
    pictures = {name: image for part in parts for name, image in part.images.items()}
    page: str = template().render(
        title=summary.title,
        states=_states(summary),
        finding=headline(summary),
        key=figures.get(key),
        contents=_contents(summary, missing),
        cards=[_card(one, summary) for one in summary.verdicts if not one.original],
        originals=[_card(one, summary) for one in summary.verdicts if one.original],
        originals_words=_counted([one.verdict for one in summary.verdicts if one.original]),
        means=_means(summary),
        figures=[figures[name] for name in figures if name != key],
        missing=[_first(group) for group in missing],
        common=_words("Shared by all runs", ["key", "value"], common(summary.tables).items()),
        runs=_runs(summary),
        data=summary.tables.source or "not known yet",
        made=safe(made),
        commits=", ".join(summary.tables.commits) or "not known",
        mirror=summary.tables.mirror or "not recorded",
        # Trusted: files of this package, and drawings that went through svg.embed.
        style=Markup(_file("page.css")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        pictures=Markup("".join(pictures.values())),
        made_from=Markup(_no_tags(origin.record(summary.tables, "page").text())),
        **_colours(parts),
    )
    return page


@cache
def template() -> jinja2.Template:
    """Return the page's template, compiled once."""
    loader = jinja2.FileSystemLoader(FOLDER)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("page.html")


def _file(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _no_tags(text: str) -> str:
    return text.replace("<", "\\u003c").replace("&", "\\u0026")


def _states(summary: Summary) -> str:
    counts = ", ".join(f"{count} {state}" for state, count in summary.states.items())
    return f"{sum(summary.states.values())} runs: {counts}" if counts else "no runs"


def _contents(summary: Summary, missing: Sequence[object]) -> dict[str, str]:
    places = {
        "claims": ("Claims", [one for one in summary.verdicts if not one.original]),
        "originals": ("The original", [one for one in summary.verdicts if one.original]),
        "results": ("Means by setting", True),
        "figures": ("Figures", set(summary.figures) - {key_figure(summary)}),
        "missing": ("Missing", missing),
        "common": ("Common to all runs", True),
        "runs": ("Runs", True),
    }
    return {anchor: words for anchor, (words, there) in places.items() if there}


def _counted(verdicts: Sequence[str]) -> str:
    """Return the verdicts with their numbers, as in '2 hold, 1 cannot be told'."""
    counts = Counter(verdict.partition(" (")[0] for verdict in verdicts)
    plural = {HOLDS: "hold", FAILS: "do not hold"}
    return ", ".join(
        f"{count} {plural.get(verdict, verdict) if count > 1 else verdict}"
        for verdict, count in counts.items()
    )


def _card(one: Verdict, summary: Summary) -> dict[str, str]:
    key = key_figure(summary)
    proofs = [name for name in summary.figures if one.claim in FIGURES[name].shows and name != key]
    proof = next(iter(proofs), "")
    return {
        "kind": KINDS.get(one.verdict, "open"),
        "verdict": one.verdict[:1].upper() + one.verdict[1:],
        "sentence": one.sentence,
        "numbers": one.numbers,
        "finding": one.finding,
        "settle": one.settle,
        "original": one.original,
        "rule": one.rule,
        "figure": proof,
        "figure_title": FIGURES[proof].title if proof else "",
    }


def _figure(drawn: Drawn) -> dict[str, Any]:
    entry = FIGURES[drawn.name]
    return {
        "name": drawn.name,
        "title": entry.title,
        "caption": entry.caption,
        "notes": drawn.notes[:1].upper() + drawn.notes[1:],
        "alternative": drawn.alternative,
        "wide": _part(drawn.wide),
        "narrow": _part(drawn.narrow) if drawn.narrow else None,
    }


def _part(part: svg.Drawing) -> dict[str, Any]:
    shown = round(SCALE * part.width)
    return {"width": part.width, "height": part.height, "shown": shown, "body": Markup(part.body)}


def _colours(parts: Sequence[svg.Drawing]) -> dict[str, Markup]:
    colours = sorted({colour for part in parts for colour in part.colours})
    light = "".join(f"--c{colour[1:]}:{colour};" for colour in colours)
    dark = "".join(f"--c{colour[1:]}:{svg.on_dark(colour)};" for colour in colours)
    return {"light": Markup(light), "dark": Markup(dark)}


def _words(caption: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    made = [Row([Cell(cell) for cell in row]) for row in rows]
    return Table(caption, [Head(text) for text in header], made)


def _first(group: Missing) -> Missing:
    more = len(group.members) - MEMBERS
    if more <= 0:
        return group
    return Missing(group.words, (*group.members[:MEMBERS], f"and {more:,} more"))


def _means(summary: Summary) -> Table:
    header, rows = means_table(summary.tables)
    count = f": the first {ROWS:,} of {len(rows):,} rows, all are in summary.md"
    return _words("Means by setting" + count * (len(rows) > ROWS), header, rows[:ROWS])


def _runs(summary: Summary) -> Table:
    every = shown_runs(summary.tables)
    whole = every["state"] == "finished"
    frame = every.loc[whole.sort_values(kind="stable").index[:ROWS].sort_values()]
    numbers = [all(_value(one) is not None or one is None or one != one for one in frame[name])
               for name in frame]  # fmt: skip
    header = [Head(str(name), numeric) for name, numeric in zip(frame, numbers, strict=True)]
    rows = [
        Row([Cell(number(one), _value(one)) for one in row], summary.tables.links.get(row[0], {}))
        for row in frame.itertuples(index=False, name=None)
    ]
    caption = f"All {len(every)} runs"
    if len(every) > ROWS:
        caption = f"{ROWS:,} of {len(every):,} runs: first of all those that have not finished"
    return Table(caption, header, rows, links=True)


def _value(value: object) -> float | None:
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if numeric and value == value else None  # type: ignore[arg-type]
