"""A sweep's W&B Report by code: its words, panels grouped by what is swept, its runs, pictures."""

import json
from typing import Any

import wandb

from hw5hpc.errors import UserError
from hw5hpc.tracking.describe import short
from hw5hpc.tracking.session import Place
from hw5hpc.tracking.summary import JOB_TYPE, Content

MISSING = "--report needs the package wandb-workspaces: pip install 'hw5hpc[wandb-report]'"
TITLE_LENGTH = 128
# W&B's grid is 24 wide.
HALF, WHOLE, HEIGHT, HIGH = 12, 24, 8, 14


def save(content: Content, group: str, where: Place, draft: bool = False) -> str:
    """Save the report at W&B and return its address.

    Raises:
        UserError: wandb-workspaces is not installed.
        wandb.Error: W&B refuses, or does not answer.
    """
    report = specification(content, group)
    # Only now: given at the start, they make the package ask the network.
    report.project, report.entity = where.project, where.entity or wandb.Api().default_entity
    for block in report.blocks:
        for runset in getattr(block, "runsets", ()):
            runset.project, runset.entity = report.project, report.entity
    report.save(draft=draft)
    return str(report.url)


def as_json(report: Any) -> dict[str, Any]:
    """Return what would be sent as the report's specification."""
    spec = report._to_model().spec.model_dump_json(by_alias=True, exclude_none=True)
    made: dict[str, Any] = json.loads(spec)
    return made


def specification(content: Content, group: str) -> Any:
    """Return the report of the runs in a W&B group, without an entity or a project.

    Raises:
        UserError: wandb-workspaces is not installed.
    """
    wr = _package()
    return wr.Report(
        entity="",
        project="",
        title=content.title[:TITLE_LENGTH],
        description=_facts(content),
        width="fluid",
        blocks=[
            wr.TableOfContents(),
            wr.H1("What was found"),
            *_verdicts(wr, content),
            wr.H1("Means by setting"),
            wr.MarkdownBlock(_markdown(content)),
            wr.H1("Curves"),
            _curves(wr, content, group),
            *_pictures(wr, content, group),
            wr.H1("Figures and final numbers"),
            _summary(wr, content, group),
        ],
    )


def _package() -> Any:
    try:
        import wandb_workspaces.reports.v2 as package
    except ImportError as error:
        raise UserError(MISSING) from error
    return package


def _facts(content: Content) -> str:
    return ", ".join(f"{key}: {value}" for key, value in content.facts.items())


def _verdicts(wr: Any, content: Content) -> list[Any]:
    if not content.verdicts:
        return [wr.P("This experiment makes no claims.")]
    lines = [
        f"{verdict.upper()}: {claim} ({numbers})" for claim, verdict, numbers in content.verdicts
    ]
    return [wr.UnorderedList(items=lines)]


def _markdown(content: Content) -> str:
    header = list(content.means.columns)
    rows = [header, ["---"] * len(header), *content.means.rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows)


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _runs(wr: Any, content: Content, group: str, grouped: bool) -> Any:
    """The sweep's runs, one group for each setting; the seeds are what a mean is over."""
    keys = _settings(content) if grouped else []
    filters = f"Group = {group!r} and JobType != {JOB_TYPE!r}"
    names = {key: f"config.{key}" for key in keys}
    title = "runs by " + ", ".join(map(short, keys)) if keys else "runs"
    return wr.Runset(
        entity="", project="", name=title, filters=filters, groupby=list(names.values())
    )


def _settings(content: Content) -> list[str]:
    return [key for key in content.swept if key != "seed"]


def _curves(wr: Any, content: Content, group: str) -> Any:
    panels = [
        wr.LinePlot(
            title=name,
            x="epoch",
            y=[name],
            groupby_aggfunc="mean",
            groupby_rangefunc="minmax",
            layout=wr.Layout(x=HALF * (at % 2), y=HEIGHT * (at // 2), w=HALF, h=HEIGHT),
        )
        for at, name in enumerate(content.metrics)
    ]
    return wr.PanelGrid(runsets=[_runs(wr, content, group, grouped=True)], panels=panels)


def _pictures(wr: Any, content: Content, group: str) -> list[Any]:
    if not content.pictures:
        return []
    panels = [
        wr.MediaBrowser(
            title=name, media_keys=[name], layout=wr.Layout(x=0, y=HIGH * at, w=WHOLE, h=HIGH)
        )
        for at, name in enumerate(content.pictures)
    ]
    runs = _runs(wr, content, group, grouped=False)
    return [wr.H1("Pictures"), wr.PanelGrid(runsets=[runs], panels=panels)]


def _summary(wr: Any, content: Content, group: str) -> Any:
    """The figures and tables of the sweep's summary run."""
    runs = wr.Runset(
        entity="", project="", name="summary",
        filters=f"Group = {group!r} and JobType = {JOB_TYPE!r}",
    )  # fmt: skip
    panels = [
        wr.MediaBrowser(
            title=name, media_keys=[f"figures/{name}"],
            layout=wr.Layout(x=HALF * (at % 2), y=HIGH * (at // 2), w=HALF, h=HIGH),
        )
        for at, name in enumerate(content.figures)
    ]  # fmt: skip
    return wr.PanelGrid(runsets=[runs], panels=panels)
