"""Files of earlier versions are read under the names that metrics have today."""

import json
from pathlib import Path

import pytest

from hw5hpc.experiments import EXPERIMENTS, headline_of
from hw5hpc.report.columns import COLUMNS
from hw5hpc.store import Outputs, RunFolder
from hw5hpc.store.metric_names import NOW


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    found = Outputs(tmp_path).run("aaaaaaaaaaaa")
    found.create("gan", {"seed": 0})
    return found


def test_rows_result_and_status_of_before_tell_the_names_of_today(run: RunFolder) -> None:
    old, new = {"epoch": 1, "loss_generator": 0.5}, {"epoch": 1, "generator_loss": 0.5}
    run.add_metrics(old)
    assert run.metrics() == [new]
    (run.path / "status.json").write_text(json.dumps({"state": "running", "metrics": old}))
    assert run.status().metrics == new
    run.set_result({"state": "finished", "metrics": {"error_naive": float("nan"), "nan_naive": 3}})
    result = run.result() or {}
    assert list(result["metrics"]) == ["naive_error", "naive_nan"]


def test_a_sweep_of_before_has_its_headline() -> None:
    recorded = {"experiment": "softmax", "headline": "error_naive"}
    assert headline_of(recorded) == EXPERIMENTS["softmax"].headline


@pytest.mark.parametrize("first", NOW)
def test_a_name_of_before_leads_to_one_with_a_label(first: str) -> None:
    assert NOW[first] in COLUMNS
    assert first not in COLUMNS
