"""The page of a sentence in a real browser, served with an encoder, and from files."""

import urllib.parse

import numpy as np
import pytest

from tfvis_jax.viewer import bundle
from viewer import asking, browsing, serving, spoken


@pytest.fixture(scope="module")
def encoder():
    return asking.Encoder()


@pytest.fixture(scope="module")
def url(folder, encoder):
    with serving.running(folder, encoder) as port:
        yield asking.at(port)


@pytest.fixture
def tab(browser, url):
    with browsing.watched(browser, url) as tab:
        yield tab


def _strongest(word, layer):
    return int(spoken.codes(word, layer).argmax())


def test_the_field_of_the_home_page_leads_to_words_by_token_and_layer(tab, url, folder):
    tab.goto(url)
    tab.wait_for_selector("html[data-ready]")
    tab.get_by_label("Try your own sentence").get_by_role("textbox").fill(asking.TEXT)
    tab.keyboard.press("Enter")
    browsing.wait_until(
        tab, "document.querySelectorAll('.grid td:not(.waiting)').length == 20"
    )
    assert tab.url.endswith(asking.address(asking.TEXT))
    rows = tab.query_selector_all(".grid tbody tr")
    assert [row.query_selector("th").inner_text() for row in rows] == [
        *("He", "left", "the", "bank", ".")
    ]
    heads = [head.inner_text() for head in tab.query_selector_all(".grid thead th")]
    assert heads == ["Token", "Layer 0", "Layer 2", "Layer 4", "Layer 6"]
    for word, row in zip(spoken.tokens(asking.TEXT), rows, strict=True):
        for layer, cell in zip(
            spoken.LAYERS, row.query_selector_all("td"), strict=True
        ):
            best = _strongest(word, layer)
            assert cell.inner_text() == asking.name(folder, best)
            said = cell.get_attribute("aria-label")
            assert said.startswith(
                f"{word}, layer {layer}: {asking.name(folder, best)}; "
            )
            assert f"factor {best}, activation" in said
    # The first of the longest tokens, at the last layer.
    assert tab.inner_text(".cell-panel h2") == "“left” at layer 6"


def test_the_sum_is_written_out_with_its_rest(tab, url):
    asking.open_sentence(tab, url, token=1, layer=4, k=3)
    alpha = spoken.codes("left", 4)
    record = spoken.records(asking.TEXT)[3]["tokens"][1]
    order = (-alpha).argsort(kind="stable")
    text = tab.inner_text(".sum").replace("\u00a0", " ")
    assert text.startswith(f"x = {alpha[0]:#.3g} Φ0 ")
    n_active = int((alpha > 0).sum())
    assert text.endswith(f"+ {n_active - 4} more + ε")
    rows = tab.query_selector_all(".terms-table tbody tr")
    assert len(rows) == 5
    for row, factor in zip(rows, order, strict=False):
        if row.get_attribute("class") == "rest":
            break
        assert row.query_selector("th").inner_text() == f"Φ{factor}"
        assert row.query_selector("th a").get_attribute("href") == f"#/factor/{factor}"
        assert float(row.query_selector(".alpha").inner_text()) == pytest.approx(
            alpha[factor], rel=5e-3
        )
    shares = [_percent(row.query_selector(".share").inner_text()) for row in rows]
    # Two digits of each share are shown.
    assert sum(shares) == pytest.approx(1, abs=0.03)
    assert shares[4] == pytest.approx(record["residual_share"], rel=0.05)
    assert f"{n_active - 3} more factors" in rows[3].inner_text()
    facts = tab.inner_text(".facts")
    assert f"L0\n{n_active}" in facts
    assert "1.0e-6" in facts

    slider = tab.get_by_label("Strongest factors shown")
    assert slider.input_value() == "3"
    slider.focus()
    tab.keyboard.press("ArrowRight")
    assert len(tab.query_selector_all(".factor-row")) == 4
    assert "k=4" in tab.url


def _percent(text):
    return float(text.strip().removesuffix("%").strip()) / 100


def test_layers_are_painted_as_they_come(browser, folder):
    encoder = asking.Encoder()
    encoder.gate.clear()
    tab = browser.new_page()
    done = "document.querySelectorAll('.grid td:not(.waiting)').length == {}"
    with serving.running(folder, encoder) as port:
        tab.goto(f"{asking.at(port)}{asking.address(asking.TEXT)}")
        tab.wait_for_selector("td.waiting")
        for layers in (1, 2, 3, 4):
            encoder.free.release()
            browsing.wait_until(tab, done.format(5 * layers))
            chosen = tab.get_attribute("[aria-selected]", "data-layer")
            assert int(chosen) == spoken.LAYERS[layers - 1]
            if layers < 4:
                assert f"Layer {layers} of 4" in tab.inner_text(".progress")
        tab.close()


def test_a_cell_is_chosen_by_click_and_by_keys_and_kept_in_the_address(tab, url):
    asking.open_sentence(tab, url)
    tab.click("td[data-token='3'][data-layer='2']")
    tab.wait_for_selector("h2:has-text('“bank” at layer 2')")
    assert "token=3" in tab.url and "layer=2" in tab.url
    tab.reload()
    tab.wait_for_selector("h2:has-text('“bank” at layer 2')")
    tab.focus("td[data-token='3'][data-layer='2']")
    tab.keyboard.press("ArrowUp")
    tab.keyboard.press("ArrowRight")
    focused = "document.activeElement.getAttribute('aria-label')"
    assert tab.evaluate(focused).startswith("the, layer 4:")
    # One stop of Tab for the whole grid.
    assert len(tab.query_selector_all(".grid td[tabindex='0']")) == 1
    tab.keyboard.press("Enter")
    tab.wait_for_selector("h2:has-text('“the” at layer 4')")
    assert tab.evaluate(focused).startswith("the, layer 4:")
    tab.go_back()
    tab.wait_for_selector("h2:has-text('“bank” at layer 2')")
    tab.keyboard.press("Escape")
    tab.wait_for_selector(".list:not([hidden])")
    tab.go_back()
    tab.wait_for_selector("h2:has-text('“bank” at layer 2')")


def test_a_factor_is_lit_wherever_it_fires(tab, url):
    asking.open_sentence(tab, url)
    tab.hover("td[data-token='1'][data-layer='0']")
    lit = tab.query_selector_all("td.fires")
    # Factor 0 fires on "left" alone, at all layers.
    assert _strongest("left", 0) == 0
    assert {cell.get_attribute("data-token") for cell in lit} == {"1"}
    assert len(lit) == 4
    assert "fires in 4 cells" in tab.inner_text(".lit-note")
    tab.mouse.move(0, 0)
    assert tab.query_selector("td.fires") is None
    tab.get_by_label("Keep factor 0 lit in the grid").click()
    browsing.wait_until(tab, "document.querySelectorAll('td.fires').length == 4")
    assert "lit=0" in tab.url
    tab.reload()
    browsing.wait_until(tab, "document.querySelectorAll('td.fires').length == 4")
    tab.get_by_label("Keep factor 0 lit in the grid").click()
    tab.mouse.move(0, 0)
    browsing.wait_until(tab, "!document.querySelector('td.fires')")


def test_a_token_through_the_layers(tab, url):
    asking.open_sentence(tab, url, token=1)
    tab.wait_for_selector(".alphas polyline")
    tab.click("text=As a table")
    rows = [
        row.inner_text().split()
        for row in tab.query_selector_all(".detail .plain tr")[1:]
    ]
    assert len(rows) == 5
    for name, *values in rows:
        expected = [
            spoken.codes("left", layer)[int(name[1:])] for layer in (0, 2, 4, 6)
        ]
        assert [float(v) for v in values] == pytest.approx(expected, rel=5e-3)
    assert rows[0][0] == "Φ0"


def test_a_word_is_masked(tab, url):
    asking.open_sentence(tab, url, token=3, layer=4)
    tab.click("text=Mask “bank”")
    browsing.wait_until(tab, "document.querySelectorAll('.cell-panel').length == 2")
    titles = [h.inner_text() for h in tab.query_selector_all(".cell-panel h2")]
    assert titles == ["“bank” at layer 4", "“[MASK]” at layer 4"]
    assert "mask=3" in tab.url
    before, after = spoken.codes("bank", 4), spoken.codes("[MASK]", 4)
    line = tab.query_selector(".factor-row")
    factor = int(line.get_attribute("data-factor"))
    values = [float(c.inner_text()) for c in line.query_selector_all(".alpha")]
    assert values == pytest.approx([before[factor], after[factor]], rel=5e-3)
    tab.click("text=Stop masking")
    browsing.wait_until(tab, "document.querySelectorAll('.cell-panel').length == 1")


def test_what_cannot_be_encoded_is_said_and_tried_again(browser, url, encoder):
    tab = browser.new_page()
    tab.goto(f"{url}{asking.address('a long one')}")
    tab.wait_for_selector("[role=alert]")
    assert "at most 510 tokens" in tab.inner_text("[role=alert]")
    before = encoder.asked.count("a long one")
    tab.click("text=Try again")
    tab.wait_for_selector("[role=alert]")
    browsing.wait_until(tab, "!document.querySelector('.failure').hidden")
    assert encoder.asked.count("a long one") == before + 1
    tab.close()


def test_a_server_that_has_stopped_is_named(browser, folder):
    tab = browser.new_page()
    with serving.running(folder, asking.Encoder()) as port:
        asking.open_sentence(tab, asking.at(port))
    tab.evaluate(f"location.hash = '{asking.address('Another one.')}'")
    tab.wait_for_selector("[role=alert]")
    assert "tfvis view" in tab.inner_text("[role=alert]")
    tab.close()


@pytest.mark.parametrize("width", [360, 1440])
def test_any_text_is_shown_as_text(tab, url, evil, width):
    tab.set_viewport_size({"width": width, "height": 800})
    text = f"{evil} עברית 👩‍🔬 {'word' * 100} end"
    asking.open_sentence(tab, url, text=text)
    heads = [th.text_content() for th in tab.query_selector_all(".grid tbody th")]
    assert heads == spoken.tokens(text)
    assert tab.query_selector("main script, main img") is None
    assert tab.title() != "broken"
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_files_show_recorded_sentences_and_say_how_to_encode_others(page, folder):
    browsing.open_page(page, folder, "#/sentence")
    # The run is called as its folder, whatever that holds.
    assert "tfvis view 'A run for tests'" in page.inner_text(".intro .notice")
    assert page.get_by_label("Your sentence").is_disabled()
    page.click(f".intro a:has-text('{asking.TEXT}')")
    page.wait_for_selector("h2:has-text('“left” at layer 6')")
    assert page.query_selector("text=Mask “left”") is None
    assert len(page.query_selector_all(".grid td:not(.waiting)")) == 20
    browsing.open_page(page, folder, asking.address("Not recorded."))
    page.wait_for_selector("text=This sentence is not among the recorded ones.")
    assert page.query_selector(".grid") is None


def test_cells_of_a_lit_factor_show_its_activation(tab, url, folder):
    alpha = spoken.codes("bank", 4)
    # One that fires there and is not the strongest.
    factor = int(np.argsort(-alpha)[1])
    tokens = spoken.tokens(asking.TEXT)
    asking.open_sentence(tab, url, token=3, layer=4, lit=factor)
    firing = {
        (word, layer): spoken.codes(word, layer)[factor]
        for word in tokens
        for layer in spoken.LAYERS
        if spoken.codes(word, layer)[factor] > 0
    }
    most = max(firing.values())

    def shown():
        return {
            (tokens[int(cell.get_attribute("data-token"))], int(layer)): (
                float(cell.inner_text()),
                float(cell.evaluate("e => e.style.getPropertyValue('--strength')")),
            )
            for cell in tab.query_selector_all("td.fires")
            if (layer := cell.get_attribute("data-layer"))
        }

    found = shown()
    assert found.keys() == firing.keys()
    for key, value in firing.items():
        assert found[key][0] == pytest.approx(value, rel=0.06)
        assert found[key][1] == pytest.approx(max(0.06, value / most), abs=2e-3)
    tab.hover("td[data-token='1'][data-layer='0']")
    assert shown() == found
    assert "which show its α" in tab.inner_text(".lit-note")
    # Without a lit factor, the cell that is pointed at keeps its words.
    tab.click("text=Stop keeping it lit")
    browsing.wait_until(tab, "!document.querySelector('td.fires')")
    tab.mouse.move(0, 0)
    cells = "[...document.querySelectorAll('.grid td')].map((e) => e.offsetTop)"
    before = tab.evaluate(cells)
    tab.hover("td[data-token='1'][data-layer='0']")
    assert tab.inner_text("td[data-token='1'][data-layer='0']") == asking.name(
        folder, 0
    )
    assert float(tab.inner_text("td[data-token='1'][data-layer='2']")) == 0.9
    assert tab.evaluate(cells) == before
    assert tab.is_visible("th:text-is('Keep lit')")


def test_bars_of_shares_stand_below_each_other(tab, url):
    asking.open_sentence(tab, url, token=1, layer=4)
    starts = {m.bounding_box()["x"] for m in tab.query_selector_all(".meter")}
    assert len(starts) == 1
    # ε has one number, and the other one is said on demand.
    assert "‖ε‖" not in tab.inner_text(".cell-panel")
    assert tab.get_attribute(".rest [title]", "title").startswith("‖ε‖ / ‖x‖ = ")


def test_marks_among_words_are_quoted(browser, make_site, tmp_path):
    folder = tmp_path / "site"
    bundle.write(folder, make_site(words=lambda factor: [[(",", 3), ("rare", 1)]] * 4))
    page = browser.new_page()
    browsing.open_page(page, folder, asking.address(asking.TEXT, token=1))
    page.wait_for_selector(".cell-panel")
    said = page.inner_text(".factor-row .names >> nth=0")
    assert said.split(", ")[0] == "‘,’"
    page.close()


def test_a_search_for_a_sentence_leads_to_its_page(tab, url):
    asked = "She left town & never came back"
    tab.goto(f"{url}#/?q={urllib.parse.quote(asked)}")
    notice = tab.locator(".notice[role=status]")
    notice.get_by_role("link", name="see it as a sentence").click()
    tab.wait_for_selector(".cell-panel")
    assert tab.input_value("#page-text") == asked
    # One word that no factor has is no sentence.
    tab.goto(f"{url}#/?q=zebra")
    browsing.wait_until(tab, lambda: "No factors match" in notice.inner_text())
    assert notice.get_by_role("link").count() == 0
