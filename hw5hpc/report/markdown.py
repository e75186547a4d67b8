"""Write a report's summary as Markdown."""

from collections.abc import Iterable, Sequence

from hw5hpc.report.figures import FIGURES
from hw5hpc.report.summary import Summary, common, means_table


def text(summary: Summary) -> str:
    """Return summary.md."""
    states = ", ".join(f"{count} {state}" for state, count in summary.states.items())
    header, rows = means_table(summary.tables)
    parts = [
        f"# {_plain(summary.title)}",
        f"Runs: {states or 'none'}. Data: {_plain(summary.tables.source or 'not known yet')}.",
        f"Mean ± half of the 95 % t-interval over seeds:\n\n{_table(header, rows)}",
        *_claims(summary),
        *_missing(summary),
        *_figures(summary),
        "## Common to all runs\n\n" + _table(["key", "value"], common(summary.tables).items()),
    ]
    return "\n\n".join(parts) + "\n"


def _claims(summary: Summary) -> list[str]:
    rows = [(one.sentence, one.verdict, one.numbers) for one in summary.verdicts]
    return ["## Claims\n\n" + _table(["claim", "verdict", "numbers"], rows)] if rows else []


def _missing(summary: Summary) -> list[str]:
    lines = "\n".join(f"- {_plain(sentence)}" for sentence in summary.missing)
    return [f"## Missing\n\n{lines}"] if lines else []


def _figures(summary: Summary) -> list[str]:
    drawn = [f"![{FIGURES[name].title}]({name}.png)" for name in summary.figures]
    return ["## Figures", *drawn] if drawn else []


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    body = [list(row) for row in rows]
    lines = [list(header), ["---"] * len(header), *body]
    return "\n".join("| " + " | ".join(map(_plain, line)) + " |" for line in lines)


def _plain(words: str) -> str:
    """Neither HTML nor a table's bars may come out of a name or a reason."""
    escaped = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return " ".join(escaped.replace("|", "\\|").split())
