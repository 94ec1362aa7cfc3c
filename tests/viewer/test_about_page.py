"""The page of definitions: reached from numbers, read with formulas, found by name."""

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
