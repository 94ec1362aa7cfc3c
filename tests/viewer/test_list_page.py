"""The list of factors in a real browser."""

import itertools
import math

import pytest

from tfvis_jax.viewer import bundle, site
from viewer import browsing
from viewer.wordy import EVIL


def test_the_list_says_what_the_run_is(page, folder):
    browsing.open_page(page, folder)
    head = page.inner_text(".run")
    for part in ("A run for tests", "bert-tiny", "six sentences", "0, 2, 4, 6"):
        assert part in head
    for part in ("λ 0.3", "0.183", "21.4", "39 of 40", "1.23M"):
        assert part in head
    assert [
        card.get_attribute("href") for card in page.query_selector_all(".card")
    ] == [
        "#/factor/13",
        "#/factor/2",
    ]
    assert "direction in hidden-state space" in head
    assert page.inner_text("#featured-title") == "Suggested factors"
    # Dead factors are hidden at first; only rows near the view exist.
    assert browsing.numbers(page)[:7] == [0, 1, 2, 3, 4, 6, 7]
    assert len(browsing.numbers(page)) < 39
    page.get_by_label("Show dead factors (1)").check()
    assert browsing.numbers(page)[5] == 5
    assert "dead" in page.inner_text(".row.dead")


def test_search_filters_and_sorting_are_in_the_address(page, folder, make_site):
    browsing.open_page(page, folder)
    page.fill("#search", "riv")
    found = browsing.numbers(page)
    index = bundle.read(folder, "data/index")
    river = index["vocabulary"].index("river")
    expected = [
        f for f in range(40) if f != 5 and river in [w for w, _ in index["words"][f]]
    ]
    assert found == expected[: len(found)]
    assert found
    assert "q=riv" in page.url

    page.fill("#search", "17")
    assert browsing.numbers(page) == [17]
    page.fill("#search", "zebra")
    assert browsing.numbers(page) == []
    notice = ".list section > .notice"
    assert "No factors match “zebra”." in page.inner_text(notice)
    page.fill("#search", "")
    page.evaluate("location.hash = '#/?level=low&peak=9'")
    page.wait_for_selector(f"{notice}:text-is('No factors match.')")
    page.go_back()

    page.click("button.chip:has-text('mid')")
    assert {f % 4 for f in browsing.numbers(page)} == {1}
    page.click("button.chip:has-text('all')")

    page.click("button.sort:has-text('Max')")
    top = make_site().max_activation.max(axis=0).argsort()[::-1]
    assert browsing.numbers(page)[:5] == list(top[:5])
    assert page.get_attribute("[aria-sort]", "aria-sort") == "descending"
    assert "sort=-activation" in page.url
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert browsing.numbers(page)[:5] == list(top[:5])


def test_a_home_without_a_server_has_recorded_sentences_alone(page, folder):
    browsing.open_page(page, folder)
    box = page.locator("section.try")
    assert box.locator("input, button").count() == 0
    recorded = [each["text"] for each in bundle.read(folder, "data/live")["recorded"]]
    assert box.locator(".example-sentences q").all_inner_texts() == recorded
    assert "tfvis view 'A run for tests'" in box.inner_text()
    box.locator(".example-sentences a").first.click()
    page.wait_for_selector(".cell-panel")


@pytest.mark.parametrize("width", [360, 768, 1024, 1440])
def test_the_header_has_every_page_and_the_search_stays(browser, folder, width):
    page = browser.new_page(viewport={"width": width, "height": 740})
    browsing.open_page(page, folder)
    nav = page.locator(".top nav a")
    assert nav.all_inner_texts() == [
        *("Try a sentence", "Levels", "Rate", "This run", "About")
    ]
    current = page.locator(".top [aria-current]")
    assert current.count() == 0
    box = page.locator("#search")
    # All of the placeholder is seen.
    text = page.evaluate(
        """() => {
          const input = document.getElementById("search");
          const style = getComputedStyle(input);
          const paint = document.createElement("canvas").getContext("2d");
          paint.font = style.font;
          const room = input.clientWidth - 2 * parseFloat(style.paddingLeft);
          return paint.measureText(input.placeholder).width / room;
        }"""
    )
    assert text <= 1
    for place, name in enumerate(("sentence", "levels", "rate", "run", "about")):
        nav.nth(place).click()
        page.wait_for_selector(f".top [aria-current=page][href='#/{name}']")
        assert current.count() == 1
    page.go_back()
    page.goto(f"{page.url.split('#')[0]}#/")
    page.wait_for_selector(".list:not([hidden])")
    assert current.count() == 0
    # Where one has scrolled, the box is there, and little else.
    page.get_by_role("button", name="End of the page").click()
    page.wait_for_timeout(100)
    assert page.evaluate("document.activeElement.id") == "foot"
    foot = page.locator("#provenance").bounding_box()
    assert foot["y"] + foot["height"] <= 740
    header = page.locator("#top").bounding_box()
    assert box.bounding_box()["y"] >= 0
    assert header["y"] + header["height"] <= 80
    # What is sticky below it is not under it, nor is what the keyboard reaches.
    page.evaluate("window.scrollTo(0, document.querySelector('.rows').offsetTop + 400)")
    page.wait_for_timeout(100)
    bottom = page.locator("#top").bounding_box()
    heads = page.locator(".heads").bounding_box()
    assert heads["y"] >= bottom["y"] + bottom["height"] - 1
    page.close()


@pytest.mark.parametrize("width", [360, 768, 1024, 1440])
def test_no_column_is_cut_and_headings_stand_above_values(
    browser, tmp_path, make_site, width
):
    levels = ["unreadable", "mid", "high", "low"] * 10
    scores = [math.nan, 0.923] * 20
    data = make_site(levels=levels, level_scores=scores)
    bundle.write(tmp_path / "site", data)
    page = browser.new_page(viewport={"width": width, "height": 740})
    browsing.open_page(page, tmp_path / "site")
    page.click("button.sort:has-text('Importance')")
    cut = page.evaluate(
        """() => [...document.querySelectorAll(".rows .cell")].filter(
          (cell) => !cell.matches(".said") && cell.scrollWidth > cell.clientWidth
        ).map((cell) => cell.textContent)"""
    )
    assert cut == []
    row, shown = page.locator(".rows .row").first, 0
    for name in ("number", "said", "kind", "curve", "peak", "max", "density"):
        head = page.locator(f".head .cell.{name}")
        cell = row.locator(f".cell.{name}")
        assert head.is_visible() == cell.is_visible()
        if not head.is_visible():
            continue
        shown += 1
        above, below = head.bounding_box(), cell.bounding_box()
        assert above["x"] == pytest.approx(below["x"], abs=1)
        assert above["width"] == pytest.approx(below["width"], abs=1)
    assert shown == (5 if width == 768 else 7)
    # The names of columns do not run into each other.
    boxes = [
        head.bounding_box() for head in page.locator(".head .cell:visible .sort").all()
    ]
    lines = {}
    for box in boxes:
        lines.setdefault(round(box["y"]), []).append(box)
    for line in lines.values():
        for left, right in itertools.pairwise(sorted(line, key=lambda box: box["x"])):
            assert left["x"] + left["width"] <= right["x"] + 1
    page.close()


def test_facts_of_a_run_stay_whole_where_there_is_room(browser, tmp_path, make_site):
    corpus = "enwiki-latest-pages-articles1.xml-p10p3032-shortened.bz2"
    bundle.write(tmp_path / "site", make_site(corpus=corpus))
    for width in (360, 1440):
        page = browser.new_page(viewport={"width": width, "height": 740})
        browsing.open_page(page, tmp_path / "site")
        for place in ("#provenance", ".run .about"):
            part = page.locator(f"{place} .part", has_text=corpus)
            one = page.locator(f"{place} .part").last.bounding_box()["height"]
            lines = round(part.bounding_box()["height"] / one)
            assert (lines == 1) == (width == 1440)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.close()


def test_a_level_without_a_suggested_factor_is_said(page, folder, tmp_path, make_site):
    browsing.open_page(page, folder)
    suggested = page.locator("section:has(#featured-title)")
    # Suggested are a mid and a high one; ten are low.
    said = suggested.inner_text()
    assert "Of low none is suggested:" in said
    assert "This run has no" not in said
    bundle.write(tmp_path / "site", make_site(featured=[0, 1, 2]))
    browsing.open_page(page, tmp_path / "site")
    said = suggested.inner_text()
    assert "none is suggested" not in said
    assert "This run has no" not in said
    levels = ["low", "unclear"] * 20
    bundle.write(tmp_path / "low", make_site(featured=[0], levels=levels))
    browsing.open_page(page, tmp_path / "low")
    said = suggested.inner_text()
    assert "This run has no factor that is mid or high." in said
    assert "none is suggested" not in said
    assert "mid (" not in said


def _needing_context(make_site, **changes):
    """Returns a run of which every second level is measured."""
    scores = [0.9 if factor % 8 < 4 else math.nan for factor in range(40)]
    return make_site(level_scores=scores, **changes)


def test_a_factor_that_needs_context_shows_one(browser, tmp_path, make_site):
    def contexts(factor):
        long = [
            site.Context(
                before="much that was said before\nthe end of ",
                word="the",
                after=f" story {EVIL}, and then" + " more of it" * 20,
                activation=2.0 - rank,
                document="Article",
            )
            for rank in range(2)
        ]
        return [long if factor != 9 else []] * 4

    bundle.write(tmp_path / "site", _needing_context(make_site, contexts=contexts))
    lines = bundle.read(tmp_path / "site", "data/index")["contexts"]
    # Mid and high ones, measured, alive, with a context. Not low nor unclear ones.
    measured = [f for f in range(40) if f % 8 in (1, 2) and f != 9]
    assert [factor for factor, *_ in lines] == measured
    [(before, word, after)] = {tuple(parts) for _, *parts in lines}
    assert (before, word) == ("… was said before the end of ", "the")
    assert after.startswith(" story <script>") and after.endswith(" …")
    assert len(after) < 65
    for width in (360, 1440):
        page = browser.new_page(viewport={"width": width, "height": 900})
        browsing.open_page(page, tmp_path / "site", "#/?level=mid")
        assert browsing.numbers(page)[:3] == [1, 9, 13]
        row = page.locator(".rows .row").first
        assert row.locator(".line bdi").inner_text() == f"{before}the{after}"
        mark, cell = row.locator(".line mark"), row.locator(".cell.said")
        assert mark.inner_text() == "the"
        # Seen, with what stands before it.
        seen, room = mark.bounding_box(), cell.bounding_box()
        assert room["x"] < seen["x"]
        assert seen["x"] + seen["width"] < room["x"] + room["width"]
        assert seen["y"] + seen["height"] <= room["y"] + room["height"]
        assert page.locator(".rows .row").nth(1).locator(".line bdi").count() == 0
        # With a query it follows the reason.
        page.fill("#search", "1")
        assert row.locator(".line").inner_text().startswith("its number · … was")
        page.close()


def test_a_card_has_room_for_the_word_of_its_context(browser, tmp_path, make_site):
    context = site.Context(
        before="an extraordinarily long-winded introduction " * 4,
        word="story",
        after=" goes on",
        activation=2.0,
        document="Article",
    )
    data = make_site(contexts=lambda factor: [[context]] * 4)
    bundle.write(tmp_path / "site", data)
    for width in (360, 1440):
        page = browser.new_page(viewport={"width": width, "height": 900})
        browsing.open_page(page, tmp_path / "site")
        example = page.locator(".card .example").first
        mark = example.locator("mark").bounding_box()
        shown = example.bounding_box()
        assert mark["y"] + mark["height"] <= shown["y"] + shown["height"]
        page.close()


def test_levels_that_are_guesses_need_no_context(folder):
    assert bundle.read(folder, "data/index")["contexts"] == []


def test_the_levels_of_suggested_factors_are_explained_and_lead_to_all(page, folder):
    browsing.open_page(page, folder)
    said = page.locator("section:has(#featured-title) > p")
    assert "mid (9): the few words around it as well." in said.inner_text()
    said.get_by_role("link", name="mid").click()
    page.wait_for_selector(".chip[data-level=mid][aria-pressed=true]:focus")
    assert page.url.endswith("#/?level=mid")
    assert browsing.numbers(page) == [f for f in range(1, 40, 4) if f != 5]
    # The list is in view, as far as the page goes; what is above it is still there.
    top = page.locator("#factors-title").bounding_box()["y"]
    assert 0 <= top < 450
    assert page.locator(".cards").count() == 1


@pytest.mark.parametrize("width", [390, 1280])
def test_levels_and_ratings_are_in_the_header(browser, folder, width):
    page = browser.new_page(viewport={"width": width, "height": 800})
    browsing.open_page(page, folder)
    assert page.get_by_role("link", name="Rate how well").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for name, heading in (("Levels", "Levels"), ("Rate", "Ratings")):
        page.locator(".top nav").get_by_role("link", name=name).click()
        page.wait_for_selector(f"article h1:text-is('{heading}')")
    page.close()


def test_scrolling_shows_other_rows(page, folder):
    browsing.open_page(page, folder)
    page.evaluate("window.scrollTo(0, document.documentElement.scrollHeight)")
    page.wait_for_selector(".rows a:text-is('39')")
    assert browsing.numbers(page) == sorted(browsing.numbers(page))
    assert 0 not in browsing.numbers(page)


def test_from_the_list_to_a_factor_and_back(page, folder):
    browsing.open_page(page, folder)
    page.fill("#search", "13")
    page.click(".rows .number a")
    browsing.await_heading(page, "Factor 13")
    assert page.title().startswith("Factor 13")
    page.go_back()
    page.wait_for_selector(".list:not([hidden])")
    assert page.input_value("#search") == "13"
    page.go_forward()
    browsing.await_heading(page, "Factor 13")
