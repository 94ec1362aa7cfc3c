"""The page of a sentence in a real browser, served with an encoder, and from files."""

import csv
import io
import pathlib
import threading
import urllib.parse

import numpy as np
import pytest

from tfvis_jax import errors
from tfvis_jax.viewer import bundle
from viewer import browsing, serving, spoken

TEXT = "He left the bank."
OTHER = "They sat on the left bank of the river."


class _Encoder:
    """Answers with made-up codes; stops before each layer while ``gate`` is closed."""

    def __init__(self):
        self.gate = threading.Event()
        self.gate.set()
        self.free = threading.Semaphore(0)
        self.asked = []

    def release(self):
        self.gate.set()
        self.free.release(50)

    def warm_up(self):
        yield

    def encode(self, text, *, masked):
        self.asked.append(text)
        if not spoken.tokens(text):
            raise errors.InputError("Expected a text with at least one word, got none.")
        if "long" in text:
            raise errors.InputError("Expected a text of at most 510 tokens, got 600.")
        for record in spoken.records(text, masked=masked):
            if "layer" in record and not self.gate.is_set():
                assert self.free.acquire(timeout=120)
            yield record


@pytest.fixture(scope="module")
def encoder():
    return _Encoder()


@pytest.fixture(scope="module")
def url(folder, encoder):
    with serving.running(folder, encoder) as port:
        yield _at(port)


def _at(port):
    return f"http://127.0.0.1:{port}/"


@pytest.fixture
def tab(browser, url):
    """A tab; the test fails if it asks another server or logs to the console."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    requests, complaints = [], []
    tab.on("request", lambda request: requests.append(request.url))
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    yield tab
    context.close()
    assert [asked for asked in requests if not asked.startswith(url)] == []
    assert complaints == []


def _address(text, **params):
    return f"#/sentence?{urllib.parse.urlencode({'text': text, **params})}"


def _open(tab, url, text=TEXT, **params):
    tab.goto("about:blank")
    tab.goto(f"{url}{_address(text, **params)}")
    tab.wait_for_selector("html[data-ready]")
    tab.wait_for_selector(".cell-panel")
    browsing.wait_until(tab, "!document.querySelector('td.waiting')")


def _strongest(word, layer):
    return int(spoken.codes(word, layer).argmax())


def _name(folder, factor):
    index = bundle.read(folder, "data/index")
    words = [index["vocabulary"][place] for place, _ in index["words"][factor][:2]]
    return ", ".join(words) or f"factor {factor}"


def test_the_field_of_the_home_page_leads_to_words_by_token_and_layer(tab, url, folder):
    tab.goto(url)
    tab.wait_for_selector("html[data-ready]")
    tab.get_by_label("Try your own sentence").get_by_role("textbox").fill(TEXT)
    tab.keyboard.press("Enter")
    browsing.wait_until(
        tab, "document.querySelectorAll('.grid td:not(.waiting)').length == 20"
    )
    assert tab.url.endswith(_address(TEXT))
    rows = tab.query_selector_all(".grid tbody tr")
    assert [row.query_selector("th").inner_text() for row in rows] == [
        *("He", "left", "the", "bank", ".")
    ]
    heads = [head.inner_text() for head in tab.query_selector_all(".grid thead th")]
    assert heads == ["Token", "Layer 0", "Layer 2", "Layer 4", "Layer 6"]
    for word, row in zip(spoken.tokens(TEXT), rows, strict=True):
        for layer, cell in zip(
            spoken.LAYERS, row.query_selector_all("td"), strict=True
        ):
            best = _strongest(word, layer)
            assert cell.inner_text() == _name(folder, best)
            said = cell.get_attribute("aria-label")
            assert said.startswith(f"{word}, layer {layer}: {_name(folder, best)}; ")
            assert f"factor {best}, activation" in said
    # The first of the longest tokens, at the last layer.
    assert tab.inner_text(".cell-panel h2") == "“left” at layer 6"


def test_the_sum_is_written_out_with_its_rest(tab, url):
    _open(tab, url, token=1, layer=4, k=3)
    alpha = spoken.codes("left", 4)
    record = spoken.records(TEXT)[3]["tokens"][1]
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
    encoder = _Encoder()
    encoder.gate.clear()
    tab = browser.new_page()
    done = "document.querySelectorAll('.grid td:not(.waiting)').length == {}"
    with serving.running(folder, encoder) as port:
        tab.goto(f"{_at(port)}{_address(TEXT)}")
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
    _open(tab, url)
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
    _open(tab, url)
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
    _open(tab, url, token=1)
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


def test_two_sentences_are_compared_on_aligned_tokens(tab, url):
    _open(tab, url, **{"with": OTHER}, token=1, layer=6)
    browsing.wait_until(tab, "document.querySelectorAll('.cell-panel').length == 2")
    titles = [h.inner_text() for h in tab.query_selector_all(".cell-panel h2")]
    assert titles == ["“left” at layer 6", "“left” at layer 6"]
    chosen = tab.query_selector_all("[aria-selected]")
    assert [cell.get_attribute("data-token") for cell in chosen] == ["1", "4"]
    # The same word has the same made-up codes in both.
    line = tab.query_selector(".factor-row")
    values = [cell.inner_text() for cell in line.query_selector_all(".alpha")]
    assert values == ["1.30", "1.30"]
    # "He" has no partner; one can be chosen by hand.
    tab.click("td[data-token='0'][data-layer='6'] >> nth=0")
    tab.wait_for_selector("text=No token of the second sentence")
    tab.click(".sentence-block >> nth=1 >> td[data-token='0'][data-layer='6']")
    browsing.wait_until(tab, "document.querySelectorAll('.cell-panel').length == 2")
    titles = [h.inner_text() for h in tab.query_selector_all(".cell-panel h2")]
    assert titles == ["“He” at layer 6", "“They” at layer 6"]


def test_a_word_is_masked(tab, url):
    _open(tab, url, token=3, layer=4)
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
    tab.goto(f"{url}{_address('a long one')}")
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
    with serving.running(folder, _Encoder()) as port:
        _open(tab, _at(port))
    tab.evaluate(f"location.hash = '{_address('Another one.')}'")
    tab.wait_for_selector("[role=alert]")
    assert "tfvis view" in tab.inner_text("[role=alert]")
    tab.close()


@pytest.mark.parametrize("width", [360, 1440])
def test_any_text_is_shown_as_text(tab, url, evil, width):
    tab.set_viewport_size({"width": width, "height": 800})
    text = f"{evil} עברית 👩‍🔬 {'word' * 100} end"
    _open(tab, url, text=text)
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
    page.click(f".intro a:has-text('{TEXT}')")
    page.wait_for_selector("h2:has-text('“left” at layer 6')")
    assert page.query_selector("text=Mask “left”") is None
    assert len(page.query_selector_all(".grid td:not(.waiting)")) == 20
    browsing.open_page(page, folder, _address("Not recorded."))
    page.wait_for_selector("text=This sentence is not among the recorded ones.")
    assert page.query_selector(".grid") is None


def _compare(tab, url, **params):
    _open(tab, url, **{"with": OTHER}, **params)
    tab.wait_for_selector(".pair-table")
    browsing.wait_until(tab, "document.querySelectorAll('.cell-panel').length == 2")


def _apart(one, two):
    return np.abs(one - two).sum() / (one + two).sum()


def test_what_differs_is_a_table_under_the_grids(tab, url):
    # "He" and "They" do not share a code.
    _compare(tab, url, token=0, token2=0, layer=4)
    one, two = spoken.codes("He", 4), spoken.codes("They", 4)
    fires = np.flatnonzero(one + two)
    order = sorted(fires, key=lambda f: -abs(one[f] - two[f]))
    assert len(order) > 10
    tops = [
        tab.locator(s).first.bounding_box()["y"]
        for s in (".sentence-block >> nth=1", ".pair-table", ".cell-panel")
    ]
    assert tops == sorted(tops)
    said = tab.inner_text(".pair-table caption")
    for part in ("“He”", TEXT, "“They”", OTHER, "layer 4"):
        assert part in said

    def rows():
        return tab.locator(".pair-table tbody tr").all()

    assert len(rows()) == 10
    tab.click(f"text=All {len(order)}")
    assert len(rows()) == len(order)
    longest = 0
    for row, factor in zip(rows(), order, strict=True):
        assert row.locator("th").inner_text() == f"Φ{factor}"
        values = [float(v) for v in row.locator(".alpha").all_inner_texts()]
        assert values == pytest.approx([one[factor], two[factor]], rel=5e-3)
        bar, cell = row.locator(".bar").bounding_box(), row.locator(".lean")
        cell = cell.bounding_box()
        middle = cell["x"] + cell["width"] / 2
        # It leads from the middle to the side of the larger.
        near = bar["x"] + bar["width"] if one[factor] > two[factor] else bar["x"]
        assert near == pytest.approx(middle, abs=1)
        longest = max(longest, bar["width"])
        share = abs(one[factor] - two[factor]) / abs(one[order[0]] - two[order[0]])
        assert bar["width"] == pytest.approx(share * cell["width"] / 2, abs=1)
    assert longest > 50
    menu = tab.locator("details.take:has(summary[aria-label*='differences'])")
    menu.locator("summary").click()
    name, content = _saved(tab, menu, "Differences as CSV")
    assert name.endswith("difference-He-left-the-bank-They-sat-on-the-left-layer-4.csv")
    lines = list(csv.DictReader(io.StringIO(content.decode())))
    assert [int(line["factor"]) for line in lines] == order
    assert float(lines[0]["difference"]) == pytest.approx(
        one[order[0]] - two[order[0]], rel=5e-3
    )
    _, content = _saved(tab, menu, "Differences as SVG")
    for part in ("“He”", TEXT, "“They”", OTHER, "layer 4"):
        assert part in content.decode()


def _saved(tab, menu, name):
    with tab.expect_download() as download:
        menu.get_by_role("button", name=name, exact=True).click()
    found = download.value
    return found.suggested_filename, pathlib.Path(found.path()).read_bytes()


class _Contextual(_Encoder):
    """Codes of "bank" depend on the sentence, most at layer 2, those of "left" less."""

    def encode(self, text, *, masked):
        head, *layers = super().encode(text, masked=masked)
        yield head
        other = spoken.records(text.replace("bank", "shore"), masked=masked)[1:]
        for record, changed in zip(layers, other, strict=True):
            for i, token in enumerate(head["tokens"]):
                if token == "bank" and "river" in text and record["layer"] == 2:
                    record["tokens"][i] = changed["tokens"][i]
            yield record


def test_a_comparison_opens_on_what_differs_most_and_links_win(browser, folder):
    assert _apart(spoken.codes("bank", 2), spoken.codes("shore", 2)) > 0.1
    tab = browser.new_page()
    with serving.running(folder, _Contextual()) as port:

        def titles():
            return [h.inner_text() for h in tab.query_selector_all(".cell-panel h2")]

        _compare(tab, _at(port))
        browsing.wait_for(tab, titles, ["“bank” at layer 2"] * 2)
        _compare(tab, _at(port), token=1, layer=6)
        browsing.wait_for(tab, titles, ["“left” at layer 6"] * 2)
        # The layer that is named stays.
        _compare(tab, _at(port), token=3, layer=4)
        browsing.wait_for(tab, titles, ["“bank” at layer 4"] * 2)
        _compare(tab, _at(port), token=3)
        browsing.wait_for(tab, titles, ["“bank” at layer 2"] * 2)
        # There is no such token in the second sentence.
        _compare(tab, _at(port), token2=99)
        browsing.wait_for(tab, titles, ["“bank” at layer 2"] * 2)
        # Another token there leaves the one here, which no link has named.
        tab.click(".sentence-block >> nth=1 >> td[data-token='0'][data-layer='2']")
        browsing.wait_for(tab, titles, ["“bank” at layer 2", "“They” at layer 2"])
        tab.close()


def test_both_curves_have_the_same_factors_colours_and_scale(tab, url):
    tab.set_viewport_size({"width": 1440, "height": 900})
    _compare(tab, url, token=0, token2=0, layer=4)
    one, two = tab.locator(".details section:has(.alphas)").all()
    assert len(set(one.locator(".phi").all_inner_texts())) == 5
    for what in (".series-list li", "svg.alphas text"):
        found = one.locator(what).all_text_contents()
        assert found and found == two.locator(what).all_text_contents()
    assert one.bounding_box()["y"] == two.bounding_box()["y"]
    largest = max(
        spoken.codes(word, layer).max()
        for word in ("He", "They")
        for layer in spoken.LAYERS
    )
    assert f"{largest:#.3g}" in one.locator("svg.alphas text").all_text_contents()


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_a_click_brings_the_answer_into_view_and_a_link_does_not(tab, url, motion):
    tab.emulate_media(reduced_motion=motion)
    tab.set_viewport_size({"width": 1440, "height": 900})
    _compare(tab, url, token=1, layer=4)
    assert tab.evaluate("scrollY") == 0
    hint, grid = (tab.locator(s).first.bounding_box() for s in (".hint", ".grid"))
    assert hint["y"] < grid["y"]
    tab.click("td[data-token='3'][data-layer='4'] >> nth=0")
    tab.wait_for_selector("h2:has-text('What differs: “bank” at layer 4')")
    row = "document.querySelectorAll('.pair-table tbody tr')[4].getBoundingClientRect()"
    if motion == "reduce":
        browsing.wait_until(tab, "scrollY > 0")
    browsing.wait_until(tab, f"{row}.bottom <= innerHeight && {row}.top > 0")
    # The same cell again: nothing in the address changes.
    tab.evaluate("scrollTo(0, 0)")
    tab.focus("td[data-token='3'][data-layer='4'] >> nth=0")
    tab.keyboard.press("Enter")
    browsing.wait_until(tab, f"{row}.bottom <= innerHeight && {row}.top > 0")
    focused = "document.activeElement.getAttribute('aria-label')"
    assert tab.evaluate(focused).startswith("bank, layer 4:")


def test_cells_of_a_lit_factor_show_its_activation(tab, url, folder):
    alpha = spoken.codes("bank", 4)
    # One that fires there and is not the strongest.
    factor = int(np.argsort(-alpha)[1])
    tokens = spoken.tokens(TEXT)
    _open(tab, url, token=3, layer=4, lit=factor)
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
    assert tab.inner_text("td[data-token='1'][data-layer='0']") == _name(folder, 0)
    assert float(tab.inner_text("td[data-token='1'][data-layer='2']")) == 0.9
    assert tab.evaluate(cells) == before
    assert tab.is_visible("th:text-is('Keep lit')")


def test_files_offer_comparisons_and_nothing_that_must_run(page, make_site, tmp_path):
    folder = tmp_path / "site"
    texts = (TEXT, OTHER, "The end.")
    bundle.write(folder, make_site(sentences=[spoken.records(t) for t in texts]))
    for address, place in (("#/", "section.try, .list"), ("#/sentence", ".intro")):
        browsing.open_page(page, folder, address)
        links = page.locator(f"{place} >> .example-sentences a").all_inner_texts()
        assert [link for link in links if "compared" in link] == [
            f"{TEXT} compared with {OTHER}"
        ]
    page.click(".intro a:has-text('compared with')")
    page.wait_for_selector(".pair-table")
    assert page.query_selector("text=Remove or add a factor") is None


def test_bars_of_shares_stand_below_each_other(tab, url):
    _open(tab, url, token=1, layer=4)
    starts = {m.bounding_box()["x"] for m in tab.query_selector_all(".meter")}
    assert len(starts) == 1
    # ε has one number, and the other one is said on demand.
    assert "‖ε‖" not in tab.inner_text(".cell-panel")
    assert tab.get_attribute(".rest [title]", "title").startswith("‖ε‖ / ‖x‖ = ")


def test_marks_among_words_are_quoted(browser, make_site, tmp_path):
    folder = tmp_path / "site"
    bundle.write(folder, make_site(words=lambda factor: [[(",", 3), ("rare", 1)]] * 4))
    page = browser.new_page()
    browsing.open_page(page, folder, _address(TEXT, token=1))
    page.wait_for_selector(".cell-panel")
    said = page.inner_text(".factor-row .names >> nth=0")
    assert said.split(", ")[0] == "‘,’"
    page.close()


def test_files_of_a_comparison_name_their_sentences(tab, url):
    _compare(tab, url, token=1, layer=4)
    stems = []
    for place, text in enumerate((TEXT, OTHER)):
        for panel, button in (
            (".cell-panel", "Sum"),
            ("section:has(.alphas)", "Curves"),
        ):
            menu = tab.locator(f".detail >> {panel}").nth(place).locator(".take")
            menu.locator("summary").click()
            name, content = _saved(tab, menu, f"{button} as SVG")
            stems.append(name)
            assert "-".join(text.split()[:4]).strip(".") in name and "left" in name
            drawing = content.decode()
            title = drawing[drawing.index("<title>") : drawing.index("</title>")]
            assert text in title and "“left” at layer" in title
            assert drawing.count(text) > 1
            tab.keyboard.press("Escape")
    assert len(set(stems)) == 4
