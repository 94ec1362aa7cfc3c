"""The firings of a factor on its page: bands, histogram, whole passages, levels."""

import dataclasses

import pytest

from tfvis_jax import errors
from tfvis_jax.viewer import bundle, site
from viewer import browsing

_WHOLE = "Long before 👩‍🔬 that day, they left quickly and never came back."
_WORD = _WHOLE.index("left")


def _context(activation, *, word="left", before="they ", **more):
    start = _WHOLE.index(word)
    return site.Context(
        before=before,
        word=word,
        after=_WHOLE[start + len(word) : _WHOLE.index(" and")],
        activation=activation,
        document="Travels",
        window=130,
        start=start,
        **more,
    )


def _firings(place):
    if place == 3:
        return site.Firings()
    came = _WHOLE.index("came") - _WORD
    quickly = _WHOLE.index("quickly") - _WORD
    others = [(-5, 4, 2.0), (quickly, 7, 15.0), (came, 4, 7.5)]
    return site.Firings(
        upper=[_context(5.0, others=others)],
        middle=[_context(3.0, copies=2)],
        random=[_context(1.0), _context(0.5, word="never", before="and ")],
        histogram=[0, 2, 4, 3, 1, 0],
        quantiles=(2.5, 4.5, 8.0),
        documents=1,
        strongest=20,
        words={"bank": (3.0, 4.0), "zebra": (1.0, 12.0)},
    )


@pytest.fixture(scope="module")
def fired(tmp_path_factory, make_site):
    folder = tmp_path_factory.mktemp("fired") / "site"
    data = make_site(
        firings=lambda factor: [_firings(place) for place in range(4)],
        histogram_edges=[0, 1, 2, 4, 8, 16, float("inf")],
        window_text=lambda number: f"{_WHOLE}" if number == 130 else "",
        level_scores=[0.75] * 40,
    )
    bundle.write(folder, data)
    return folder


def test_the_files_hold_the_firings(fired, make_site):
    factor = bundle.read(fired, "data/factors/00000")["factors"][13]
    at = factor["firings"][2]
    assert at["histogram"] == [1, 2, 4, 3, 1]
    assert at["quantiles"] == [2.5, 4.5, 8]
    assert at["documents"] == [1, 20]
    listed = {word for word, _ in factor["words"]}
    assert "bank" in listed and "zebra" not in listed
    assert at["explained"] == [0.75, 0.25]
    assert [len(band) for band in at["bands"]] == [1, 1, 2]
    assert factor["firings"][3]["explained"] is None
    assert bundle.read(fired, "data/windows/00002") == {"windows": [[130, _WHOLE]]}
    peaks = make_site().importance.argmax(axis=0)
    narrow = bundle.read(fired, "data/manifest")["counts"]["narrow"]
    assert narrow == (peaks != 3).sum()


def test_shares_are_of_the_total_where_it_is_given():
    words = {"bank": (3.0, 4.0), "left": (1.0, 2.0)}
    # A word that is listed twice, in two spellings, counts once.
    listed = ["Bank", "bank", "unheard"]
    assert site.Firings(words=words).explained(listed) == (0.75, pytest.approx(2 / 3))
    assert site.Firings(words=words, total=(6.0, 8.0)).explained(listed) == (0.5, 0.5)
    assert site.Firings(words=words, total=(0.0, 0.0)).explained(listed) is None


def test_firings_of_other_layers_are_refused(tmp_path, make_site):
    data = make_site(firings=lambda factor: [_firings(0)])
    with pytest.raises(errors.InputError, match="4 layers"):
        bundle.write(tmp_path / "site", data)


def test_bands_switch_and_are_in_the_address(page, fired):
    browsing.open_page(page, fired, "#/factor/13")
    chosen = ".bands [aria-pressed=true]"
    assert page.inner_text(chosen) == "Top"
    # Twenty contexts of layer 4 reach down to α = 15 / (1 + 19 / 30) = 9.18.
    marked = "rects => rects.map(r => r.classList.contains('peak'))"
    bars = ".histogram rect"
    assert page.eval_on_selector_all(bars, marked) == [False, False, False, True]
    for name, band, values, bins in (
        ("90–99 %", "upper", ["5.00"], [False, False, True, False]),
        ("50–90 %", "middle", ["3.00"], [False, True, True, False]),
        ("Random", "random", ["1.00", "0.500"], [True] * 4),
    ):
        page.click(f".bands button:text-is('{name}')")
        page.wait_for_selector(f"{chosen}[data-band={band}]")
        shown = [
            value.inner_text() for value in page.query_selector_all(".context .value")
        ]
        assert shown == values
        assert f"band={band}" in page.url
        assert page.eval_on_selector_all(bars, marked) == bins
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert page.inner_text(chosen) == "Random"
    assert page.inner_text("#contexts-title").startswith("Random examples")
    # Files say of which band they are.
    menu = page.locator("details.take:has(summary[aria-label='Save examples'])")
    menu.locator("summary").click()
    with page.expect_download() as download:
        menu.get_by_role("button", name="Examples as CSV").click()
    name = "A-run-for-tests-factor-13-layer-4-random.csv"
    assert download.value.suggested_filename == name
    page.keyboard.press("Escape")
    page.locator("main").focus()
    # Another layer shows the same band; Back returns to the one before.
    page.keyboard.press("[")
    page.wait_for_selector("#contexts-title:has-text('Random'):has-text('layer 2')")
    page.go_back()
    page.go_back()
    page.wait_for_selector(f"{chosen}[data-band=middle]")
    assert "+2 like it" in page.inner_text(".context .source")
    page.evaluate("location.hash = '#/factor/13?layer=6&band=upper'")
    page.wait_for_selector("text=The run has no example of this band at layer 6.")
    assert page.query_selector(".histogram") is None


def test_what_all_firings_are_like_is_said(page, fired):
    browsing.open_page(page, fired, "#/factor/13")
    text = page.inner_text(".facts-text")
    assert "fires on 10 tokens: half of them with α below 2.5" in text
    assert "account for 75 % of these tokens and 25 % of their α" in text
    assert "20 strongest tokens come from one document" in text
    spoken = page.get_attribute(".histogram", "aria-label")
    assert spoken.endswith("1: 2, 2: 4, 4: 3, 8: 1")


def test_other_words_are_shaded_and_the_passage_expands(page, fired):
    browsing.open_page(page, fired, "#/factor/13?band=upper")

    def shaded():
        return page.eval_on_selector_all(
            ".context .also",
            "all => all.map(w => "
            "[w.textContent, w.style.getPropertyValue('--strength')])",
        )

    # Relative to the factor's maximum, 15.
    assert shaded() == [["they", "0.133"], ["quickly", "1.000"]]
    widen = page.get_by_role("button", name="Whole passage around left")
    assert widen.get_attribute("aria-expanded") == "false"
    widen.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".wide-context")
    assert page.text_content(".context .text") == _WHOLE
    assert shaded() == [["they", "0.133"], ["quickly", "1.000"], ["came", "0.500"]]
    assert widen.get_attribute("aria-expanded") == "true"
    widen.click()
    page.wait_for_selector(".context:not(.wide-context)")
    assert page.text_content(".context .text") == "they left quickly"


def test_a_missing_passage_is_named(browser, tmp_path, make_site):
    data = make_site(firings=lambda factor: [_firings(place) for place in range(4)])
    bundle.write(tmp_path / "site", dataclasses.replace(data, histogram_edges=[0] * 7))
    (tmp_path / "site/data/windows/00002.js").unlink()
    page = browser.new_page()
    browsing.open_page(page, tmp_path / "site", "#/factor/13?band=upper")
    page.click(".widen")
    page.wait_for_selector("[role=alert]")
    assert "data/windows/00002.js" in page.inner_text("[role=alert]")
    page.close()


def test_measured_levels_have_a_probability_and_others_are_guesses(page, fired, folder):
    browsing.open_page(page, fired, "#/factor/13")
    assert page.inner_text("h1 .level").split() == ["▲", "mid", "0.750"]
    page.goto("about:blank")
    browsing.open_page(page, folder, "#/factor/13")
    assert page.inner_text("h1 .level").split() == ["▲", "mid", "guess"]
    browsing.open_page(page, folder)
    kinds = [cell.inner_text() for cell in page.query_selector_all(".rows .kind")[:4]]
    assert [kind.split()[-1] for kind in kinds] == [
        "guess",
        "guess",
        "guess",
        "unclear",
    ]


@pytest.mark.parametrize("width", [360, 1024, 1440])
def test_nothing_sticks_out(browser, fired, width):
    page = browser.new_page(viewport={"width": width, "height": 768})
    for query in ("band=random", "band=upper"):
        browsing.open_page(page, fired, f"#/factor/13?{query}")
        page.click(".widen >> nth=0")
        page.wait_for_selector(".wide-context")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()
