"""The report page in a real Chromium: wide and narrow, light and dark, with few and many runs."""

import base64
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hw5hpc.report import page, render
from hw5hpc.report.collect import collect
from hw5hpc.report.figures import drawable
from hw5hpc.report.summary import summarise
from hw5hpc.report.tables import Tables
from hw5hpc.store import State, Status

pytestmark = pytest.mark.browser
FIGURES = {4: ["final_samples", "losses"], 20: ["final_samples", "mode_coverage"]}
GRIDS = {
    4: {"gan.unroll_steps": [0, 5], "seed": [0, 1]},
    20: {"gan.unroll_steps": [0, 5], "optim.lr": [1e-4, 1e-3], "seed": list(range(5))},
    1000: {"gan.unroll_steps": [0, 1, 5, 10], "seed": [0, 1]},
}
MEGABYTE = 1_000_000
# Set to a folder to keep the pictures, for a person to look at.
KEPT = os.environ.get("HW5HPC_SCREENSHOTS")


def many(tables: Tables, count: int) -> Tables:
    """The same runs again and again with other seeds: writing a thousand folders takes minutes."""
    results, curves = [], []
    for turn in range(count // len(tables.results)):
        for kept, frame in ((results, tables.results), (curves, tables.curves)):
            seeds = frame["seed"] + 2 * turn
            kept.append(frame.assign(run=frame["run"] + f"{turn:04x}", seed=seeds.astype(object)))
    every = pd.concat(results, ignore_index=True)
    source = np.random.default_rng(0)
    for name in ("entropy", "total_variation"):
        every[name] += source.normal(0, 0.05, len(every))
    arrays = {run: tables.arrays[run[:12]] for run in every["run"]}
    origins = {run: tables.origins[run[:12]] for run in every["run"]}
    links = {run: tables.links[run[:12]] for run in every["run"]}
    more = {"arrays": arrays, "origins": origins, "links": links}
    return replace(tables, results=every, curves=pd.concat(curves, ignore_index=True), **more)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: Any, build_sweep: Callable[..., Any]) -> Callable[[int], Path]:
    made: dict[int, Path] = {}

    def of(count: int) -> Path:
        if count not in made:
            sweep = build_sweep(tmp_path_factory.mktemp("sweep"), "unroll_depth", GRIDS[count])
            (sweep.run(0).path / "result.json").unlink()
            failed = Status(state=State.NEW).to(State.FAILED, reason="no <b>memory</b>")
            sweep.run(0).set_status(failed)
            tables = collect(sweep.outputs, sweep.folder)
            tables = many(tables, count) if count > len(tables.results) else tables
            folder = sweep.folder.report
            names = FIGURES.get(count, [n for n in drawable(tables) if n != "rate_ratio"])
            drawn = [render.draw(name, tables, folder) for name in names]
            text = page.html(summarise(tables, names, []), drawn)
            made[count] = folder / "index.html"
            made[count].write_text(text, encoding="utf-8")
        return made[count]

    return of


def show(driver: Any, where: Path, width: int, dark: bool = False, script: bool = True) -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    theme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": theme})
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not script})
    driver.get(where.as_uri())


def open_all(driver: Any) -> None:
    driver.execute_script("document.querySelectorAll('details').forEach(one => one.open = true)")


def keep(driver: Any, name: str, width: int) -> None:
    if KEPT:
        height = driver.execute_script("return document.documentElement.scrollHeight")
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        asked = {"captureBeyondViewport": True, "clip": clip}
        picture = driver.execute_cdp_cmd("Page.captureScreenshot", asked)["data"]
        (Path(KEPT) / f"{name}.png").write_bytes(base64.b64decode(picture))


@pytest.mark.parametrize("count", [4, 20, 1000])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_fits_every_screen(
    chromium: Any, pages: Any, width: int, dark: bool, count: int
) -> None:
    show(chromium, pages(count), width, dark)
    height = chromium.execute_script("return document.documentElement.scrollHeight")
    assert height < 16_000, "what is long is folded"
    keep(chromium, f"{count}-{width}-{'dark' if dark else 'light'}", width)
    open_all(chromium)
    assert chromium.execute_script("return document.documentElement.scrollWidth") == width
    # Text in figures is at least as large as small print, wherever they are shown.
    smallest = chromium.execute_script(
        "return Math.min(...Array.from(document.querySelectorAll('.drawing text'))"
        ".map(text => [text, text.closest('svg')]).filter(([, svg]) => svg.clientWidth > 0)"
        ".map(([text, svg]) => parseFloat(getComputedStyle(text).fontSize)"
        " * svg.clientWidth / svg.viewBox.baseVal.width))"
    )
    assert smallest > 7
    assert not [entry for entry in chromium.get_log("browser") if entry["level"] == "SEVERE"]


def test_a_figures_ink_can_be_read_on_both_themes(chromium: Any, pages: Any) -> None:
    def seen(dark: bool) -> tuple[str, str, str]:
        show(chromium, pages(4), 1280, dark)
        return tuple(  # type: ignore[return-value]
            chromium.execute_script(
                "const text = document.querySelector('.drawing text');"
                "const blue = '.drawing [style*=\"stroke:var(--c0072b2)\"]';"
                "const line = document.querySelector(blue);"
                "return [getComputedStyle(document.body).backgroundColor,"
                " getComputedStyle(text).fill, getComputedStyle(line).stroke];"
            )
        )

    assert seen(False) == ("rgb(255, 255, 255)", "rgb(27, 27, 31)", "rgb(0, 114, 178)")
    page_colour, ink, line = seen(True)
    assert (page_colour, ink) == ("rgb(22, 23, 26)", "rgb(232, 232, 234)")
    assert line != "rgb(0, 114, 178)"


def test_runs_are_sorted_and_filtered_by_hand(chromium: Any, pages: Any) -> None:
    show(chromium, pages(20), 1280)
    open_all(chromium)

    def column(index: int) -> list[str]:
        return chromium.execute_script(
            "return Array.from(document.querySelector('table.sortable').tBodies[0].rows)"
            f".filter(row => !row.hidden).map(row => row.cells[{index}].textContent)"
        )

    heads = chromium.find_elements("css selector", "table.sortable th button")
    names = [head.text for head in heads]
    at = names.index("classes_covered")
    heads[at].click()
    rising = column(at)
    heads[at].click()
    falling = column(at)
    assert rising[-1] == falling[-1] == "—", "a run without the number stays last"
    numbers = [float(text) for text in rising[:-1]]
    assert numbers == sorted(numbers) and len(set(numbers)) > 1
    assert [float(text) for text in falling[:-1]] == sorted(numbers, reverse=True)
    assert chromium.find_elements("css selector", "th[aria-sort=descending]")
    box = chromium.find_element("css selector", "#filter")
    box.send_keys("failed")
    assert column(names.index("state")) == ["failed"]
    assert chromium.find_element("css selector", "#filtered").text == "1 of 20 runs"
    box.clear()
    box.send_keys("failed nothing")
    assert column(0) == []


def test_the_heads_of_the_runs_stay_in_sight(chromium: Any, pages: Any) -> None:
    show(chromium, pages(1000), 1280)
    open_all(chromium)
    away = chromium.execute_script(
        "const box = document.querySelector('.runs'); box.scrollTop = 5000;"
        "return box.querySelector('thead th').getBoundingClientRect().top"
        " - box.getBoundingClientRect().top"
    )
    assert 0 <= away < 4


def test_the_page_is_whole_without_javascript(chromium: Any, pages: Any) -> None:
    show(chromium, pages(20), 400, script=False)
    words = chromium.find_element("css selector", "main").text
    assert "Means by setting" in words and "Runs" in words
    assert not chromium.find_element("css selector", "#filter").is_displayed()
    chromium.find_element("css selector", "#runs ~ details summary").click()
    assert len(chromium.find_elements("css selector", "table tbody tr th.key")) > 20
    show(chromium, pages(20), 400)


def test_a_screen_reader_finds_its_way(chromium: Any, pages: Any) -> None:
    show(chromium, pages(20), 1280)
    found = chromium.execute_script(
        "return {levels: Array.from(document.querySelectorAll('h1, h2, h3'))"
        ".map(head => Number(head.tagName[1])),"
        "unnamed: Array.from(document.querySelectorAll('svg.drawing'))"
        ".filter(svg => !svg.getAttribute('aria-label')).length,"
        "uncaptioned: Array.from(document.querySelectorAll('table'))"
        ".filter(table => !table.caption).length,"
        "ids: Array.from(document.querySelectorAll('[id]')).map(one => one.id)}"
    )
    assert found["levels"][0] == 1 and found["levels"].count(1) == 1
    steps = zip(found["levels"], found["levels"][1:], strict=False)
    assert all(after <= before + 1 for before, after in steps), "no level is left out"
    assert (found["unnamed"], found["uncaptioned"]) == (0, 0)
    assert len(found["ids"]) == len(set(found["ids"]))


@pytest.mark.parametrize(("count", "most"), [(4, 3 * MEGABYTE), (1000, 5 * MEGABYTE)])
def test_the_page_is_one_small_file(pages: Any, count: int, most: int) -> None:
    text = pages(count).read_text(encoding="utf-8")
    assert len(text.encode()) < most
    # What is loaded: pictures as data, and places inside the page; links are only followed.
    loaded = re.findall(r"<(?!a )[^>]*\s(?:src|href)=\"([^\"]*)\"", text)
    assert loaded and all(one.startswith(("data:image/png", "#")) for one in loaded)
    assert "no &lt;b&gt;memory&lt;/b&gt;" in text


def test_numbers_stand_below_their_heads(chromium: Any, pages: Any) -> None:
    """Those that are absent too."""
    show(chromium, pages(20), 1280)
    sides = chromium.execute_script(
        "const rows = Array.from(document.querySelector('table.sortable').rows);"
        "const at = Array.from(rows[0].cells).findIndex(c => c.textContent == 'classes_covered');"
        "return rows.map(row => [row.cells[at].textContent.includes('—'),"
        " getComputedStyle(row.cells[at]).textAlign]);"
    )
    assert any(absent for absent, _ in sides)
    assert {side for _, side in sides} == {"right"}


def test_paper_holds_whole_rows(chromium: Any, pages: Any) -> None:
    show(chromium, pages(20), 1280, dark=True)
    open_all(chromium)
    asked = {"preferCSSPageSize": True, "paperWidth": 8.27, "paperHeight": 11.69}
    paper = base64.b64decode(chromium.execute_cdp_cmd("Page.printToPDF", asked)["data"])
    assert paper.startswith(b"%PDF")
    if KEPT:
        (Path(KEPT) / "print.pdf").write_bytes(paper)
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": []})
    # What an A4 page holds between its margins, upright and across.
    upright, across = ".scroll:not(.landscape *)", ".landscape .scroll"
    over = {kind: beyond(chromium, kind, width)
            for kind, width in ((upright, 690), (across, 1040))}  # fmt: skip
    broken = chromium.execute_script(
        "return Array.from(document.querySelectorAll('.means td, .runs td'))"
        ".filter(cell => /^[\\d.]+$/.test(cell.textContent))"
        ".filter(cell => { const range = document.createRange(); range.selectNodeContents(cell);"
        " return range.getClientRects().length > 1; }).map(cell => cell.textContent)"
    )
    page_of = "return getComputedStyle(document.querySelector('#runs').parentElement).page"
    heading = chromium.execute_script(page_of)
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    assert over == {upright: 0, across: 0}
    assert broken == [], "a number in two lines is another number"
    assert heading == "across", "the heading stands on the page of its table"


def beyond(driver: Any, boxes: str, width: int) -> int:
    """How far the widest of some boxes' contents stands out of it, in pixels."""
    size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    return driver.execute_script(
        f"return Math.max(...Array.from(document.querySelectorAll('{boxes}'))"
        ".map(box => box.scrollWidth - box.clientWidth))"
    )
