"""What figures and tables show of few seeds, and of values at the end of their range."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import FillBetweenPolyCollection, LineCollection
from matplotlib.figure import Figure

from hw5hpc.report import looks, page
from hw5hpc.report.aggregate import aggregate
from hw5hpc.report.collect import collect
from hw5hpc.report.columns import possible
from hw5hpc.report.figures import FIGURES, NothingToDraw
from hw5hpc.report.statistics import ANYWHERE
from hw5hpc.report.summary import means_table, metrics, summarise
from hw5hpc.report.tables import Tables

MEASURES = ("classes_covered", "entropy", "total_variation")


def tables_of(fake: Any, name: str, **options: Any) -> Tables:
    made = fake(name, **options)
    return collect(made.outputs, made.folder)


def at_the_edge(fake: Any, seeds: int) -> Tables:
    """Classes covered next to all ten, so that a plain interval would pass ten."""
    grid = {"gan.unroll_steps": [0, 5], "seed": list(range(seeds))}
    tables = tables_of(fake, "unroll_depth", grid=grid)
    edge = {"classes_covered": lambda frame: 8.0 + (frame["seed"].astype(float) % 3)}
    return replace(
        tables, results=tables.results.assign(**edge), curves=tables.curves.assign(**edge)
    )


def bands(figure: Figure) -> list[np.ndarray]:
    return [
        path.vertices[:, 1]
        for part in figure.axes[0].collections
        if isinstance(part, FillBetweenPolyCollection)
        for path in part.get_paths()
    ]


def bars(figure: Figure) -> list[np.ndarray]:
    parts = [part for part in figure.axes[0].collections if isinstance(part, LineCollection)]
    return [segment[:, 1] for part in parts for segment in part.get_segments()]


@pytest.mark.parametrize("name", ["coverage_curves", "mode_coverage"])
def test_no_interval_is_drawn_outside_the_possible_range(fake: Any, name: str) -> None:
    figure = FIGURES[name].draw(at_the_edge(fake, 3))
    drawn = bands(figure) if name == "coverage_curves" else bars(figure)
    assert drawn
    assert max(heights.max() for heights in drawn) == 10


@pytest.mark.parametrize("name", ["coverage_curves", "mode_coverage", "mode_histogram", "losses"])
def test_two_seeds_are_points_without_an_interval(fake: Any, name: str) -> None:
    figure = FIGURES[name].draw(at_the_edge(fake, 2))
    assert not bands(figure) and not bars(figure)
    points = [line for line in figure.axes[0].get_lines() if line.get_linestyle() == "None"]
    heights = {float(y) for line in points for y in np.ravel(line.get_ydata())}
    assert name in ("mode_histogram", "losses") or {8.0, 9.0} <= heights
    assert len(heights) > 1


@pytest.mark.parametrize("name", ["unroll_depth", "batch_norm", "ring_unroll", "softmax_shift"])
def test_every_measured_column_has_a_range_and_keeps_it(fake: Any, name: str) -> None:
    tables = tables_of(fake, name)
    for column in metrics(tables):
        low, high = possible(tables, column)
        assert low == 0 and high > 0, column
        values = tables.results[column].dropna()
        assert ((values >= low - 1e-9) & (values <= high + 1e-9)).all()


def test_a_value_outside_shows_that_the_range_is_not_the_columns(fake: Any) -> None:
    """A generator that descends on minus the discriminator's loss has a negative one."""
    tables = tables_of(fake, "unroll_depth", grid={"gan.unroll_steps": [0]})
    assert possible(tables, "generator_loss")[0] == 0
    curves = tables.curves.assign(generator_loss=-tables.curves["generator_loss"])
    assert possible(replace(tables, curves=curves), "generator_loss") == ANYWHERE
    assert possible(tables, "a new measure") == ANYWHERE


def test_the_means_table_cuts_intervals_and_shows_two_values_themselves(fake: Any) -> None:
    three = dict(zip(*_first_row(at_the_edge(fake, 3)), strict=True))
    assert three["classes covered (count)"] == "9 [6.516, 10]"
    assert "±" in three["generator loss (nats)"]


def test_two_seeds_stand_in_the_means_table_themselves(fake: Any) -> None:
    two = dict(zip(*_first_row(at_the_edge(fake, 2)), strict=True))
    assert two["classes covered (count)"] == "8 and 9"


def _first_row(tables: Tables) -> tuple[list[str], list[str]]:
    header, rows = means_table(tables)
    return header, rows[0]


def test_a_mean_of_fewer_runs_than_the_setting_has_says_so(fake: Any) -> None:
    tables = at_the_edge(fake, 3)
    steps = tables.results["steps_to_cover"].where(tables.results["seed"] != 0, 938.0)
    cell = dict(zip(*_first_row(
        replace(tables, results=tables.results.assign(steps_to_cover=steps))
    ), strict=True))["steps until all stay covered"]  # fmt: skip
    assert cell.endswith("(n = 1)")


def test_a_setting_with_fewer_seeds_is_flagged_in_page_and_table(fake: Any) -> None:
    made = fake("unroll_depth", grid={"gan.unroll_steps": [0, 5], "seed": [0, 1, 2, 3]})
    record = made.folder.load()
    points = [point for point in made.folder.points() if point["run"] not in made.ids[6:]]
    made.folder.save({**record, "runs": made.ids[:6]}, points)
    tables = collect(made.outputs, made.folder)
    counts = {row[0]: row[1] for row in means_table(tables)[1] if row[1] != "—"}
    assert counts == {
        "0 unrolled steps": "4", "5 unrolled steps": "2 (fewer than others: 4)"
    }  # fmt: skip
    said = "5 unrolled steps has 2 seeds fewer than others"
    assert any(said in sentence for sentence in summarise(tables, [], []).missing)
    assert said in page.html(summarise(tables, [], []))
    assert not any("fewer" in line for line in summarise(at_the_edge(fake, 2), [], []).missing)


def test_looks_within_epochs_put_the_curves_on_steps(fake: Any) -> None:
    names = ["coverage_curves", "losses"]
    made = fake("unroll_depth", grid={"gan.unroll_steps": [0, 5], "seed": [0, 1, 2]}, report=names)
    before = collect(made.outputs, made.folder)
    row = made.run(0).metrics()[0]
    made.run(0).add_metrics({**row, "step": row["step"] + 100})
    result = made.run(0).result()
    made.run(0).set_result({key: value for key, value in result.items() if key != "files"})
    after = collect(made.outputs, made.folder)
    for tables, x in ((before, "epoch"), (after, "training step")):
        for name in names:
            figure = FIGURES[name].draw(tables)
            assert figure.axes[0].get_xlabel() == x
            assert "along training" in figure.get_suptitle()
    assert list(aggregate(made.outputs, made.folder).figures) == names


def test_training_times_of_several_devices_are_not_drawn_on_one_axis(fake: Any) -> None:
    tables = tables_of(fake, "unroll_depth", grid={"gan.unroll_steps": [0, 5]})
    assert len(FIGURES["coverage_curves"].draw(tables).axes) == 4
    devices = np.where(tables.results["seed"] == 0, "CPU", "H100")
    mixed = replace(tables, results=tables.results.assign(device=devices))
    assert len(FIGURES["coverage_curves"].draw(mixed).axes) == 2


def test_at_a_time_each_run_has_its_last_look_before_it(fake: Any) -> None:
    tables = tables_of(fake, "unroll_depth", grid={"gan.unroll_steps": [0], "seed": [0, 1]})
    curves = tables.curves.assign(train_seconds=tables.curves["step"] * 0.01)
    late = curves["run"] == curves["run"].iloc[-1]
    curves.loc[late, "train_seconds"] *= 1.5
    ended = set(tables.results["run"])
    held = looks.held(curves, "train_seconds", "classes_covered", ended)
    assert held["train_seconds"].max() == pytest.approx(46.9), "what both runs have reached"
    last = held[held["train_seconds"] == held["train_seconds"].max()]
    at_end = curves[curves["train_seconds"] <= 46.9 + 1e-9].groupby("run")["classes_covered"].last()
    assert dict(zip(last["run"], last["classes_covered"], strict=True)) == at_end.to_dict()
    assert looks.axis(curves) == "epoch"


def test_a_line_a_depth_stands_over_the_ratio_of_the_rates(fake: Any) -> None:
    tables = tables_of(fake, "unroll_learning_rates")
    axes = FIGURES["rate_ratio"].draw(tables).axes[0]
    assert axes.get_xscale() == "log"
    lines = [line for line in axes.get_lines() if line.get_linestyle() != "None"]
    assert [line.get_label() for line in lines] == [
        "0 unrolled steps (n = 3 seeds)", "5 unrolled steps (n = 3 seeds)"
    ]  # fmt: skip
    rows = tables.results[tables.results["gan.unroll_steps"] == 5]
    means = rows.groupby(rows["optim.lr_discriminator"].astype(float))["classes_covered"].mean()
    assert lines[1].get_xdata() == pytest.approx([1, 10, 30])
    assert lines[1].get_ydata() == pytest.approx(means[::-1].to_numpy())


def test_the_ratio_is_not_drawn_over_what_else_varies(fake: Any) -> None:
    tables = tables_of(fake, "unroll_learning_rates", grid={"optim.lr_discriminator": [1e-4]})
    with pytest.raises(NothingToDraw, match="does not vary"):
        FIGURES["rate_ratio"].draw(tables)
    other = replace(tables, swept=(*tables.swept, "train.batch_size"))
    with pytest.raises(NothingToDraw, match=r"varies train\.batch_size too"):
        FIGURES["rate_ratio"].draw(other)
