"""The page for everyone: axe finds nothing, the keyboard reaches everything."""

import json
import pathlib
import urllib.parse

import pytest

from viewer import browsing, wordy

_AXE = pathlib.Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
# Of each page what it shows where all is well, and what where something is missing.
_ROUTES = (
    "#/",
    "#/?q=left",
    "#/?q=zebra",
    "#/?dead=1&level=mid&sort=-density",
    "#/factor/13?layer=4",
    "#/factor/999",
    "#/factor/5",
    "#/compare?f=13,2&layer=4",
    "#/compare",
    "#/word",
    "#/word/left",
    "#/word/of?show=own&layer=4",
    "#/word/lefft",
    f"#/word/{urllib.parse.quote(wordy.EVIL)}",
    "#/about",
    "#/about/fvu",
    "#/run",
    "#/runs",
    "#/runs?show=other&sort=number",
    "#/levels",
    "#/levels?level=mid&region=0,0.5,0,1",
    "#/rate",
    "#/rate/13?layer=4",
    "#/rate/13?layer=4&step=judge",
    "#/rate/13?layer=4&step=judge&view=list",
    "#/rate/13?layer=4&step=result",
    "#/rate/99",
    "#/sentence",
    "#/sentence?text=He+left+the+bank.&token=1",
    "#/sentence?text=He+left+the+bank.&token=1&steer=0",
    "#/sentence?text=He+left+the+bank.&token=1&token2=0&lit=0&"
    + urllib.parse.urlencode({"with": f"Recorded {wordy.EVIL}"}),
    "#/sentence?text=Not+recorded.",
)


@pytest.fixture(scope="module")
def axe():
    if not _AXE.is_file():
        pytest.skip("axe-core is not installed (`make check-js` installs it)")
    return _AXE.read_text()


def _violations(page, axe):
    page.evaluate(axe)
    found = page.evaluate("axe.run().then((result) => result.violations)")
    return [
        f"{page.url}: {rule['id']}: {rule['help']}: {json.dumps(node['target'])}"
        for rule in found
        for node in rule["nodes"]
    ]


def _visit(page, folder, address):
    page.goto("about:blank")
    browsing.open_page(page, folder, address)
    if "He+left" in address:
        page.wait_for_selector(".cell-panel")
    if "steer" in address:
        page.wait_for_selector(".steer")


@pytest.mark.parametrize(
    ("width", "scheme"),
    [(390, "light"), (390, "dark"), (1024, "light"), (1440, "dark")],
)
def test_axe_finds_nothing_on_any_page(browser, worded, axe, scheme, width):
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme
    )
    page = context.new_page()
    found = []
    for address in _ROUTES:
        _visit(page, worded, address)
        found += _violations(page, axe)
        # What opens on demand; the help is the same everywhere.
        openers = ["details.take:visible > summary"]
        for opener in [*openers, "#help"] if address == _ROUTES[0] else openers:
            if (button := page.locator(opener).first).count():
                button.click()
                found += _violations(page, axe)
                page.keyboard.press("Escape")
    context.close()
    assert not found, "\n".join(found)


def test_every_page_is_visited():
    # Parts of pages, which have no address of their own.
    pages = set(browsing.pages()) - {"save", "steer", "pair", "lime"}
    assert pages <= {route[2:].split("?")[0].split("/")[0] for route in _ROUTES}


def test_axe_finds_nothing_on_paper(browser, worded, axe):
    # The printed width of an A4 sheet, in CSS pixels; paper is white in the dark, too.
    context = browser.new_context(
        viewport={"width": 703, "height": 1000}, color_scheme="dark"
    )
    page = context.new_page()
    found = []
    for address in _ROUTES:
        _visit(page, worded, address)
        page.emulate_media(media="print")
        found += _violations(page, axe)
        page.emulate_media(media="screen")
    context.close()
    assert not found, "\n".join(found)


def _tab_to(page, condition, *, most=80):
    """Presses Tab until the focused element fulfils a condition in JavaScript."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate(f"(({condition}))(document.activeElement)"):
            return
    focused = page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
    raise AssertionError(f"Tab does not reach {condition}; it is at {focused}")


def test_a_tour_by_keyboard_alone(page, folder):
    """From home to a factor, its layers, a file of it, a sentence and a cell of it."""
    browsing.open_page(page, folder)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"

    page.keyboard.press("/")
    page.keyboard.type("left")
    page.wait_for_selector("h2:text-is('Factors for “left”')")
    page.keyboard.press("Enter")
    page.wait_for_selector(".rows a:focus")
    page.keyboard.press("Enter")
    page.wait_for_selector("article.factor")
    number = page.inner_text("article h1").split()[1]
    page.keyboard.press("]")
    page.wait_for_url("**layer=*")

    _tab_to(page, "(e) => e.matches('.take > summary')")
    page.keyboard.press("Enter")
    _tab_to(page, "(e) => e.textContent === 'CSV'")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert f"factor-{number}-layers.csv" in download.value.suggested_filename
    page.keyboard.press("Escape")
    assert page.locator("details.take[open]").count() == 0
    # The curve: one stop, then arrows.
    _tab_to(page, "(e) => e.matches('.point')")
    before = page.url
    page.keyboard.press("ArrowUp")
    browsing.wait_until(page, lambda: page.url != before)
    _tab_to(page, "(e) => e.dataset.view === '0'")
    page.keyboard.press("Enter")
    assert page.locator(".contexts.aligned").count() == 0

    page.keyboard.press("Escape")
    page.wait_for_selector(".list:not([hidden])")
    page.evaluate("window.scrollTo(0, 0)")
    page.locator("#skip").focus()
    _tab_to(page, "(e) => e.textContent === 'Try a sentence'")
    page.keyboard.press("Enter")
    page.wait_for_selector("article.sentence")
    _tab_to(page, "(e) => e.textContent.includes('He left the bank')")
    page.keyboard.press("Enter")
    page.wait_for_selector(".cell-panel")
    _tab_to(page, "(e) => e.matches('.grid td')")
    # Tab reaches the cell that is written out.
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_selector("h2:has-text('“left” at layer 2')")
    page.keyboard.press("?")
    assert page.locator("dialog[open]").count() == 1
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0


@pytest.mark.parametrize("query", ["left", "riv", "13", "%CE%A613", "level", "zebra"])
def test_results_stand_above_the_fold(browser, folder, query):
    page = browser.new_page(viewport={"width": 1024, "height": 768})
    browsing.open_page(page, folder, f"#/?q={query}")
    shown = page.locator(".rows .row, .list section > .notice:not([hidden])").first
    box = shown.bounding_box()
    assert box["y"] + box["height"] <= 768
    page.close()
