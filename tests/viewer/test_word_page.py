"""The pages of words: their files against plain sums, and what a browser shows."""

import collections
import shutil
import urllib.parse

import numpy as np
import pytest

import tfvis_jax
from tfvis_jax import cli, pipeline
from tfvis_jax.data import words as words_lib
from tfvis_jax.viewer import bundle, word_pages
from viewer import browsing, serving, wordy
from viewer.wordy import EVIL, OCCURRENCES, WORDS


def _entry(folder, word):
    folded = words_lib.fold(word)
    shard = word_pages.shard_of(folded)
    found = bundle.read(folder, f"data/words/{shard:02x}")["words"]
    return next((entry for entry in found if entry["folded"] == folded), None)


def _expected(number):
    """Returns by factor and layer: mean α, share of occurrences, share of factor."""
    found = {}
    for factor in range(40):
        for layer, at in enumerate(wordy.firings(factor)):
            for place in np.flatnonzero(at.word == number):
                found[factor, layer] = (
                    at.mass[place] / at.firings[place],
                    at.firings[place] / OCCURRENCES[number],
                    at.own[place],
                )
    return found


@pytest.mark.parametrize("number", range(8))
def test_the_files_hold_the_strongest_factors_of_a_word(worded, number):
    entry = _entry(worded, WORDS[number])
    expected = _expected(number)
    assert entry["spelling"] == words_lib.composed(WORDS[number])
    assert entry["occurrences"] == OCCURRENCES[number]
    shown = [row[0] for row in entry["factors"]]
    strength = collections.defaultdict(float)
    for (factor, _), (mean, share, _) in expected.items():
        strength[factor] = max(strength[factor], mean * share)
    assert shown == sorted(shown, key=lambda factor: -strength[factor])
    # The strongest one of all is there, and so is the strongest one of each layer.
    assert shown[0] == max(strength, key=strength.get)
    rare = OCCURRENCES[number] < 10
    assert 0 < len(shown) <= (8 if rare else 12)
    if not rare:
        for layer in range(4):
            here = {f: m * s for (f, at), (m, s, _) in expected.items() if at == layer}
            best = max(here, key=here.get)
            assert best in shown or strength[best] < 0.1 * strength[shown[0]]
    for factor, layer, alpha, place, *columns in entry["factors"]:
        # The example is the strongest of all layers.
        there = [at for at in wordy.firings(factor) if number in at.word]
        assert alpha == pytest.approx(
            max(at.alpha[at.word == number].max() for at in there), rel=5e-3
        )
        for at in range(4):
            got = [column[at] for column in columns]
            if (factor, at) not in expected:
                assert got == [None] * 3
                continue
            # Two digits of the mean, three decimals of the shares.
            assert got[0] == pytest.approx(expected[factor, at][0], rel=0.051)
            assert got[1:] == pytest.approx(expected[factor, at][1:], abs=5.1e-4)
        here = wordy.firings(factor)[layer]
        [own] = np.flatnonzero(here.word == number)
        assert alpha == pytest.approx(here.alpha[own], rel=5e-3)
        window = 10 * factor + layer
        assert entry["contexts"][place] == [
            *(f"before {window} ", WORDS[number], f" after {EVIL}", f"Article {window}")
        ]


def test_rare_words_have_no_page_and_the_others_are_listed(worded):
    assert _entry(worded, "rare") is None
    known = bundle.read(worded, "data/words/known")["words"]
    by_frequency = sorted(range(8), key=lambda number: -OCCURRENCES[number])
    assert known == [words_lib.composed(WORDS[number]) for number in by_frequency]
    assert bundle.read(worded, "data/manifest")["counts"]["words"] == 8
    assert not (worded / ".words").exists()


def test_memory_holds_a_part_of_the_records(tmp_path, monkeypatch):
    monkeypatch.setattr(word_pages, "_BUFFERED", 20)
    spill = word_pages.Spill(tmp_path, wordy.Corpus.folded)
    for factor in range(40):
        spill.add(factor, wordy.firings(factor))
        assert sum(map(len, spill._waiting)) < 20
    found = [spill.read(shard) for shard in range(word_pages.NUM_SHARDS)]
    total = sum(len(at.word) for factor in range(40) for at in wordy.firings(factor))
    assert sum(map(len, found)) == total
    for shard, records in enumerate(found):
        for word in records["word"].tolist():
            assert word_pages.shard_of(wordy.Corpus.folded[word]) == shard


def test_pages_of_a_run_equal_plain_sums_over_its_tokens(toy_run, tmp_path):
    shutil.copytree(toy_run, tmp_path / "run")
    # All tokens that fire are stored, so that the sums are exact.
    assert cli.main(["examples", str(tmp_path / "run"), "--top_n=1500"]) == 0
    run = tfvis_jax.load_run(tmp_path / "run")
    bundle.write(tmp_path / "site", pipeline.site_data(run, contexts=2))
    examples = run.examples
    sums = collections.defaultdict(lambda: [0, 0.0])
    totals, times = collections.Counter(), collections.Counter()
    for window in range(len(run.windows)):
        times.update(map(words_lib.fold, run.windows.words(window).texts))
    whole = {
        (int(index), int(factor))
        for index, factor in np.argwhere(examples.firing > 0)
        if examples.firing[index, factor] <= examples.activation.shape[2]
    }
    assert len(whole) == (examples.firing > 0).sum()
    for index, factor in whole:
        top = examples.top(index, factor)
        for alpha, window, position in zip(*(a.tolist() for a in top), strict=True):
            words = run.windows.words(window)
            word = words_lib.fold(words.texts[words.of_position[position]])
            sums[word, factor, index][0] += 1
            sums[word, factor, index][1] += alpha
            totals[factor, index] += alpha
    compared = 0
    for shard in range(word_pages.NUM_SHARDS):
        for entry in bundle.read(tmp_path / "site", f"data/words/{shard:02x}")["words"]:
            word = entry["folded"]
            assert entry["occurrences"] == times[word] >= 2
            for factor, _, _, place, *columns in entry["factors"]:
                assert words_lib.fold(entry["contexts"][place][1]) == word
                for index in range(len(examples.layers)):
                    if (index, factor) not in whole:
                        continue
                    firings, mass = sums[word, factor, index]
                    mean, share, own = (column[index] for column in columns)
                    if not firings:
                        assert mean is None
                        continue
                    assert mean == pytest.approx(mass / firings, rel=0.051)
                    expected = min(firings / times[word], 1)
                    assert share == pytest.approx(expected, abs=5.1e-4)
                    mine = mass / totals[factor, index]
                    assert own == pytest.approx(mine, abs=5.1e-4)
                    compared += 1
    assert compared > 20


def _open(page, folder, word, query=""):
    browsing.open_page(page, folder, f"#/word/{urllib.parse.quote(word)}{query}")


def test_the_page_has_a_row_for_each_factor_and_a_cell_for_each_layer(page, worded):
    _open(page, worded, "left")
    entry = _entry(worded, "left")
    assert page.inner_text("article h1") == "“left” in factors"
    assert "41 times in the corpus" in page.inner_text("article .lead")
    heads = page.query_selector_all(".word-table th[scope=row] .phi")
    numbers = [int(head.inner_text()[1:]) for head in heads]
    assert numbers == [row[0] for row in entry["factors"]]
    for show, column in (("mean", 4), ("share", 5), ("own", 6)):
        page.click(f".switch [data-show={show}]")
        page.wait_for_selector(f".switch [data-show={show}][aria-pressed=true]")
        assert ("show=" in page.url) == (show != "mean")
        rows = page.query_selector_all(".word-table tbody tr:first-child")
        for row, values in zip(rows, entry["factors"], strict=True):
            for cell, value in zip(
                row.query_selector_all("td"), values[column], strict=True
            ):
                text = cell.inner_text()
                if value is None:
                    assert text == "–"
                    continue
                number = float(text.removesuffix(" %"))
                scale = 1 if show == "mean" else 100
                # Two digits are shown.
                assert number == pytest.approx(scale * value, rel=0.051, abs=1e-3)
    # The example of a factor is text, with its word marked.
    example = page.text_content(".word-context")
    factor, layer, _, place, *_ = entry["factors"][0]
    assert "".join(entry["contexts"][place][:3]) in example
    assert f"in layer {(0, 2, 4, 6)[layer]}" in example
    assert page.inner_text(".word-context mark") == "left"
    page.click(".word-table td a >> nth=0")
    browsing.await_heading(page, f"Factor {factor}")


def test_the_page_says_what_its_rows_are_and_leads_to_a_sentence(page, worded):
    _open(page, worded, "Left")
    lead = page.locator("article .lead")
    assert "fire on it most over these occurrences" in lead.inner_text()
    # Without a server, a recorded sentence that has the word, if there is one.
    # The link may take two lines: a click in its middle could meet neither.
    lead.get_by_role("link", name="He left the bank.").press("Enter")
    page.wait_for_selector(".cell-panel")
    _open(page, worded, "of")
    assert "A sentence of your own may fire others." in lead.inner_text()
    assert lead.locator("a").count() == 0


class _Silent:
    """Encodes nothing."""

    def release(self):
        pass

    def warm_up(self):
        yield

    def encode(self, text, *, masked):
        yield from ()


def test_with_a_server_every_word_has_a_sentence_to_try(tab, worded):
    with serving.running(worded, _Silent()) as port:
        tab.goto(f"http://127.0.0.1:{port}/#/word/οδος")
        link = tab.locator("article .lead a")
        link.wait_for()
        entry = _entry(worded, "οδος")
        context = "".join(entry["contexts"][0][:3]).strip()
        assert link.inner_text() == context
        tab.evaluate("location.hash = '#/word/bank'")
        tab.wait_for_selector("h1:has-text('bank')")
        assert link.inner_text() == "He left the bank."


def test_layers_sort_and_the_state_is_in_the_address(page, worded):
    _open(page, worded, "of", "?show=own")
    entry = _entry(worded, "of")

    def order():
        heads = page.query_selector_all(".word-table th[scope=row] .phi")
        return [int(head.inner_text()[1:]) for head in heads]

    first = order()
    page.click("button:text-is('Layer 4')")
    page.wait_for_selector("th[aria-sort=descending]:has-text('Layer 4')")
    assert "layer=4" in page.url and "show=own" in page.url
    expected = sorted(entry["factors"], key=lambda row: -(row[6][2] or -1))
    assert order() == [row[0] for row in expected] != first
    assert page.evaluate("document.activeElement.textContent") == "Layer 4"
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert order() == [row[0] for row in expected]
    page.click("button:text-is('Layer 4')")
    page.wait_for_selector("th[aria-sort]", state="detached")
    assert order() == first
    page.go_back()
    page.wait_for_selector("th[aria-sort=descending]")


def test_arrows_move_between_cells(page, worded):
    _open(page, worded, "left")
    page.focus(".word-table th[scope=row] .phi >> nth=0")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.closest('td') !== null")
    name = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert name.startswith("Φ") and "Share of the word" in name
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowDown")
    text = page.evaluate("document.activeElement.textContent")
    assert text == f"Φ{_entry(worded, 'left')['factors'][1][0]}"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_selector("article.factor")
    assert "layer=" in page.url


@pytest.mark.parametrize(
    "asked",
    [
        "LEFT",
        "le\u00adft",
        "STRASSE",
        "straße",
        "CAFÉ",
        "οδος",
        "Οδός",
        EVIL,
        "x" * 400,
    ],
)
def test_a_word_is_found_in_every_spelling(page, worded, asked):
    found = words_lib.fold(asked) in wordy.Corpus.folded
    _open(page, worded, asked)
    assert (page.query_selector(".word-table") is not None) == found
    assert page.query_selector_all("main script, main img") == []


def test_the_page_folds_words_as_the_package_does(page, worded):
    browsing.open_page(page, worded)
    words = [
        *("Straße", "ΟΔΟΣ", "ὈΔΥΣΣΕΎΣ", "İstanbul", "ısı", "ﬁne", "ŉ", "µm", "ſaſſe"),
        *("cafe\u0301", "soft\u00adhyphen", "❤️", "Ǆ", "한국어", "\u0915\u094d\u200d"),
    ]
    folded = page.evaluate("words => words.map(tfvis.words.fold)", words)
    assert folded == [words_lib.fold(word) for word in words]


def test_an_unknown_word_says_so_and_names_near_ones(page, worded):
    _open(page, worded, "lefft")
    notice = page.inner_text(".word-page .notice")
    assert "“lefft” is not among the 8 words" in notice
    links = page.query_selector_all(".word-page .notice li a")
    assert [link.inner_text() for link in links] == ["left"]
    links[0].click()
    page.wait_for_selector(".word-table")
    for strange in ("zzzzzz", "%zz", "a/b", "?", "rare", EVIL[:20]):
        page.evaluate("word => { location.hash = tfvis.route.word(word); }", strange)
        notice = page.locator(".word-page .notice", has_text=f"“{strange}”")
        assert "is not among" in notice.inner_text()
    page.evaluate("location.hash = '#/word'")
    page.wait_for_selector("h1:text-is('A word in factors')")
    page.fill("#word-field", "bank")
    page.keyboard.press("Enter")
    page.wait_for_selector("h1:has-text('bank')")


def test_search_and_factors_lead_to_words(page, worded):
    browsing.open_page(page, worded, "#/?q=bank")
    page.click(".to-word a")
    page.wait_for_selector("article h1:has-text('“bank” in factors')")
    page.go_back()
    page.wait_for_selector(".list:not([hidden])")
    for query in ("13", "the bank", ""):
        page.fill("#search", query)
        page.wait_for_selector(".to-word", state="hidden")
    page.evaluate("location.hash = '#/factor/13'")
    browsing.await_heading(page, "Factor 13")
    # A word of a single document may have no page.
    assert [a.inner_text() for a in page.query_selector_all(".headwords a")] == ["left"]
    page.click(".headwords a")
    page.wait_for_selector(".word-table")


def _rows(page):
    return [int(a.inner_text()) for a in page.query_selector_all(".rows .number a")]


def test_factors_that_fire_on_a_word_are_found_though_it_is_not_theirs(page, worded):
    # All factors list "left" and "rare" as their words.
    entry = _entry(worded, "bank")
    expected = [row[0] for row in entry["factors"]]
    browsing.open_page(page, worded, "#/?q=Bank")
    browsing.wait_for(page, lambda: _rows(page), expected)
    notice = page.locator(".list section > .notice")
    assert "No factor has “Bank” among its words" in notice.inner_text()
    assert page.inner_text(".found") == f"{len(expected)} of 39"
    first = page.locator(".rows .row").first
    assert first.locator(".word.hit").all_inner_texts() == ["bank"]
    assert first.locator(".line").inner_text() == "fires on it, and more on other words"
    page.focus("#search")
    page.keyboard.press("Enter")
    page.wait_for_selector(".rows .row:first-child a:focus")
    # The filters and the order of the list hold for them too.
    levels = ["low", "mid", "high", "unclear"]
    for place, level in enumerate(levels):
        chip = page.locator(f".chip[data-level={level}]")
        these = [factor for factor in expected if factor % 4 == place]
        assert chip.locator("small").inner_text() == str(len(these))
        chip.click()
        browsing.wait_for(page, lambda: _rows(page), these)
    page.click(".chip[data-level='']")
    browsing.wait_for(page, lambda: _rows(page), expected)
    page.click("button.sort:has-text('Factor')")
    browsing.wait_for(page, lambda: _rows(page), sorted(expected))
    # What the search finds is not called weaker; what nobody knows is not found.
    page.fill("#search", "left")
    assert len(_rows(page)) > len(expected)
    assert not notice.is_visible()
    page.fill("#search", "bankk")
    browsing.wait_until(page, lambda: "No factors match “bankk”" in notice.inner_text())
    assert _rows(page) == []
    # A level of which there is none is not a word that nobody has.
    page.evaluate("location.hash = '#/?q=left&peak=9'")
    browsing.wait_until(page, lambda: "No factors match “left”" in notice.inner_text())


def test_a_late_answer_to_an_older_search_is_dropped(page, worded):
    browsing.open_page(page, worded)
    page.evaluate(
        """() => {
          const { find } = tfvis.words;
          tfvis.words.find = async (word) => {
            const found = await find(word);
            await new Promise((done) => { window.answer = done; });
            return found;
          };
        }"""
    )
    page.fill("#search", "bank")
    browsing.wait_until(page, "window.answer !== undefined")
    page.fill("#search", "13")
    page.evaluate("window.answer()")
    page.wait_for_timeout(100)
    assert _rows(page) == [13]


def test_a_site_without_words_says_so(page, folder):
    browsing.open_page(page, folder, "#/word/left")
    assert "hold no pages of words" in page.inner_text(".word-page .notice")
    browsing.open_page(page, folder, "#/factor/13")
    assert page.query_selector(".headwords a") is None


@pytest.mark.parametrize("width", [360, 1024, 1440])
def test_nothing_sticks_out(browser, worded, width):
    page = browser.new_page(viewport={"width": width, "height": 768})
    for word in ("left", "x" * 400, EVIL, "unknown" * 40, ""):
        _open(page, worded, word)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_marks_stand_in_quotes_where_words_are_listed(page, make_site, tmp_path):
    words = [[(",", 3), ("in", 2), ("*", 1), ("²", 1)]] * 4
    bundle.write(tmp_path / "site", make_site(words=lambda factor: words))
    browsing.open_page(page, tmp_path / "site", "#/factor/13")
    assert page.locator(".headwords bdi").all_inner_texts() == ["‘,’", "in", "‘*’", "²"]
    name = page.evaluate("tfvis.glyphs.name(13)")
    assert name == words_lib.listed([",", "in"]) == "‘,’, in"
    doubled = page.evaluate("tfvis.glyphs.listed(['.', 'a', '.']).length")
    assert doubled == 2


def test_a_token_of_a_sentence_leads_to_its_word(page, worded):
    browsing.open_page(page, worded, "#/sentence?text=He+left+the+bank.&token=3")
    page.click(".cell-panel a:text-is('All its factors')")
    page.wait_for_selector("article h1:has-text('“bank” in factors')")
