"""Any mixture of whole, torn, missing and foreign files ends in a report, never in a traceback."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from hw5hpc.report import markdown, page
from hw5hpc.report.aggregate import aggregate
from hw5hpc.report.collect import collect
from hw5hpc.report.summary import curves_table, results_table, summarise
from hw5hpc.store import RunFolder, files

SMALL = {"gan.unroll_steps": [0, 5], "seed": [0, 1]}
FOREIGN = [
    "", "{", "[]", "3", "null", '"text"', '{"state": 3}', '{"state": "finished", "metrics": 7}',
    '{"state": "finished", "metrics": {"modes_covered": "many", "kl_modes": [1]}}',
    '{"format": 0, "state": "finished", "metrics": {}}', '{"epoch": null}', '{"epoch": "two"}',
    '{"epoch": NaN, "generator_loss": Infinity}', '{"epoch": 1e400}', "config: [", "\x00\x01",
    '{"commit": 3, "data_source": {}, "device": []}', '{"epoch": true}', '{"epoch": -1}',
    '{"state": "diverged", "metrics": {}, "reason": null, "class_names": 5, "seconds": "long"}',
]  # fmt: skip


def damage(path: Path, source: random.Random) -> None:
    """Tear, lose, double, exchange or garble one file."""
    content = path.read_bytes()
    cut = source.randint(0, len(content))
    kind = source.choice(["tear", "lose", "double", "exchange", "garble", "folder"])
    if kind == "tear":
        path.write_bytes(content[:cut])
    elif kind == "lose":
        path.unlink()
    elif kind == "double":
        path.write_bytes(content + content)
    elif kind == "exchange":
        path.write_text(source.choice(FOREIGN))
    elif kind == "garble":
        path.write_bytes(content[:cut] + source.randbytes(source.randint(1, 9)) + content[cut:])
    else:
        path.unlink()
        path.mkdir()


@pytest.mark.parametrize("seed", range(60))
def test_damaged_folders_end_in_tables(fake: Any, seed: int) -> None:
    source = random.Random(seed)
    name = source.choice(["ring_unroll", "batch_norm", "softmax_shift", "unroll_depth"])
    made = fake(name, grid=SMALL if name == "ring_unroll" else None)
    for run in source.sample(made.ids, min(len(made.ids), 4)):
        folder = made.outputs.run(run).path
        if source.random() < 0.1:
            shutil.rmtree(folder)
            continue
        targets = sorted(path for path in folder.rglob("*") if path.is_file())
        for path in source.sample(targets, min(len(targets), source.randint(1, 5))):
            damage(path, source)
    tables = collect(made.outputs, made.folder)
    assert list(tables.results["run"]) == made.ids
    assert not tables.curves.duplicated(["run", "epoch", "step"]).any()
    summary = summarise(tables, [], [])
    assert results_table(tables).to_csv() and curves_table(tables) is not None
    assert markdown.text(summary) and page.html(summary)


def test_a_result_of_an_older_format_is_named(fake: Any) -> None:
    made = fake("ring_unroll", grid=SMALL, report=["losses"])
    path = made.run(0).path / "result.json"
    files.write_json(path, {**json.loads(path.read_text()), "format": 0})
    config = made.run(1).path / "config.yaml"
    config.write_text(config.read_text().replace("format: 1", "format: 7"))
    result = aggregate(made.outputs, made.folder)
    named = [line for line in result.missing if made.ids[0] in line]
    assert "result.json: format version 0; this code reads 1" in named[0]
    table = (made.folder.report / "results.csv").read_text()
    assert "config.yaml: format version 7; this code reads 1" in table


def test_timings_of_several_turns_double_no_row(fake: Any) -> None:
    """After a resume a step may be timed twice: the later time counts, the row stands once."""
    made = fake("ring_unroll", grid=SMALL)
    made.run(0).add_timing({"epoch": 2, "step": 1000, "seconds": 99.0, "step_ms": 1.0})
    curves = collect(made.outputs, made.folder).curves
    rows = curves[(curves["run"] == made.ids[0]) & (curves["epoch"] == 2)]
    assert list(rows["seconds"]) == [99.0]


def sign(run: RunFolder) -> None:
    """Let the result's checksums be those of the files as they are now."""
    result = run.result()
    assert result is not None
    run.set_result({key: value for key, value in result.items() if key != "files"})


def test_timings_that_name_no_step_are_those_of_whole_epochs(fake: Any) -> None:
    made = fake("ring_unroll", grid=SMALL)
    run = made.run(0)
    run.timing_path.unlink()
    for seconds in (7.0, 99.0):
        run.add_timing({"epoch": 2, "seconds": seconds, "step_ms": 1.0})
    run.add_metrics({"epoch": 2, "step": 1100, "modes_covered": 3})
    sign(run)
    curves = collect(made.outputs, made.folder).curves
    rows = curves[(curves["run"] == made.ids[0]) & (curves["epoch"] == 2)]
    assert list(rows["step"]) == [1000, 1100]
    assert rows["seconds"].tolist()[0] == 99.0
    assert rows["seconds"].isna().tolist() == [False, True]


def test_of_two_rows_for_one_step_the_later_counts(fake: Any) -> None:
    made = fake("ring_unroll", grid=SMALL)
    for modes in (3, 4):
        made.run(0).add_metrics({"epoch": 2, "step": 1100, "modes_covered": modes})
    sign(made.run(0))
    curves = collect(made.outputs, made.folder).curves
    rows = curves[curves["run"] == made.ids[0]]
    assert list(rows["step"]) == sorted({*range(500, 5001, 500), 1100})
    assert list(rows.loc[rows["step"] == 1100, "modes_covered"]) == [4]


def test_a_finished_run_without_its_result_is_lost(fake: Any) -> None:
    made = fake("ring_unroll", grid=SMALL)
    (made.run(0).path / "result.json").unlink()
    tables = collect(made.outputs, made.folder)
    assert tables.results["state"][0] == "lost"
    assert "result.json is missing or damaged" in tables.results["reason"][0]


@pytest.mark.parametrize("name", ["metrics.jsonl", "artifacts/arrays.npz"])
def test_a_finished_run_with_other_content_is_named_and_its_file_not_shown(
    fake: Any, name: str
) -> None:
    made = fake("unroll_depth")
    path = made.run(0).path / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    tables = collect(made.outputs, made.folder)
    reason = f"{name}: damaged (its content is not what was written)"
    assert tables.results["reason"][0] == reason
    assert any(reason in line for line in summarise(tables, [], []).missing)
    assert (made.ids[0] in set(tables.curves["run"])) == (name != "metrics.jsonl")
    assert (10 in tables.arrays[made.ids[0]].get("samples", {})) == (name == "metrics.jsonl")
