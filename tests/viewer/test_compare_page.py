"""Factors side by side, and what the home page says before the list."""

import json
import pathlib

import numpy as np
import pytest

from tfvis_jax.viewer import bundle, site
from viewer import browsing


def _columns(page):
    return [
        int(a.inner_text().split()[1])
        for a in page.query_selector_all(".compare-head a:not(.quiet)")
    ]


def test_factors_stand_side_by_side_and_the_address_keeps_them(page, folder):
    browsing.open_page(page, folder, "#/factor/13?layer=4")
    page.click("article >> text=compare")
    page.wait_for_selector("h1:text-is('Factors side by side')")
    assert _columns(page) == [13]
    assert "Add another one" in page.inner_text(".compare > .notice >> nth=0")
    page.get_by_label("Add a factor").fill("Φ2")
    page.keyboard.press("Enter")
    page.wait_for_selector("section[aria-label='Factor 2']")
    assert _columns(page) == [13, 2]
    assert page.url.endswith("#/compare?f=13%2C2")
    # Examples at the peak of the first, until another layer is asked for.
    assert page.input_value("#compare-layer") == "4"
    page.select_option("#compare-layer", "6")
    page.wait_for_url("**layer=6")
    page.reload()
    page.wait_for_selector("section[aria-label='Factor 2']")
    record = bundle.read(folder, "data/factors/00000")["factors"][2]
    words = page.locator("section[aria-label='Factor 2'] mark").all_inner_texts()
    assert words == [record["texts"][e[0]][1] for e in record["contexts"][3][:6]]
    page.get_by_label("Remove factor 13").click()
    page.wait_for_selector("section[aria-label='Factor 13']", state="detached")
    assert _columns(page) == [2]
    page.go_back()
    page.wait_for_selector("section[aria-label='Factor 13']")
    page.keyboard.press("Escape")
    page.wait_for_selector(".list:not([hidden])")


def test_curves_of_the_compared_factors_are_their_importance(page, folder):
    browsing.open_page(page, folder, "#/compare?f=13,2")
    page.click(".compare summary:text-is('As a table')")
    rows = [
        r.inner_text().split()
        for r in page.query_selector_all(".compare .plain tr")[1:]
    ]
    index = bundle.read(folder, "data/index")
    assert {row[0] for row in rows} == {"Φ13", "Φ2"}
    for name, *values in rows:
        expected = [layer[int(name[1:])] for layer in index["importance"]]
        assert [float(v) for v in values] == pytest.approx(expected, rel=5e-3)


def test_a_factor_is_added_by_a_word(page, folder):
    index = bundle.read(folder, "data/index")
    word = index["vocabulary"][index["words"][2][0][0]]
    browsing.open_page(page, folder, f"#/?q={word}")
    best, other = browsing.numbers(page)[0], 13
    assert best != other
    browsing.open_page(page, folder, f"#/compare?f={other}")
    page.get_by_label("Add a factor").fill(word)
    page.keyboard.press("Enter")
    page.wait_for_selector(f"section[aria-label='Factor {best}']")
    assert _columns(page) == [other, best]
    page.get_by_label("Add a factor").fill("nosuchword")
    page.keyboard.press("Enter")
    assert "Expected a word" in page.inner_text(".compare [role=alert]")


@pytest.mark.parametrize("query", ["", "?f=", "?f=99999", "?f=x,,-1", "?layer=5"])
def test_no_factors_to_compare_is_said(page, folder, query):
    browsing.open_page(page, folder, f"#/compare{query}")
    assert "Add two to compare" in page.inner_text(".compare > .notice >> nth=0")
    page.get_by_label("Add a factor").fill("99999")
    page.keyboard.press("Enter")
    assert "from 0 to 39" in page.inner_text(".compare [role=alert]")


def test_at_most_four_are_compared(page, folder):
    browsing.open_page(page, folder, "#/compare?f=1,2,2,3,4,6,7")
    assert _columns(page) == [1, 2, 3, 4]
    assert page.locator("#compare-add").count() == 0


def test_the_curves_of_a_level_are_quartiles_of_its_factors(page, folder, make_site):
    browsing.open_page(page, folder)
    menu = page.locator(
        "details.take:has(summary[aria-label='Save importance by level'])"
    )
    menu.locator("summary").click()
    with page.expect_download() as download:
        menu.get_by_role("button", name="importance by level as JSON").click()
    levels = json.loads(pathlib.Path(download.value.path()).read_text())["levels"]
    importance = np.array(bundle.read(folder, "data/index")["importance"])
    assert [each["name"] for each in levels] == ["low", "mid", "high", "unclear"]
    for offset, each in enumerate(levels):
        members = [f for f in range(offset, 40, 4) if f != 5]
        assert each["count"] == len(members)
        relative = importance[:, members] / importance[:, members].max(axis=0)
        expected = np.quantile(relative, (0.25, 0.5, 0.75), axis=1).T
        np.testing.assert_allclose(each["quartiles"], expected, rtol=1e-9)


def test_home_says_what_a_factor_is_with_a_context_each_and_what_to_mind(page, folder):
    browsing.open_page(page, folder)
    assert page.locator(".introduced p").count() == 3
    assert "activation" in page.get_attribute(".picture", "aria-label")
    first = page.locator(".card").first
    record = bundle.read(folder, "data/factors/00000")["factors"][13]
    place, *_ = record["contexts"][2][0]
    assert first.locator("mark").inner_text() == record["texts"][place][1]
    lines = page.locator(".quality li").all_inner_texts()
    # The mark, then the sentence.
    said = {line.split("\n")[-1]: line.split()[1] for line in lines}
    [explained] = [text for text in said if "82 % of the variance" in text]
    assert said[explained] == "good"
    assert said["1 of 40 factors never fire."] == "mind"
    assert any("Levels are guesses" in text for text in said)


def test_what_is_compared_stands_even_and_is_shaded(browser, make_site, tmp_path):
    def contexts(factor):
        found = site.Context(
            **{"before": "They said ", "word": "left", "after": " or right " * factor},
            **{"activation": 4.0, "document": "D", "others": [(-5, 4, 2.0)]},
        )
        return [[found]] * 4

    bundle.write(tmp_path / "site", make_site(contexts=contexts))
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    browsing.open_page(page, tmp_path / "site", "#/compare?f=2,13")
    columns = page.locator(".side-by-side .column")
    assert columns.locator(".also").all_inner_texts() == ["said", "said"]
    heights = [column.bounding_box()["height"] for column in columns.all()]
    assert heights[0] == heights[1]
    assert "Examples:" in page.inner_text(".take-named")
    # The vertical axis has a middle.
    assert page.locator(".alphas .grid-line").count() == 3
    page.close()
