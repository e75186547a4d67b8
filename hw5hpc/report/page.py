"""Write a report as one plain, accessible HTML page."""

from collections.abc import Iterable, Sequence
from html import escape
from string import Template

from hw5hpc.report.figures import FIGURES
from hw5hpc.report.summary import Summary, common, means_table, number, results_table

_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>
:root { color-scheme: light dark; --line: #8886; --soft: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.85rem; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid var(--line); padding: 0.3rem 0.7rem 0.3rem 0;
  text-align: left; vertical-align: top; }
thead th { border-bottom-width: 2px; }
figure { margin: 0 0 2rem; }
img { max-width: 100%; height: auto; background: white; border: 1px solid var(--line); }
figcaption { font-size: 0.9rem; }
nav ul { padding-left: 1.2rem; columns: 2; }
.missing { background: var(--soft); border-left: 4px solid #D55E00; padding: 0.6rem 1rem; }
</style>
</head>
<body>
<main>
<h1>$title</h1>
<p>$facts</p>
$missing
$contents
<h2 id="results">Results</h2>
<p>Mean ± half of the 95 % t-interval over the finished runs of a setting.</p>
$means
$claims
$figures
<h2 id="runs">Runs</h2>
<p>The same rows as <a href="results.csv">results.csv</a>; every epoch is in
<a href="curves.csv">curves.csv</a>.</p>
$runs
<h2 id="config">Common to all runs</h2>
$config
</main>
</body>
</html>
""")


def html(summary: Summary) -> str:
    """Return index.html; every text that came from a file is escaped."""
    header, rows = means_table(summary.tables)
    results = results_table(summary.tables)
    cells = [[number(value) for value in row] for row in results.itertuples(index=False)]
    config = common(summary.tables).items()
    return _PAGE.substitute(
        title=escape(summary.title),
        facts=_facts(summary),
        missing=_missing(summary),
        contents=_contents(summary),
        means=_table("Means by setting", header, rows),
        claims=_claims(summary),
        figures=_figures(summary),
        runs=_table("All runs", [str(name) for name in results.columns], cells),
        config=_table("Configuration shared by all runs", ["key", "value"], config),
    )


def _facts(summary: Summary) -> str:
    states = ", ".join(f"{count} {state}" for state, count in summary.states.items())
    facts = {
        "Runs": states or "none",
        "Data": summary.tables.source or "not known yet",
        "Commit": ", ".join(summary.tables.commits) or "not known",
    }
    return "<br>\n".join(f"<strong>{name}:</strong> {escape(text)}" for name, text in facts.items())


def _missing(summary: Summary) -> str:
    if not summary.missing:
        return ""
    lines = "\n".join(f"<li>{escape(sentence)}</li>" for sentence in summary.missing)
    return f'<section class="missing"><h2>Missing</h2>\n<ul>\n{lines}\n</ul></section>'


def _contents(summary: Summary) -> str:
    links = {"results": "Results"} | ({"claims": "Claims"} if summary.verdicts else {})
    links |= {name: FIGURES[name].title for name in summary.figures}
    links |= {"runs": "Runs", "config": "Common to all runs"}
    items = "\n".join(
        f'<li><a href="#{key}">{escape(text)}</a></li>' for key, text in links.items()
    )
    return f'<nav aria-label="Contents"><ul>\n{items}\n</ul></nav>'


def _claims(summary: Summary) -> str:
    if not summary.verdicts:
        return ""
    rows = [(one.sentence, one.verdict, one.numbers) for one in summary.verdicts]
    table = _table("Claims and what the numbers say", ["claim", "verdict", "numbers"], rows)
    note = "A difference counts when its 95 % interval (Welch) leaves out zero."
    return f'<h2 id="claims">Claims</h2>\n<p>{note}</p>\n{table}'


def _figures(summary: Summary) -> str:
    return "\n".join(_figure(name) for name in summary.figures)


def _figure(name: str) -> str:
    entry = FIGURES[name]
    title, caption = escape(entry.title), escape(entry.caption)
    return (
        f'<h2 id="{name}">{title}</h2>\n<figure><img src="{name}.png" alt="{title}. {caption}">\n'
        f'<figcaption>{caption} <a href="{name}.pdf">{title} (PDF)</a></figcaption></figure>'
    )


def _table(caption: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    body = "\n".join(_row(row) for row in rows)
    return (
        f'<div class="scroll" role="region" aria-label="{escape(caption)}" tabindex="0">\n<table>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n</div>"
    )


def _row(cells: Sequence[str]) -> str:
    first, *rest = (escape(cell) for cell in cells)
    return (
        f'<tr><th scope="row">{first}</th>' + "".join(f"<td>{cell}</td>" for cell in rest) + "</tr>"
    )
