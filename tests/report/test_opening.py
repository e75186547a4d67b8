"""What a page opens with, and that it leads where it says: the headline, its figure, the links."""

import re
from typing import Any

import matplotlib
import pytest

from hw5hpc.report import page, render
from hw5hpc.report.collect import collect
from hw5hpc.report.headline import headline, key_figure
from hw5hpc.report.summary import summarise
from hw5hpc.report.tables import Tables
from hw5hpc.store import State, Status

matplotlib.use("Agg")


def tables_of(made: Any) -> Tables:
    return collect(made.outputs, made.folder)


def opening(made: Any, tables: Tables, names: list[str]) -> str:
    """The page with these figures only."""
    drawn = [render.draw(name, tables, made.folder.report) for name in names]
    return page.html(summarise(tables, names, []), drawn)


@pytest.mark.parametrize("names", [["final_samples"], ["final_samples", "losses"], []])
def test_every_place_that_a_page_links_to_is_there(fake: Any, names: list[str]) -> None:
    made = fake("unroll_depth", grid={"gan.unroll_steps": [0, 5]})
    text = opening(made, tables_of(made), names)
    places = set(re.findall(r'<a href="#([^"]+)"', text))
    assert "runs" in places
    assert places <= set(re.findall(r' id="([^"]+)"', text))


def test_a_page_opens_with_the_figure_that_shows_its_headline(fake: Any) -> None:
    tables = tables_of(fake("batch_norm"))
    found = summarise(tables, ["test_accuracy", "training_loss"], [])
    assert headline(found).startswith("The training loss is")
    assert key_figure(found) == "training_loss"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "learning_rate",
            r"Test accuracy goes from [\d.]+ \(learning rate 10⁻⁵, without batch norm\) "
            r"to [\d.]+ \(learning rate 0.001, with batch norm\)\.",
        ),
        ("classifier", r"Test accuracy is [\d.]+ in all 3 seeds\."),
        (
            "unroll_learning_rates",
            r"With discriminator's learning rate [\d.]+, five unrolled steps .*",
        ),
    ],
)
def test_a_headline_is_a_sentence(fake: Any, name: str, sentence: str) -> None:
    assert re.fullmatch(sentence, headline(summarise(tables_of(fake(name)), [], [])))


def test_a_claim_without_runs_shows_no_nan(fake: Any) -> None:
    made = fake("unroll_depth", grid={"gan.unroll_steps": [0, 5]})
    for index in range(3):
        (made.run(index).path / "result.json").unlink()
        made.run(index).set_status(Status(state=State.NEW).to(State.FAILED, reason="x"))
    found = summarise(tables_of(made), [], [])
    assert not [one.numbers for one in found.verdicts if "nan" in one.numbers]
    assert headline(found).startswith("Classes covered is ")


def test_pictures_are_sharp_where_enlarged_and_smooth_where_shrunk(fake: Any) -> None:
    made = fake("unroll_depth", grid={"gan.unroll_steps": [0]})
    drawn = render.draw("final_samples", tables_of(made), made.folder.report)
    assert "image-rendering:auto" in drawn.wide.body
    assert "pixelated" not in drawn.wide.body
    made = fake("batch_norm")
    drawn = render.draw("filters", tables_of(made), made.folder.report)
    assert "image-rendering:pixelated" in drawn.wide.body
