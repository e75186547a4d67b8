"""Write a report's summary as Markdown."""

import re
from collections.abc import Iterable, Sequence

from hw5hpc.report.figures import FIGURES
from hw5hpc.report.headline import headline
from hw5hpc.report.summary import Summary, common, means_table, missing_groups

# What would start a link, code, emphasis, or a table's cell; an underscore inside a word does not.
_MARKS = re.compile(r"[\\`*\[\]|~!#]|(?<!\w)_|_(?!\w)")
# GitHub makes links of bare addresses too.
_ADDRESSES = re.compile(r"(?i)(www)\.|(\w):(?=/)|(\w)@(?=\w)")
MEMBERS = 5


def text(summary: Summary) -> str:
    """Return summary.md."""
    states = ", ".join(f"{count} {state}" for state, count in summary.states.items())
    header, rows = means_table(summary.tables)
    parts = [
        f"# {_plain(summary.title)}",
        _plain(headline(summary)),
        f"Runs: {states or 'none'}. Data: {_plain(summary.tables.source or 'not known yet')}.",
        *_claims(summary),
        "## Means by setting\n\nMean ± half of the 95 % t-interval over seeds:\n\n"
        + _table(header, rows),
        *_missing(summary),
        *_figures(summary),
        "## Common to all runs\n\n" + _table(["key", "value"], common(summary.tables).items()),
    ]
    return "\n\n".join(parts) + "\n"


def _claims(summary: Summary) -> list[str]:
    ours = [
        (one.sentence, one.verdict, one.numbers) for one in summary.verdicts if not one.original
    ]
    theirs = [
        (one.sentence, one.original, one.verdict, one.numbers)
        for one in summary.verdicts
        if one.original
    ]
    parts = ["## Claims\n\n" + _table(["claim", "verdict", "numbers"], ours)] if ours else []
    if theirs:
        header = ["statement", "the original", "verdict", "ours"]
        parts.append("## The original homework's statements\n\n" + _table(header, theirs))
    return parts


def _missing(summary: Summary) -> list[str]:
    lines = []
    for group in missing_groups(summary):
        more = len(group.members) - MEMBERS
        members = [*group.members[:MEMBERS], *([f"and {more} more"] if more > 0 else [])]
        lines += [f"- {_plain(group.words)}", *(f"  - {_plain(one)}" for one in members)]
    return ["## Missing\n\n" + "\n".join(lines)] if lines else []


def _figures(summary: Summary) -> list[str]:
    drawn = [f"![{FIGURES[name].title}]({name}.png)" for name in summary.figures]
    return ["## Figures", *drawn] if drawn else []


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(map(_plain, line)) + " |" for line in [header, *rows]]
    return "\n".join([lines[0], "| " + "--- | " * len(header), *lines[1:]]).replace("| \n", "|\n")


def _plain(words: str) -> str:
    """Nothing that came out of a name or a reason is HTML, a link, or a table's bar."""
    escaped = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    marked = _MARKS.sub(r"\\\g<0>", escaped)
    return " ".join(_ADDRESSES.sub(_broken, marked).split())


def _broken(found: re.Match[str]) -> str:
    word, mark = found[0][:-1], found[0][-1]
    return f"{word}\\{mark}"
