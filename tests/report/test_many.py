"""Sweeps of many settings and runs: what a report draws and lists of them, and that it says so."""

import re

import numpy as np
import pandas as pd
import pytest

from hw5hpc.report import page, style
from hw5hpc.report.figures import FIGURES
from hw5hpc.report.summary import summarise
from hw5hpc.report.tables import Tables

DEPTHS, RATES = [0, 1, 5, 10], [1e-4 * 1.1**power for power in range(60)]


def many(rates: list[float], seeds: int, failed: int = 0) -> Tables:
    """A ring sweep of every depth with every rate; the last `failed` runs have failed."""
    results = pd.DataFrame(
        [
            {"run": f"{depth}-{rate:.6f}-{seed}", "gan.unroll_steps": depth, "optim.lr": rate,
             "seed": seed, "reason": "", "device": "CPU", "seconds": 1.0, "gpu_hours": 0.0,
             "modes_covered": float(depth > 1)}
            for depth in DEPTHS for rate in rates for seed in range(seeds)
        ]
    )  # fmt: skip
    whole = np.arange(len(results)) < len(results) - failed
    results.insert(1, "state", np.where(whole, "finished", "failed"))
    config = results[["run", "gan.unroll_steps", "optim.lr", "seed"]]
    curves = pd.concat([config.assign(epoch=epoch, train_loss=1 / epoch) for epoch in (1, 2)])
    keys = ("gan.unroll_steps", "optim.lr", "seed")
    return Tables("made", "ring", keys, results, curves, config_keys=keys)


def test_of_many_settings_a_figure_draws_some_and_says_so() -> None:
    tables = many(RATES, seeds=1)
    figure = FIGURES["training_loss"].draw(tables)
    assert f"{style.MOST} of 240 settings shown" in figure.get_suptitle()
    drawn = [line for line in figure.axes[0].get_lines() if len(line.get_xdata()) == 2]  # type: ignore[arg-type]
    assert len(drawn) == style.MOST
    (legend,) = figure.legends
    assert len(legend.get_texts()) == style.MOST // len(DEPTHS) + len(DEPTHS)


def test_drawn_settings_share_the_values_of_the_key_with_most() -> None:
    shown = list(style.shown(many(RATES, seeds=1)))
    rates = {depth: [rate for found, rate in shown if found == depth] for depth in DEPTHS}
    assert all(found == rates[0] for found in rates.values())
    assert (rates[0][0], rates[0][-1]) == (RATES[0], RATES[-1])


def test_few_settings_are_all_drawn() -> None:
    tables = many(RATES[: style.MOST // len(DEPTHS)], seeds=1)
    assert list(style.shown(tables)) == tables.compared
    figure = FIGURES["training_loss"].draw(tables)
    assert "settings shown" not in figure.get_suptitle()


@pytest.mark.parametrize(
    ("seeds", "rows", "caption"),
    [
        (4, 960, "All 960 runs"),
        (5, 1000, "1,000 of 1,200 runs: first of all those that have not finished"),
    ],
)
def test_a_page_lists_a_thousand_runs_those_without_a_result_first(
    seeds: int, rows: int, caption: str
) -> None:
    text = page.html(summarise(many(RATES, seeds, failed=300), [], []))
    (table,) = re.findall(r"<caption>([^<]*\d runs[^<]*)</caption>(.*?)</table>", text, re.DOTALL)
    assert table[0] == caption
    assert table[1].count("<tr>") == rows + 1
    assert table[1].count(">failed<") == 300
    assert "and 200 more" in text


def test_settings_are_told_apart_by_every_kind_of_value() -> None:
    values = [None, True, 2, 2.5, "2", None]
    results = pd.DataFrame({"run": list("abcdef"), "state": "finished"})
    results["key"] = pd.Series(values, dtype=object)
    tables = Tables("made", "ring", ("key", "absent"), results, pd.DataFrame())
    assert tables.compared == [(value, None) for value in values[:-1]]
    assert list(tables.rows(tables.results, (None, None))["run"]) == ["a", "f"]
    assert tables.sizes[None, None] == 2
