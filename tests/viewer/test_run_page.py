"""What a run was made from and its training: the file, and the page of it."""

import csv
import io
import math
import pathlib

import numpy as np
import pytest

from tfvis_jax.viewer import bundle, run_record
from viewer import browsing, told
from viewer.wordy import EVIL


@pytest.mark.parametrize("n", [0, 1, 299, 300, 301, 1000])
def test_long_curves_are_means_of_neighbouring_batches(n):
    values = np.random.default_rng(n).normal(size=n)
    curve = run_record.Curve(label="x", about="", values=values.tolist())
    found = run_record.value(
        run_record.RunRecord(facts={}, batches=range(1, n + 1), curves=[curve])
    )
    stride = found["stride"]
    assert stride == max(1, -(-n // 300))
    parts = [values[i : i + stride] for i in range(0, n, stride)]
    expected = [part.mean() for part in parts]
    assert found["curves"][0]["values"] == pytest.approx(expected, rel=1e-3)
    assert found["batches"] == [min(i + stride, n) for i in range(0, n, stride)]


def test_what_was_not_measured_is_left_out_of_a_mean():
    found = run_record.means([1.0, None, None, None, 4.0, 5.0, 7.0], 2)
    assert found[:1] + found[2:] == [1.0, 4.5, 7.0] and math.isnan(found[1])


def test_the_page_tells_what_the_file_holds(page, worded):
    browsing.open_page(page, worded)
    page.click("text=More about this run")
    page.wait_for_selector("article.run-page")
    record = bundle.read(worded, "data/run")
    facts = dict(
        zip(
            page.locator(".run-facts dt").all_inner_texts(),
            page.locator(".run-facts dd").all_inner_texts(),
            strict=True,
        )
    )
    assert facts["model"] == "bert-tiny"
    assert facts["patience"] == "–" and facts["seed"] == "0"
    assert facts["corpus"] == EVIL and facts[EVIL] == "x" * 200
    assert facts["__proto__"] == "1"
    assert facts["FVU"] == "0.183" and "fvu" not in facts
    # Settings are what they are called in config.json.
    settings = page.locator(".run-facts .panel:has(h2:has-text('config.json'))")
    assert settings.locator("dt code").all_inner_texts() == [
        "model",
        "seed",
        "patience",
    ]
    assert page.locator(".run-facts .panel:has(h2:text-is('Text')) code").count() == 0
    assert EVIL in page.inner_text(".run-page > .notice")
    assert page.locator("#run-quality").inner_text() == "How good this run is"
    # Each curve has a point for each value, the first where it was first measured.
    for place, curve in enumerate(record["curves"]):
        line = page.locator(".run-chart polyline").nth(place).get_attribute("points")
        points = [tuple(map(float, p.split(","))) for p in line.split()]
        values = [v for v in curve["values"] if v is not None]
        assert len(points) == len(values)
        heights = np.array([y for _, y in points])
        # Higher values stand higher, in proportion.
        slope, _ = np.polyfit(values, heights, 1)
        assert slope < 0
        fitted = np.polyval(np.polyfit(values, heights, 1), values)
        np.testing.assert_allclose(heights, fitted, atol=0.1)
    page.reload()
    page.wait_for_selector("article.run-page")
    page.keyboard.press("Escape")
    page.wait_for_selector(".list:not([hidden])")


def test_the_curves_can_be_taken_away(page, worded):
    browsing.open_page(page, worded, "#/run")
    menu = page.locator(".run-page details.take")
    menu.locator("summary").click()
    with page.expect_download() as download:
        menu.get_by_role("button", name="All curves as CSV").click()
    text = pathlib.Path(download.value.path()).read_text()
    rows = list(csv.DictReader(io.StringIO(text)))
    record = bundle.read(worded, "data/run")
    assert [int(row["batch"]) for row in rows] == record["batches"]
    for curve in record["curves"]:
        got = [row[curve["label"]] for row in rows]
        assert got == ["" if v is None else str(v) for v in curve["values"]]
    with page.expect_download() as download:
        menu.get_by_role("button", name="L0 as SVG").click()
    assert download.value.suggested_filename == "A-run-for-tests-training-L0.svg"


@pytest.mark.parametrize(("n", "columns"), [(2, 3), (3, 3), (4, 2), (6, 3)])
def test_four_charts_stand_in_two_rows(browser, make_site, tmp_path, n, columns):
    curves = [
        run_record.Curve(label=f"Curve {i}", about="", values=[1.0, 2.0])
        for i in range(n)
    ]
    record = run_record.RunRecord(facts={}, batches=[1, 2], curves=curves)
    bundle.write(tmp_path / "site", make_site(run=record))
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    browsing.open_page(page, tmp_path / "site", "#/run")
    places = page.locator(".run-charts figure").evaluate_all(
        "all => all.map((each) => each.getBoundingClientRect().top)"
    )
    assert places.count(places[0]) == min(n, columns)
    page.close()


def test_fractions_of_factors_are_percents(page, tmp_path, make_site):
    report = {"factors alive on held-out text": 1.0, "mean duality gap": 0.5}
    bundle.write(tmp_path / "site", make_site(report=report))
    browsing.open_page(page, tmp_path / "site", "#/run")
    facts = page.locator(".run-facts dd").all_inner_texts()
    assert facts == ["100 %", "0.5"]


def test_a_site_without_a_record_says_so(page, folder):
    browsing.open_page(page, folder, "#/run")
    assert "do not tell how the run was trained" in page.inner_text(".run-page")
    assert page.locator(".quality li").count() > 0


@pytest.mark.parametrize("width", [360, 1024, 1440])
def test_nothing_sticks_out(browser, worded, width):
    page = browser.new_page(viewport={"width": width, "height": 768})
    for address in ("#/run", "#/about", "#/runs"):
        page.goto("about:blank")
        browsing.open_page(page, worded, address)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_the_record_is_written_whole(worded):
    found = bundle.read(worded, "data/run")
    assert [title for title, _ in found["facts"]] == list(told.record().facts)
    assert bundle.read(worded, "data/manifest")["run"] is True
