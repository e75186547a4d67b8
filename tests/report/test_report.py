"""From run folders to tables, intervals, claims, figures and pages, on any mixture of runs."""

import contextlib
import dataclasses
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy import stats

from hw5hpc.errors import UserError
from hw5hpc.report import style
from hw5hpc.report.aggregate import aggregate
from hw5hpc.report.claims import judge
from hw5hpc.report.collect import collect
from hw5hpc.report.columns import COLUMNS, Column, label
from hw5hpc.report.figures import FIGURES, NothingToDraw, check_names, drawable
from hw5hpc.report.figures.filters import stretch
from hw5hpc.report.statistics import estimate, welch
from hw5hpc.report.summary import means_table
from hw5hpc.report.tables import Tables
from hw5hpc.store import State, Status

matplotlib.use("Agg")
SWEEPS = (
    "unroll_depth", "unroll_learning_rates", "batch_norm", "learning_rate", "ring_unroll",
    "ring_learning_rates", "softmax_shift", "classifier",
)  # fmt: skip


def tables_of(fake: Any, name: str, **options: Any) -> Tables:
    made = fake(name, **options)
    return collect(made.outputs, made.folder)


def drawn(tables: Tables) -> Iterator[tuple[str, Figure]]:
    """Every figure of which the tables have all that it needs, but what says it has no subject."""
    for name in drawable(tables):
        with contextlib.suppress(NothingToDraw):
            yield name, FIGURES[name].draw(tables)


def test_the_interval_is_scipys() -> None:
    values = [1.0, 2.0, 4.0, 7.0]
    found = estimate(values)
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert (found.n, found.mean) == (4, 3.5)
    assert (found.low, found.high) == pytest.approx((low, high))


def test_one_seed_has_no_interval() -> None:
    found = estimate([2.0])
    assert (found.n, found.mean) == (1, 2.0)
    assert np.isnan(found.low) and np.isnan(found.high)


def test_welch_is_scipys() -> None:
    first, second = [1.0, 2.0, 3.0, 5.0], [2.0, 6.0, 9.0]
    found = welch(first, second)
    expected = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_every_figure_draws_with_title_and_axes(tmp_path: Path, build_sweep: Any) -> None:
    names = set()
    for sweep in SWEEPS:
        made = build_sweep(tmp_path / sweep, sweep)
        for name, figure in drawn(collect(made.outputs, made.folder)):
            assert figure.get_suptitle(), name
            assert any(axes.has_data() or axes.tables for axes in figure.axes), name
            names.add(name)
    assert names == FIGURES.keys()


def test_a_figures_title_says_how_long_the_runs_trained(fake: Any) -> None:
    made = fake("unroll_depth", report=["losses"])
    figures = dict(drawn(collect(made.outputs, made.folder)))
    assert re.search(r"10 epochs, [\d,]+ steps", figures["losses"].get_suptitle())


@pytest.mark.parametrize("sweep", SWEEPS)
def test_no_figure_breaks_on_a_sweep_that_has_not_begun(fake: Any, sweep: str) -> None:
    made = fake(sweep)
    for identifier in made.ids:
        shutil.rmtree(made.outputs.run(identifier).path)
    tables = collect(made.outputs, made.folder)
    for entry in FIGURES.values():
        with pytest.raises(NothingToDraw):
            entry.draw(tables)


def test_the_drawn_line_is_the_mean_of_the_csv(fake: Any) -> None:
    made = fake("unroll_depth", report=["losses"])
    aggregate(made.outputs, made.folder)
    rows = pd.read_csv(made.folder.report / "curves.csv")
    wanted = rows[rows["gan.unroll_steps"] == 5].groupby("epoch")["generator_loss"].mean()
    figure = FIGURES["losses"].draw(collect(made.outputs, made.folder))
    lines = [line.get_ydata() for axes in figure.axes for line in axes.get_lines()]
    assert any(len(line) == len(wanted) and np.allclose(line, wanted) for line in lines)


def test_every_run_is_a_row_whatever_became_of_it(fake: Any) -> None:
    made = fake("unroll_depth", report=["losses"])
    shutil.rmtree(made.run(0).path)
    (made.run(1).path / "result.json").write_text("{")
    made.run(2).set_status(Status(state=State.NEW).to(State.FAILED, reason="no memory"))
    (made.run(2).path / "result.json").unlink()
    with made.run(3).metrics_path.open("a") as file:
        file.write('{"epoch": 11, "loss_gen')
    (made.run(4).path / "config.yaml").write_text("[")
    result = aggregate(made.outputs, made.folder)
    rows = pd.read_csv(made.folder.report / "results.csv", dtype={"run": str})
    assert list(rows["run"]) == made.ids
    assert rows["state"][2] == "failed"
    assert rows["reason"][2] == "no memory"
    assert any(made.ids[0] in sentence for sentence in result.missing)
    assert pd.isna(rows["classes_covered"][0])


def test_text_from_files_is_escaped(fake: Any) -> None:
    made = fake("unroll_depth", report=["losses"])
    evil = "<script>alert('x')</script>"
    (made.run(0).path / "result.json").unlink()
    made.run(0).set_status(Status(state=State.NEW).to(State.FAILED, reason=evil))
    page = aggregate(made.outputs, made.folder).index.read_text()
    assert evil not in page
    assert "&lt;script&gt;" in page


def test_a_single_seed_is_labelled(fake: Any) -> None:
    tables = tables_of(fake, "unroll_depth", grid={"seed": [0]})
    title = FIGURES["losses"].draw(tables).get_suptitle()
    assert "single seed" in title
    assert all("one seed" in verdict.verdict for verdict in judge(tables))


@pytest.mark.parametrize("sweep", SWEEPS)
def test_titles_and_legends_stay_inside_the_figure(fake: Any, sweep: str) -> None:
    source = "a copy of the data with a name " * 8
    for _, figure in drawn(dataclasses.replace(tables_of(fake, sweep), source=source)):
        figure.draw_without_rendering()
        texts = [text for text in figure.texts if text.get_text()]
        assert texts, "the title"
        for part in [*texts, *figure.legends]:
            box = part.get_window_extent()
            assert box.x0 >= 0 and box.x1 <= figure.bbox.width, part
            assert box.y0 >= 0 and box.y1 <= figure.bbox.height, part


def test_a_long_legend_shrinks_to_fit(fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COLUMNS, "optim.lr", Column("a key whose name takes a whole line " * 3))
    figure = FIGURES["test_accuracy"].draw(
        tables_of(fake, "learning_rate", grid={"optim.lr": [1e-4, 1e-3]})
    )
    figure.draw_without_rendering()
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.width


def test_crowded_settings_share_legend_entries(fake: Any) -> None:
    tables = tables_of(fake, "learning_rate")
    (legend,) = FIGURES["test_accuracy"].draw(tables).legends
    names = [text.get_text() for text in legend.get_texts()]
    assert len(names) == 5 + 2, "learning rates, and with and without batch norm"
    assert "with batch norm" in names
    title = FIGURES["test_accuracy"].draw(tables).get_suptitle()
    assert "n = 0 to 3 seeds of a setting finished" in title, "three of one have diverged"


def test_a_loss_that_ran_away_presses_no_other_flat(fake: Any) -> None:
    tables = tables_of(fake, "batch_norm")
    scale = FIGURES["training_loss"].draw(tables).axes[0].get_yscale()
    curves = tables.curves.assign(train_loss=tables.curves["train_loss"].where(
        tables.curves["epoch"] > 1, 1e4))  # fmt: skip
    away = dataclasses.replace(tables, curves=curves)
    assert (scale, FIGURES["training_loss"].draw(away).axes[0].get_yscale()) == ("linear", "log")


def test_filters_are_stretched_each_on_its_own_and_a_constant_one_is_grey() -> None:
    weights = np.zeros((3, 3, 2, 2), np.float32)
    weights[0, 1] = 1e-6
    weights[1] = np.linspace(-5, 5, 12).reshape(3, 2, 2)
    shown = stretch(weights)
    assert shown.shape == (3, 2, 2, 3)
    assert [(image.min(), image.max()) for image in shown[:2]] == [(0, 1), (0, 1)]
    assert (shown[2] == 0.5).all()
    assert (stretch(np.full((1, 3, 2, 2), np.nan, np.float32)) == 0.5).all()


def test_claims_follow_the_numbers(fake: Any) -> None:
    tables = tables_of(fake, "unroll_depth")
    ours = [verdict.claim for verdict in judge(tables) if not verdict.original]
    assert len(ours) == 19, "collapse, and two claims for each of three depths, three ways each"
    deep = tables.results["gan.unroll_steps"] == 10
    for better, verdict in ((True, "holds"), (False, "does not hold")):
        values = np.where(deep == better, 9.0, 2.0) + 0.1 * tables.results["seed"]
        results = tables.results.assign(classes_covered=values)
        verdicts = judge(dataclasses.replace(tables, results=results))
        (found,) = [v for v in verdicts if "K = 10" in v.sentence and v.claim == "more classes"]
        assert found.verdict == verdict


def test_equal_numbers_decide_nothing(fake: Any) -> None:
    """Not even where they have no spread: an interval of 0 to 0 does not leave out 0."""
    tables = tables_of(fake, "unroll_depth")
    results = tables.results.assign(classes_covered=10.0)
    verdicts = judge(dataclasses.replace(tables, results=results))
    found = {v.verdict for v in verdicts if v.claim == "more classes"}
    assert found == {"cannot be told"}


@pytest.mark.parametrize(
    ("n", "verdict"), [(2, "cannot be told"), (3, "cannot be told"), (4, "holds")]
)
def test_numbers_without_spread_need_enough_seeds(fake: Any, n: int, verdict: str) -> None:
    """Three equal numbers against three others come about by chance once in ten."""
    tables = tables_of(
        fake, "unroll_depth", grid={"gan.unroll_steps": [0, 5], "seed": list(range(n))}
    )
    results = tables.results.assign(state="finished")
    results["classes_covered"] = np.where(results["gan.unroll_steps"] == 5, 9.0, 2.0)
    (found,) = [
        v for v in judge(dataclasses.replace(tables, results=results)) if v.claim == "more classes"
    ]
    assert found.verdict == verdict


def test_all_modes_are_those_of_the_mixture(fake: Any) -> None:
    """Eight of sixteen are not all."""
    tables = tables_of(fake, "ring_unroll")
    results = tables.results.assign(**{"ring.modes": 16, "modes_covered": 8})
    sixteen = dataclasses.replace(tables, results=results)
    (found,) = [v for v in judge(sixteen) if "With 5" in v.sentence]
    assert (found.verdict, "all 16 modes" in found.sentence) == ("does not hold", True)
    assert FIGURES["ring_modes"].draw(sixteen).axes[0].get_ylim()[1] > 16


@pytest.mark.parametrize(
    ("name", "sweep"), [("mode_histogram", "unroll_depth"), ("confusion", "batch_norm")]
)
def test_every_panel_is_named_however_many_there_are(fake: Any, name: str, sweep: str) -> None:
    depths = {"gan.unroll_steps": list(range(9))}
    rates = {"optim.lr": [1e-4, 1e-3, 1e-2, 1e-1]}
    tables = tables_of(fake, sweep, grid=depths if sweep == "unroll_depth" else rates)
    assert style.crowded(tables)
    titles = [axes.get_title() for axes in FIGURES[name].draw(tables).axes if axes.get_visible()]
    assert all(titles)
    assert len(set(titles)) == len(titles)


def test_the_report_lists_only_what_was_asked_for(fake: Any) -> None:
    made = fake("unroll_depth", report=["losses"])
    aggregate(made.outputs, made.folder)
    names = {path.name for path in made.folder.report.glob("*.png")}
    assert names == {"losses.png"}
    assert (made.folder.report / "losses.pdf").exists()
    assert (made.folder.report / "summary.md").read_text().startswith("# unroll_depth")


def test_a_report_written_twice_is_the_same(fake: Any) -> None:
    made = fake("unroll_depth", report=["losses", "mode_coverage"])

    def written() -> dict[str, bytes]:
        aggregate(made.outputs, made.folder)
        # Which submission made it, and when, is noted beside it.
        files = [path for path in made.folder.report.iterdir() if path.name != "made.json"]
        return {path.name: path.read_bytes() for path in files}

    assert written() == written()


def test_an_unknown_figure_is_refused() -> None:
    with pytest.raises(UserError, match="Did you mean 'losses'"):
        check_names(["loses"], "x.yaml")


def test_a_figure_that_lacks_a_column_says_which(fake: Any) -> None:
    made = fake("unroll_depth", report=["losses", "confusion"])
    report = aggregate(made.outputs, made.folder)
    assert report.figures == ("losses",)
    (sentence,) = [one for one in report.missing if "confusion" in one]
    assert "no run has recorded 'confusion' yet" in sentence


@pytest.mark.parametrize("name", ["fidelity", "mode_coverage"])
def test_both_ends_of_a_scale_stand_where_real_images_and_noise_do(fake: Any, name: str) -> None:
    tables = tables_of(fake, "unroll_depth")
    for axes in [one for one in FIGURES[name].draw(tables).axes if one.get_visible()]:
        column = next(
            k for k, row in COLUMNS.items() if row.label == " ".join(axes.get_ylabel().split())
        )
        for end in ("real", "noise"):
            (word,) = [text for text in axes.texts if text.get_text() == end]
            expected = tables.results[f"{end}_{column}"].mean()
            assert word.xy[1] == pytest.approx(expected)
            levels = [line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == ":"]
            assert any(level == pytest.approx(expected) for level in levels)


@pytest.mark.parametrize("name", ["fidelity", "mode_coverage"])
def test_runs_without_ends_are_drawn_without_them(fake: Any, name: str) -> None:
    tables = tables_of(fake, "unroll_depth")
    ends = [c for c in tables.results.columns if c.startswith(("real_", "noise_"))]
    bare = dataclasses.replace(tables, results=tables.results.drop(columns=ends))
    assert not any(axes.texts for axes in FIGURES[name].draw(bare).axes)


def test_the_means_end_with_real_images_and_noise(fake: Any) -> None:
    tables = tables_of(fake, "unroll_depth", grid={"seed": [0, 1]})
    header, rows = means_table(tables)
    assert [row[0] for row in rows[4:]] == ["real images", "noise images"]
    assert rows[4][header.index(label("recall"))] == "0.86"
    assert rows[5][header.index(label("recall"))] == "0.05"
    assert rows[4][header.index(label("generator_loss"))] == "—"
    assert not any(name.startswith(("real_", "noise_")) for name in header)
    assert len(means_table(tables_of(fake, "ring_unroll"))[1]) == 4


def test_runs_of_one_sweep_on_data_of_different_content_are_named(fake: Any) -> None:
    grid = {"gan.unroll_steps": [0, 5], "seed": [0, 1]}
    made = fake("unroll_depth", grid=grid, report=["losses"])
    runs = [made.outputs.run(run) for run in made.folder.load()["runs"]]
    for run, content in zip(runs, ("a" * 64, "a" * 64, "a" * 64, "b" * 64), strict=True):
        run.set_provenance({**run.provenance(), "data_sha256": content})
    (told,) = (line for line in aggregate(made.outputs, made.folder).missing if "content" in line)
    assert "3 from SHA-256 aaaaaaaaaaaa and 1 from SHA-256 bbbbbbbbbbbb" in told
    assert "different content" in (made.folder.report / "index.html").read_text()
    runs[3].set_provenance({**runs[3].provenance(), "data_sha256": "a" * 64})
    missing = aggregate(made.outputs, made.folder).missing
    assert not [line for line in missing if "content" in line]
