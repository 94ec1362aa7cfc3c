"""The page of a factor in a real browser."""

import numpy as np
import pytest

from tfvis_jax.viewer import bundle
from viewer import browsing


def test_the_curve_and_the_table_have_the_values(page, folder):
    browsing.open_page(page, folder, "#/factor/13")
    points = page.query_selector_all(".chart .point")
    values = [float(point.get_attribute("data-value")) for point in points]
    assert values == [1.25, 2.5, 7.5, 5.0]
    # Height in the picture is linear in the value, and above its column's centre.
    heights, xs = zip(
        *(
            (float(c.get_attribute("cy")), float(c.get_attribute("cx")))
            for c in page.query_selector_all(".chart .point circle")
        ),
        strict=True,
    )
    slope = (heights[2] - heights[0]) / (values[2] - values[0])
    assert slope < 0
    assert heights[1] == pytest.approx(heights[0] + slope * 1.25, abs=0.01)
    left = page.query_selector(".chart").bounding_box()["x"]
    for x, cell in zip(
        xs,
        page.query_selector_all(".values thead td, .values thead th")[1:],
        strict=True,
    ):
        box = cell.bounding_box()
        # Table columns are laid out in whole pixels.
        assert left + x == pytest.approx(box["x"] + box["width"] / 2, abs=1.5)
    row = page.query_selector_all(".values tbody tr")[0]
    assert row.inner_text().split() == ["Importance", "1.25", "2.50", "7.50", "5.00"]


def test_layers_switch_by_click_by_key_and_by_address(page, folder):
    browsing.open_page(page, folder, "#/factor/13?layer=2")
    title = "#contexts-title"
    assert page.inner_text(title) == "Top-activating examples at layer 2"
    first = page.inner_text(".context .value")
    page.click(".chart .point >> nth=2")
    page.wait_for_selector(f"{title}:has-text('layer 4')")
    assert "layer=4" in page.url
    assert page.inner_text(".context .value") != first
    page.keyboard.press("]")
    page.wait_for_selector(f"{title}:has-text('layer 6')")
    page.keyboard.press("]")
    page.wait_for_url("**layer=6*")
    page.keyboard.press("[")
    page.wait_for_selector(f"{title}:has-text('layer 4')")
    page.click("button.layer:text-is('0')")
    page.wait_for_selector(f"{title}:has-text('layer 0')")
    page.go_back()
    page.wait_for_selector(f"{title}:has-text('layer 4')")
    page.focus(".chart .point.chosen")
    page.keyboard.press("ArrowUp")
    page.wait_for_selector(f"{title}:has-text('layer 2')")
    assert page.evaluate("document.activeElement.dataset.layer") == "2"
    # Without a layer in the address the peak is shown.
    page.evaluate("location.hash = '#/factor/13'")
    page.wait_for_selector(f"{title}:has-text('layer 4')")


def test_contexts_are_text_marked_and_strong_by_activation(
    page, folder, make_site, evil
):
    browsing.open_page(page, folder, "#/factor/13?layer=4")
    given = make_site().contexts(13)[2]
    shown = page.query_selector_all(".context")
    assert len(shown) == 20
    text = shown[0].query_selector(".text").text_content()
    assert text == given[0].before + given[0].word + given[0].after
    assert evil in text
    assert shown[0].query_selector("mark").inner_text() == given[0].word
    assert shown[0].query_selector("cite").inner_text() == "Article 0"
    assert float(shown[0].query_selector(".value").inner_text()) == 15.0
    assert page.query_selector_all("main img, main script") == []
    strengths = page.eval_on_selector_all(
        ".context mark",
        "marks => marks.map(m => Number(m.style.getPropertyValue('--strength')))",
    )
    # The page rounds to a thousandth; activations have four digits.
    assert strengths == [pytest.approx(1 / (1 + i / 30), abs=2e-3) for i in range(20)]
    assert page.inner_text(".more") == "Show 5 more (5 left)"
    page.click(".more")
    assert len(page.query_selector_all(".context")) == 25
    assert not page.is_visible(".more")


def test_aligned_contexts_have_the_word_in_one_place(page, folder):
    browsing.open_page(page, folder, "#/factor/13")
    centres = page.eval_on_selector_all(
        ".aligned mark",
        "ms => ms.map(m => m.getBoundingClientRect()).map(b => b.left + b.width / 2)",
    )
    assert len(centres) == 20
    assert max(centres) - min(centres) < 2
    page.click("button:text-is('Running text')")
    assert page.query_selector(".aligned") is None
    page.keyboard.press("a")
    assert page.query_selector(".aligned") is not None


def test_the_overview_has_all_layers_and_says_why_one_is_empty(page, folder):
    browsing.open_page(page, folder, "#/factor/3")
    columns = page.query_selector_all(".column")
    assert [c.get_attribute("aria-label") for c in columns] == [
        f"Layer {layer}" for layer in (0, 2, 4, 6)
    ]
    assert "Never fires in layer 0" in columns[0].inner_text()
    assert len(columns[1].query_selector_all("mark")) == 4
    columns[0].query_selector("button").click()
    page.wait_for_selector("text=This factor never fires in layer 0.")


def test_keys_walk_the_factors_and_skip_the_dead(page, folder):
    browsing.open_page(page, folder, "#/factor/4")
    page.keyboard.press("ArrowRight")
    browsing.await_heading(page, "Factor 6")
    page.keyboard.press("ArrowLeft")
    browsing.await_heading(page, "Factor 4")
    page.keyboard.press("?")
    assert page.is_visible("#keys")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    assert not page.is_visible("#keys")
    browsing.await_heading(page, "Factor 4")
    page.keyboard.press("/")
    page.wait_for_selector("#search:focus")
    # Keys are text while one types, so `r` starts no walk to a random factor.
    page.keyboard.type("riverr?")
    assert page.input_value("#search") == "riverr?"
    page.fill("#search", "riv")
    page.keyboard.press("Enter")
    page.wait_for_selector(".list:not([hidden])")
    assert "q=riv" in page.url
    page.keyboard.press("Tab")
    page.keyboard.press("r")
    page.wait_for_selector("article.factor")
    page.keyboard.press("Escape")
    page.wait_for_selector(".list:not([hidden])")


def test_next_follows_the_list_as_it_is_filtered(page, folder):
    browsing.open_page(page, folder, "#/?level=high")
    page.click(".rows .number a >> nth=1")
    browsing.await_heading(page, "Factor 6")
    assert "2 of 10" in page.inner_text(".trail")
    page.keyboard.press("ArrowRight")
    browsing.await_heading(page, "Factor 10")


def test_a_factor_out_of_range_is_told_the_range(page, folder):
    browsing.open_page(page, folder, "#/factor/40")
    for number in ("40", "-1", "x", "1e3", "99999999999999999999"):
        page.evaluate(f"location.hash = '#/factor/{number}'")
        page.wait_for_selector(f"main .page:not([hidden]) q:text-is('{number}')")
        assert "0 to 39" in page.inner_text("main .page:not([hidden]) .notice")


def test_a_dead_factor_and_an_unknown_layer_say_so(page, folder):
    browsing.open_page(page, folder, "#/factor/5")
    assert "dead: it never fires on this corpus" in page.inner_text(".notice:visible")
    page.evaluate("location.hash = '#/factor/13?layer=3'")
    browsing.await_heading(page, "Factor 13")
    assert "which has layers 0, 2, 4, 6" in page.inner_text("article .notice:visible")
    assert page.inner_text("#contexts-title").endswith("layer 4")


@pytest.mark.parametrize("layer", [0, 6, 12])
def test_on_a_phone_whole_columns_stand_beside_the_axis(
    browser, make_site, tmp_path, layer
):
    layers = range(13)
    changes = {
        "layers": tuple(layers),
        "importance": np.full((13, 40), 0.0123),
        "density": np.full((13, 40), 0.0123),
        "max_activation": np.full((13, 40), 0.0234),
        "contexts": lambda factor: [[]] * 13,
        "sentences": [],
    }
    bundle.write(tmp_path / "site", make_site(**changes))
    page = browser.new_page(viewport={"width": 360, "height": 740})
    browsing.open_page(page, tmp_path / "site", f"#/factor/13?layer={layer}")
    scroller = page.locator(".layers .wide")

    def columns():
        """Returns the layers in view; each is in view as a whole or not at all."""
        box = scroller.bounding_box()
        labels = page.locator(".values tbody tr").first.locator("th").bounding_box()
        left, right = labels["x"] + labels["width"], box["x"] + box["width"]
        found = []
        cells = page.locator(".values tbody tr").first.locator("td").all()
        for number, cell in zip(layers, cells, strict=True):
            at = cell.bounding_box()
            seen = min(right, at["x"] + at["width"]) - max(left, at["x"])
            if seen > at["width"] - 1:
                found.append(number)
            elif seen > 1:
                return None
        return found

    browsing.wait_until(page, columns)
    assert len(columns()) == 4 and layer in columns()
    # Neither a label nor a value is cut.
    for cell in page.locator(".values tr").nth(1).locator("th, td").all():
        assert cell.evaluate("(e) => e.scrollWidth <= e.clientWidth")
        assert cell.bounding_box()["height"] < 40
    # The axis stays.
    ticks = page.locator(".axis-box text").all()
    assert "Importance score" in [tick.text_content() for tick in ticks]
    for tick in ticks:
        assert tick.bounding_box()["x"] >= scroller.bounding_box()["x"]
    # Wherever it is scrolled to, it comes to rest at a column.
    scroller.evaluate("(e) => { e.scrollLeft = 135; }")
    browsing.wait_until(page, lambda: columns() in ([2, 3, 4, 5], [3, 4, 5, 6]))
    page.close()
