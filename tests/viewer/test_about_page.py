"""The page of definitions: reached from numbers, read with formulas, found by name."""

import pytest

from viewer import browsing


def test_every_page_leads_to_it_and_escape_leads_back(page, folder):
    browsing.open_page(page, folder, "#/factor/13")
    page.click("footer >> text=What do these numbers mean?")
    page.wait_for_selector("article.about-page")
    assert page.title() == "About · A run for tests"
    heads = page.locator(".about-page h2").all_inner_texts()
    assert heads[-2:] == ["What not to conclude", "Keys"]
    # As in the dialog.
    keys = page.locator(".about-page .keys kbd").all_inner_texts()
    page.keyboard.press("?")
    assert page.locator("dialog[open] .keys kbd").all_inner_texts() == keys
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.wait_for_selector(".list:not([hidden])")


def test_formulas_are_drawn_and_can_be_read_aloud(page, folder):
    browsing.open_page(page, folder, "#/about")
    formulas = page.locator(".about-page math")
    assert formulas.count() >= 5
    for place in range(formulas.count()):
        assert formulas.nth(place).bounding_box()["height"] > 10
        assert formulas.nth(place).get_attribute("alttext")


def test_a_number_leads_to_its_definition(page, folder):
    page.set_viewport_size({"width": 800, "height": 400})
    browsing.open_page(page, folder)
    for name, term in (("held-out FVU", "fvu"), ("L0", "l0"), ("alive", "alive")):
        page.click(f".figures a:text-is('{name}')")
        page.wait_for_selector(f"#about-{term}.asked")
        assert page.url.endswith(f"#/about/{term}")
        asked = page.locator(f"#about-{term}")
        # It is scrolled to once it is there.
        browsing.wait_until(
            page, lambda asked=asked: 0 <= asked.bounding_box()["y"] <= 400
        )
        page.go_back()
        page.wait_for_selector(".list:not([hidden])")
    page.go_forward()
    page.wait_for_selector("#about-alive.asked")
    page.evaluate("location.hash = '#/about/fvu'")
    page.wait_for_selector("#about-fvu.asked")
    assert page.locator(".asked").count() == 1
    page.reload()
    page.wait_for_selector("#about-fvu.asked")
    page.evaluate("location.hash = '#/about/\"]<b>'")
    page.wait_for_selector(".asked", state="detached")


def test_a_wide_window_has_two_columns(browser, folder):
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    browsing.open_page(page, folder, "#/about")
    method, terms, cautions, keys = (
        section.bounding_box() for section in page.locator(".about-page section").all()
    )
    # Definitions beside the rest, which is read from top to bottom.
    assert terms["y"] == method["y"] and method["x"] > terms["x"] + terms["width"]
    assert method["x"] == cautions["x"] == keys["x"]
    assert method["y"] < cautions["y"] < keys["y"]
    right = page.locator(".about-page").bounding_box()
    assert method["x"] + method["width"] == right["x"] + right["width"]
    page.set_viewport_size({"width": 1024, "height": 768})
    assert (
        len({s.bounding_box()["x"] for s in page.locator(".about-page section").all()})
        == 1
    )
    page.close()


@pytest.mark.parametrize("opener", ["key", "button"])
def test_the_keys_begin_with_the_first(browser, folder, opener):
    page = browser.new_page(viewport={"width": 360, "height": 480})
    browsing.open_page(page, folder)
    if opener == "key":
        page.keyboard.press("?")
    else:
        page.click("#help")
    dialog = page.locator("dialog[open]")
    assert dialog.evaluate("(e) => e.scrollHeight > e.clientHeight")
    assert dialog.evaluate("(e) => e.scrollTop") == 0
    box = page.locator("#keys-title").bounding_box()
    assert 0 <= box["y"] < 200
    assert page.evaluate("document.activeElement.id") == "keys"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "shortcuts"
    page.close()


def test_escape_leads_where_the_keys_say(page, worded):
    for address, there in (
        ("#/factor/13", ".list:not([hidden])"),
        ("#/compare?f=13", ".list:not([hidden])"),
        ("#/levels", ".list:not([hidden])"),
        ("#/word/left", ".list:not([hidden])"),
        ("#/run", ".list:not([hidden])"),
        ("#/runs", ".list:not([hidden])"),
        ("#/rate", ".list:not([hidden])"),
        ("#/sentence", ".list:not([hidden])"),
        ("#/rate/13?layer=4", "article.factor"),
    ):
        browsing.open_page(page, worded, "#/about")
        page.evaluate(f"location.hash = '{address}'")
        page.wait_for_selector(".about-page", state="detached")
        page.wait_for_selector("main:not([aria-busy]):focus")
        page.keyboard.press("Escape")
        page.wait_for_selector(there)
