"""What levels follow from: the plane of shares, the cut, the region, the list."""

import dataclasses
import pathlib
import re

import numpy as np
import pytest

from tfvis_jax import errors
from tfvis_jax.runs import human_notes
from tfvis_jax.viewer import bundle, site
from viewer import browsing, levelled


@pytest.fixture(scope="module")
def evidence():
    return levelled.evidence()


@pytest.fixture(scope="module")
def measured(tmp_path_factory, make_site, evidence):
    folder = tmp_path_factory.mktemp("levels") / "site"
    note = human_notes.Note(level="mid", by="Ada")
    bundle.write(
        folder,
        make_site(level_evidence=evidence, level_scores=[0.5] * 40, notes={13: note}),
    )
    return folder


def _levels(evidence, cut):
    """Returns the level of each live factor at a cut; 5 is dead."""
    found = {}
    for factor, p in enumerate(evidence.probabilities):
        best = max(p, key=p.__getitem__)
        if factor != 5:
            found[factor] = best if round(p[best], 3) >= cut else "unclear"
    return found


def _counts(page):
    chips = page.locator(".level-page .chip").all()
    return {
        chip.get_attribute("data-level"): int(chip.locator("small").inner_text())
        for chip in chips
    }


def _set(page, name, value, place=0):
    """Moves a slider as a person does."""
    slider = page.get_by_label(name).nth(place)
    slider.focus()
    slider.fill(str(value))
    slider.dispatch_event("change")


def _listed(page):
    return [
        int(link.inner_text().removeprefix("Φ"))
        for link in page.locator(".level-page .panel >> nth=0 >> tbody th a").all()
    ]


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.9])
def test_counts_follow_the_cut(page, measured, evidence, cut):
    browsing.open_page(page, measured, "#/levels")
    _set(page, "A level needs", cut)
    expected = _levels(evidence, cut)
    names = list(expected.values())
    counts = _counts(page)
    assert counts.pop("") == 39
    assert counts == {name: names.count(name) for name in set(names)}
    ruled = _levels(evidence, 0.6)
    changed = sum(ruled[factor] != level for factor, level in expected.items())
    said = page.inner_text(".level-cut")
    assert f"{changed} factors have" in said if changed else "As the rule" in said
    same = int(expected[13] == "mid")
    assert f"the rule says the same of {same}" in said
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert _counts(page) == {"": 39} | counts


def test_a_slider_moves_by_keyboard(page, measured):
    browsing.open_page(page, measured, "#/levels")
    page.get_by_label("A level needs").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**cut=0.61*")
    assert page.inner_text(".level-cut output") == "0.610"
    page.keyboard.press("ArrowLeft")
    assert page.inner_text(".level-cut output") == "0.600 (the rule’s)"


def test_the_list_holds_the_factors_of_the_region(page, measured, evidence):
    browsing.open_page(page, measured, "#/levels?x=far&y=near&region=0.25,0.75,0,0.5")
    far, near = (
        np.array([float(f"{v:.3g}") for v in evidence.measures[place].values])
        for place in (2, 1)
    )
    inside = [
        factor
        for factor in range(40)
        if factor != 5 and 0.25 <= far[factor] <= 0.75 and near[factor] <= 0.5
    ]
    best = [max(p.values()) for p in evidence.probabilities]
    listed = _listed(page)
    assert sorted(listed) == inside
    kept = [round(best[factor], 3) for factor in listed]
    assert kept == sorted(kept, reverse=True)
    assert f"{len(inside)} of 39 factors" in page.inner_text(
        ".level-page .panel > [role=status]"
    )
    # A level of these; Back is where one came from.
    level = next(iter({_levels(evidence, 0.6)[factor] for factor in inside}))
    page.click(f".level-page .chip[data-level={level}]")
    assert sorted(_listed(page)) == [
        factor for factor in inside if _levels(evidence, 0.6)[factor] == level
    ]
    assert f"level={level}" in page.url
    assert page.evaluate("document.activeElement.dataset.level") == level
    page.locator(".level-page tbody th a").first.click()
    page.wait_for_selector("article.factor")
    page.go_back()
    page.wait_for_selector(".level-page")
    assert f"level={level}" in page.url
    page.click("text=Whole plane")
    assert "region" not in page.url and len(_listed(page)) == 30
    page.click("text=Show 9 more")
    assert len(_listed(page)) == 39


def test_bounds_take_each_other_along(page, measured):
    browsing.open_page(page, measured, "#/levels")
    across = page.locator("fieldset.bounds >> nth=0")
    low, high = across.locator("input").all()
    for slider, value in ((high, "0.4"), (low, "0.7")):
        slider.fill(value)
        slider.dispatch_event("change")
    assert (low.input_value(), high.input_value()) == ("0.7", "0.7")
    assert "region=0.7%2C0.7%2C0%2C1" in page.url


def test_points_have_their_places_and_shapes(page, measured, evidence):
    browsing.open_page(page, measured, "#/levels")
    paths = {
        path.get_attribute("data-level"): path.get_attribute("d")
        for path in page.query_selector_all(".scatter .points")
    }
    levels = list(_levels(evidence, 0.6).values())
    drawn = {name: d.count("M") for name, d in paths.items() if d}
    assert drawn == {name: levels.count(name) for name in set(levels)}
    # The place of a low factor, by the axes' own labels.
    box = page.evaluate(
        "(() => { const at = (text, axis) => [...document.querySelectorAll("
        "'.scatter text')].filter((t) => t.textContent === text)"
        ".map((t) => Number(t.getAttribute(axis)));"
        "return [at('0 %', 'x')[1], at('100 %', 'x')[1],"
        " at('0 %', 'y')[0] - 4, at('100 %', 'y')[0] - 4]; })()"
    )
    place = next(f for f, level in _levels(evidence, 0.6).items() if level == "low")
    x, y = (evidence.measures[axis].values[place] for axis in (0, 1))
    first = re.match(r"M([\d.]+) ([\d.]+)a([\d.]+)", paths["low"])
    got = float(first[1]) + float(first[3]), float(first[2])
    want = box[0] + x * (box[1] - box[0]), box[2] + y * (box[3] - box[2])
    assert got == pytest.approx(want, abs=0.5)


def test_the_mouse_names_opens_and_chooses(page, measured, evidence):
    browsing.open_page(page, measured, "#/levels")
    page.locator(".scatter").scroll_into_view_if_needed()
    box = page.locator(".scatter").bounding_box()
    mouse = page.mouse
    mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.3 * box["height"])
    mouse.down()
    mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.6 * box["height"])
    mouse.up()
    page.wait_for_url("**region=*")
    bounds = [float(each.input_value()) for each in page.locator(".bounds input").all()]
    assert 0.2 < bounds[0] < 0.35 and 0.5 < bounds[1] < 0.65
    assert 0.3 < bounds[2] < 0.5 and 0.65 < bounds[3] < 0.85


def test_names_of_measures_are_text(page, measured):
    browsing.open_page(page, measured, "#/levels")
    assert levelled.EVIL in page.inner_text(".level-page thead")
    assert page.query_selector(".level-page thead b") is None


def test_guesses_are_called_guesses(page, tmp_path, make_site):
    bundle.write(tmp_path / "site", make_site(level_evidence=levelled.evidence()))
    browsing.open_page(page, tmp_path / "site", "#/levels")
    assert "guesses" in page.inner_text(".level-page .notice")
    assert "tfvis levels" in page.inner_text(".level-page .notice")
    assert page.locator(".scatter").count() == 1


@pytest.fixture(scope="module")
def sampled(tmp_path_factory, make_site, evidence):
    """Twelve factors are measured, from 10 on; 5 is dead."""
    folder = tmp_path_factory.mktemp("sampled") / "site"
    measured = np.isin(np.arange(40), np.arange(10, 22))
    of_context = [
        dataclasses.replace(each, values=np.where(measured, each.values, np.nan))
        for each in evidence.measures
    ]
    of_spread = site.Measure(name="word", label="word", values=np.full(40, 0.5))
    shown = dataclasses.replace(evidence, measures=[*of_context, of_spread])
    scores = np.where(measured, 0.75, np.nan)
    scores[5] = 0
    bundle.write(folder, make_site(level_evidence=shown, level_scores=scores.tolist()))
    return folder


def test_guesses_are_told_from_measured_levels(page, sampled):
    browsing.open_page(page, sampled, "#/levels")
    notice = page.inner_text(".level-page .notice")
    assert "12 of these levels are measured. The other 27 are guesses" in notice
    assert "tfvis levels RUN" in notice
    assert "stripes" in page.inner_text(".plot")
    said = page.locator(".level-page .panel > [role=status]")
    assert said.inner_text() == (
        "12 of 39 factors are in the region. 27 have no place in this plane: their "
        "shares have not been measured."
    )
    assert sorted(_listed(page)) == list(range(10, 22))
    browsing.open_page(page, sampled, "#/levels?x=word&y=word")
    assert said.inner_text() == "39 of 39 factors are in the region."
    for factor, note in ((13, "0.750"), (22, "guess")):
        browsing.open_page(page, sampled, f"#/factor/{factor}")
        assert page.inner_text("h1 .level").split()[-1] == note
    browsing.open_page(page, sampled)
    lines = page.locator(".quality li").all_inner_texts()
    [line] = [line for line in lines if "guesses" in line]
    assert "mind" in line and "27 of 39 levels are guesses" in line


def test_a_site_without_evidence_has_the_curves(page, folder):
    browsing.open_page(page, folder)
    page.click("text=What levels follow from")
    page.wait_for_selector(".level-page .level-curves")
    assert page.locator(".scatter").count() == 0
    assert "guesses" in page.inner_text(".level-page .notice")
    page.keyboard.press("Escape")
    page.wait_for_selector(".list:not([hidden])")


def test_shapes_of_levels_are_those_of_the_legend():
    static = pathlib.Path(bundle.__file__).parent / "static/assets"
    named = re.findall(
        r"^    (\w+): \(x, y, r\)", (static / "scatter.js").read_text(), re.M
    )
    assert {*named, "unclear"} == {*site.LEVELS}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"probabilities": [None]}, "probabilities for each of the 40 factors, got 1"),
        ({"measures": []}, "two measures"),
        (
            {"measures": [site.Measure(name="a", label="a", values=[0.5])] * 2},
            "one entry of a for each",
        ),
    ],
)
def test_evidence_that_does_not_fit_is_refused(make_site, changes, message):
    with pytest.raises(errors.InputError, match=message):
        make_site(level_evidence=levelled.evidence(**changes))


@pytest.mark.parametrize("width", [360, 1440])
def test_nothing_sticks_out(browser, measured, width):
    page = browser.new_page(viewport={"width": width, "height": 768})
    browsing.open_page(page, measured, "#/levels?level=low")
    page.wait_for_selector(".scatter")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_the_page_says_why_points_stand_in_stripes(page, measured, worded):
    browsing.open_page(page, measured, "#/levels")
    assert "Hence the stripes" in page.inner_text(".plot")
    # Of a guess, nothing is measured.
    browsing.open_page(page, worded, "#/levels")
    assert "stripes" not in page.inner_text(".plot")


def test_each_level_is_defined(page, measured):
    browsing.open_page(page, measured, "#/levels")
    terms = page.locator(".level-terms dt .level").all_inner_texts()
    names = bundle.read(measured, "data/manifest")["level_names"]
    assert [term.split()[-1] for term in terms] == names
    chips = page.locator(".level-page .chip[data-level]:not([data-level=''])")
    assert chips.count() > 0
    assert {c.get_attribute("data-level") for c in chips.all()} <= set(names)
    meanings = page.locator(".level-terms dd").all_inner_texts()
    assert len(set(meanings)) == len(names) and all(meanings)


def test_on_a_phone_the_curves_stand_in_two_columns(browser, measured):
    for width, columns in ((360, 2), (1440, 3)):
        page = browser.new_page(viewport={"width": width, "height": 740})
        browsing.open_page(page, measured, "#/levels")
        places = page.locator(".level-curve").evaluate_all(
            "all => all.map((each) => each.getAttribute('transform').split(' ')[0])"
        )
        assert len(set(places)) == columns
        # The first columns of the table are in view.
        table = page.locator(".level-page .wide").bounding_box()
        level = page.locator(".level-page .wide thead th:nth-child(4)").bounding_box()
        assert level["x"] + level["width"] <= table["x"] + table["width"]
        page.close()
