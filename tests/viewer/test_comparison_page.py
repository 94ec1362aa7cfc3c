"""Two sentences side by side in a real browser: what differs between their tokens."""

import csv
import io

import numpy as np
import pytest

from tfvis_jax.viewer import bundle
from viewer import asking, browsing, serving, spoken


@pytest.fixture(scope="module")
def url(folder):
    encoder = asking.Encoder()
    with serving.running(folder, encoder) as port:
        yield asking.at(port)


@pytest.fixture
def tab(browser, url):
    with browsing.watched(browser, url) as tab:
        yield tab


def test_two_sentences_are_compared_on_aligned_tokens(tab, url):
    asking.open_sentence(tab, url, **{"with": asking.OTHER}, token=1, layer=6)
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


def _compare(tab, url, **params):
    asking.open_sentence(tab, url, **({"with": asking.OTHER} | params))
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
    for part in ("“He”", asking.TEXT, "“They”", asking.OTHER, "layer 4"):
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
    name, content = asking.saved(tab, menu, "Differences as CSV")
    assert name.endswith("difference-He-left-the-bank-They-sat-on-the-left-layer-4.csv")
    lines = list(csv.DictReader(io.StringIO(content.decode())))
    assert [int(line["factor"]) for line in lines] == order
    assert float(lines[0]["difference"]) == pytest.approx(
        one[order[0]] - two[order[0]], rel=5e-3
    )
    _, content = asking.saved(tab, menu, "Differences as SVG")
    for part in ("“He”", asking.TEXT, "“They”", asking.OTHER, "layer 4"):
        assert part in content.decode()


class _Contextual(asking.Encoder):
    """Codes of "bank" at layer 2, and of "the" at layer 4, depend on the sentence."""

    def encode(self, text, *, masked):
        head, *layers = super().encode(text, masked=masked)
        yield head
        swapped = text.replace("bank", "shore").replace("the", "shore")
        other = spoken.records(swapped, masked=masked)[1:]
        for record, changed in zip(layers, other, strict=True):
            for i, token in enumerate(head["tokens"]):
                at = (token, record["layer"])
                if "river" in text and at in (("bank", 2), ("the", 4)):
                    record["tokens"][i] = changed["tokens"][i]
            yield record


def test_a_comparison_opens_on_what_differs_most_and_links_win(browser, folder):
    assert _apart(spoken.codes("bank", 2), spoken.codes("shore", 2)) > 0.1
    tab = browser.new_page()
    with serving.running(folder, _Contextual()) as port:

        def titles():
            return [h.inner_text() for h in tab.query_selector_all(".cell-panel h2")]

        _compare(tab, asking.at(port))
        browsing.wait_for(tab, titles, ["“bank” at layer 2"] * 2)
        _compare(tab, asking.at(port), token=1, layer=6)
        browsing.wait_for(tab, titles, ["“left” at layer 6"] * 2)
        # The layer that is named stays.
        _compare(tab, asking.at(port), token=3, layer=4)
        browsing.wait_for(tab, titles, ["“bank” at layer 4"] * 2)
        _compare(tab, asking.at(port), token=3)
        browsing.wait_for(tab, titles, ["“bank” at layer 2"] * 2)
        # The article differs more, and says less.
        assert _apart(spoken.codes("the", 4), spoken.codes("shore", 4)) > _apart(
            spoken.codes("bank", 2), spoken.codes("shore", 2)
        )
        _compare(tab, asking.at(port), **{"with": "He left the bank of the river."})
        browsing.wait_for(tab, titles, ["“bank” at layer 2"] * 2)
        _compare(
            tab, asking.at(port), text="He saw the man.", **{"with": "Near the river."}
        )
        browsing.wait_for(tab, titles, ["“the” at layer 4"] * 2)
        # Of long words none differs.
        near = "He left near the river."
        _compare(tab, asking.at(port), text="He left the man.", **{"with": near})
        browsing.wait_for(tab, titles, ["“the” at layer 4"] * 2)
        # There is no such token in the second sentence.
        _compare(tab, asking.at(port), token2=99)
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


def test_files_offer_comparisons_and_nothing_that_must_run(page, make_site, tmp_path):
    folder = tmp_path / "site"
    texts = (asking.TEXT, asking.OTHER, "The end.")
    bundle.write(folder, make_site(sentences=[spoken.records(t) for t in texts]))
    for address, place in (("#/", "section.try, .list"), ("#/sentence", ".intro")):
        browsing.open_page(page, folder, address)
        links = page.locator(f"{place} >> .example-sentences a").all_inner_texts()
        assert [link for link in links if "compared" in link] == [
            f"{asking.TEXT} compared with {asking.OTHER}"
        ]
    page.click(".intro a:has-text('compared with')")
    page.wait_for_selector(".pair-table")
    assert page.query_selector("text=Remove or add a factor") is None


def test_files_of_a_comparison_name_their_sentences(tab, url):
    _compare(tab, url, token=1, layer=4)
    stems = []
    for place, text in enumerate((asking.TEXT, asking.OTHER)):
        for panel, button in (
            (".cell-panel", "Sum"),
            ("section:has(.alphas)", "Curves"),
        ):
            menu = tab.locator(f".detail >> {panel}").nth(place).locator(".take")
            menu.locator("summary").click()
            name, content = asking.saved(tab, menu, f"{button} as SVG")
            stems.append(name)
            assert "-".join(text.split()[:4]).strip(".") in name and "left" in name
            drawing = content.decode()
            title = drawing[drawing.index("<title>") : drawing.index("</title>")]
            assert text in title and "“left” at layer" in title
            assert drawing.count(text) > 1
            tab.keyboard.press("Escape")
    assert len(set(stems)) == 4
