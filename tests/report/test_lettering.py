"""Words in figures and numbers in texts: all of them can be read, wide and on a phone."""

from dataclasses import replace
from itertools import combinations
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from hw5hpc.report import drawing, rc, style
from hw5hpc.report.collect import collect
from hw5hpc.report.figures import FIGURES
from hw5hpc.report.lettering import break_names
from hw5hpc.report.numbers import figures, power
from hw5hpc.report.phone import narrow
from hw5hpc.report.tables import Tables

matplotlib.use("Agg")
DEPTHS: dict[str, list[Any]] = {"gan.unroll_steps": [0, 5], "seed": [0, 1]}
WORDS = {"gan.objective": ["non_saturating", "saddle"], **DEPTHS}
LONG = {"optim.lr_discriminator": [1e-3, 1e-4], "gan.unroll_steps": [0, 5], "seed": [0, 1]}


def tables_of(fake: Any, name: str, **options: Any) -> Tables:
    made = fake(name, **options)
    return collect(made.outputs, made.folder)


def boxes(figure: Figure) -> list[tuple[str, Bbox]]:
    """Where each name of an axis, title and legend stands."""
    figure.draw_without_rendering()
    texts = [text for axes in figure.axes if axes.get_visible()
             for text in (axes.title, axes.xaxis.label, axes.yaxis.label)]  # fmt: skip
    found = [(text.get_text(), text.get_window_extent()) for text in texts if text.get_text()]
    return found + [("legend", one.get_window_extent()) for one in figure.legends]


@pytest.mark.parametrize("phone", [False, True], ids=["wide", "phone"])
@pytest.mark.parametrize("grid", [WORDS, DEPTHS], ids=["two keys", "one key"])
@pytest.mark.parametrize("name", ["fidelity", "mode_coverage", "losses", "step_cost"])
def test_names_of_axes_and_legends_do_not_overlap(
    fake: Any, name: str, grid: dict[str, list[Any]], phone: bool
) -> None:
    tables = tables_of(fake, "unroll_depth", grid=grid)
    with rc.defaults():
        figure = FIGURES[name].draw(tables)
        if phone:
            figure.suptitle("")
            narrow(figure, FIGURES[name].columns or 1)
        found = boxes(figure)
        for (one, first), (two, second) in combinations(found, 2):
            assert not first.padded(-1).overlaps(second), (one, two)
        width, height = figure.bbox.width, figure.bbox.height
        for text, box in found:
            inside = box.x0 > -2 and box.y0 > -2 and box.x1 < width + 2 and box.y1 < height + 2
            assert inside, text


def test_a_legend_of_long_names_is_broken_and_not_made_small(fake: Any) -> None:
    tables = tables_of(fake, "unroll_learning_rates", grid=LONG)
    with rc.defaults():
        figure = FIGURES["losses"].draw(tables)
        narrow(figure, 1)
    texts = [text for legend in figure.legends for text in legend.get_texts()]
    assert len(texts) == 4
    assert {text.get_fontsize() for text in texts} == {8.0}


def test_the_name_of_a_low_axis_is_broken() -> None:
    figure, grid = style.grid(1, 1, 4, 0.6)
    axes = grid[0, 0]
    axes.set_ylabel("total variation from uniform (0 to 1)")
    break_names(figure)
    assert axes.get_ylabel().count("\n") >= 1


def test_a_single_epoch_has_no_fractions(fake: Any) -> None:
    tables = tables_of(fake, "batch_norm")
    one = tables.curves[tables.curves["epoch"] == 1]
    figure = FIGURES["test_accuracy"].draw(replace(tables, curves=one))
    assert all(float(at).is_integer() for at in figure.axes[0].get_xticks())
    low, high = figure.axes[0].get_xlim()
    assert low < 1 < high


def test_many_upright_names_are_thinned_and_many_bands_left_out(fake: Any) -> None:
    grid = {"optim.lr": [float(f"{k}e-4") for k in range(1, 17)], "seed": [0, 1, 2]}
    tables = tables_of(fake, "learning_rate", grid=grid)
    with rc.defaults():
        names = FIGURES["step_cost"].draw(tables).axes[0].get_xticklabels()
        narrow_one = FIGURES["step_cost"].draw(tables)
        narrow(narrow_one, 1)
        figure = FIGURES["test_accuracy"].draw(tables)
    assert len(names) == 32, "wide enough for all"
    assert 10 < len(narrow_one.axes[0].get_xticklabels()) < 32
    assert not figure.axes[0].collections
    assert "no bands" in str(figure.get_label())


def test_a_crowded_figure_counts_only_the_runs_behind_its_means(fake: Any) -> None:
    made = fake("learning_rate")
    (made.run(0).path / "result.json").unlink()
    tables = collect(made.outputs, made.folder)
    assert "n = 0 to 3 seeds" in FIGURES["test_accuracy"].draw(tables).get_suptitle()


def test_equal_seeds_are_counted_only_where_they_cannot_stand_side_by_side() -> None:
    values = [0.5] * 2 + [0.5001] * 3 + [0.5002] * 4 + [0.5003] * 4
    places = drawing.beside(values, 0.01)
    assert [count for _, _, count in places] == [1] * 13
    assert drawing.beside([6.0] * 26 + [7.0], 0.1) == [(0, 6.0, 26), (0, 7.0, 1)]


@pytest.mark.parametrize(
    ("value", "count", "said"),
    [(11725.0, 4, "11725"), (0.83324, 4, "0.8332"), (150.2, 2, "150"), (-0.0, 4, "0"),
     (1e9, 4, "1e+09"), (float("inf"), 4, "inf")],
)  # fmt: skip
def test_a_large_number_is_written_to_the_unit(value: float, count: int, said: str) -> None:
    assert figures(value, count) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(1e-5, "10⁻⁵"), (3.3e-5, "3.3·10⁻⁵"), (0.001, "0.001"), (1e6, "10⁶"), (np.inf, "inf"),
     (-1e-8, "−10⁻⁸"), (0.0, "0")],
)  # fmt: skip
def test_a_small_number_is_a_power_of_ten(value: float, said: str) -> None:
    assert power(value) == said
