"""The list of factors in a real browser."""

from tfvis_jax.viewer import bundle
from viewer import browsing


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
