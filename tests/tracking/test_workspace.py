"""The W&B Report by code: built offline, saved to the stand-in."""

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from wandb_server import WandbServer

from hw5hpc.tracking import workspace
from hw5hpc.tracking.session import Place
from hw5hpc.tracking.summary import Content, Table

# wandb-workspaces is written in pydantic's older way.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

CONTENT = Content(
    title="depths: ring",
    swept=("gan.unroll_steps", "seed"),
    facts={"runs finished": 8},
    verdicts=[("Five steps cover all modes.", "holds", "modes: 8, 8, 8")],
    means=Table(("setting", "n", "modes"), [("5 | unrolled", "4", "8 ± 0")]),
    metrics=("modes_covered", "generator_loss"),
    pictures=("samples",),
    figures={"ring_density": Path("ring_density.png")},
)


@pytest.fixture
def package() -> None:
    try:
        import wandb_workspaces  # noqa: F401
    except ImportError:
        if os.environ.get("HW5HPC_REQUIRE_ALL"):
            raise
        pytest.skip("wandb-workspaces is not installed")


@pytest.fixture
def report(package: None, clean: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The specification, made where the network cannot be asked."""

    def refuse(*details: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    return workspace.as_json(workspace.specification(CONTENT, "depths"))


def grids(report: dict[str, Any]) -> list[dict[str, Any]]:
    return [block["metadata"] for block in report["blocks"] if block["type"] == "panel-grid"]


def panels(grid: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel["config"] for panel in grid["panelBankSectionConfig"]["panels"]]


def filters_of(grid: dict[str, Any]) -> dict[str, tuple[str, str]]:
    items = grid["runSets"][0]["filters"]["filters"]
    return {item["key"]["name"]: (item["op"], item["value"]) for item in items}


def test_it_says_what_was_found(report: dict[str, Any]) -> None:
    text = json.dumps(report["blocks"], ensure_ascii=False)
    assert "HOLDS: Five steps cover all modes. (modes: 8, 8, 8)" in text
    assert "| 5 \\\\| unrolled | 4 | 8 ± 0 |" in text


def test_curves_are_means_over_seeds_of_each_swept_setting(report: dict[str, Any]) -> None:
    curves = grids(report)[0]
    (runs,) = curves["runSets"]
    assert runs["grouping"] == [{"section": "config", "name": "gan.value.unroll_steps"}]
    drawn = panels(curves)
    assert [panel["metrics"] for panel in drawn] == [["modes_covered"], ["generator_loss"]]
    assert {panel["xAxis"] for panel in drawn} == {"epoch"}


def test_its_runs_are_the_sweeps_and_its_pictures_theirs(report: dict[str, Any]) -> None:
    _, pictures, summary = grids(report)
    filters = [filters_of(pictures), filters_of(summary)]
    assert filters[0] == {"group": ("=", "depths"), "jobType": ("!=", "report")}
    assert filters[1] == {"group": ("=", "depths"), "jobType": ("=", "report")}
    assert panels(pictures)[0]["mediaKeys"] == ["samples"]
    assert panels(summary)[0]["mediaKeys"] == ["figures/ring_density"]


def test_it_is_saved_where_the_runs_are(package: None, server: WandbServer) -> None:
    url = workspace.save(CONTENT, "depths", Place(server.url, "lab", "rings"))
    (view,) = server.views
    assert (view["entityName"], view["projectName"]) == ("lab", "rings")
    assert view["displayName"] == "depths: ring"
    assert "/lab/rings/reports/" in url
    sets = [one for grid in grids(json.loads(view["spec"])) for one in grid["runSets"]]
    assert {(one["project"]["entityName"], one["project"]["name"]) for one in sets} == {
        ("lab", "rings")
    }
