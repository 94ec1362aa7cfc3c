"""A page's scripts are loaded when it is opened, and stay small."""

import gzip
import json
import pathlib
import re
import shutil

import pytest
import rjsmin

from tfvis_jax.viewer import assets, bundle
from viewer import browsing
from viewer.wordy import EVIL

_STATIC = pathlib.Path(bundle.__file__).parent / "static"
# Bytes of scripts and styles as `gzip` makes them: of the first page, of any page with
# what saves its drawings, and of all pages together, which a page in one file has.
_FIRST_PAGE, _LARGEST_PAGE, _LARGEST_SITE = 30_000, 46_000, 90_000


def _listed(folder=_STATIC):
    """Returns what index.html loads, and what each page adds, as names in assets/."""
    text = (folder / "index.html").read_text()
    at_once = re.findall(r'(?:src|href)="assets/([^"]+\.(?:js|css))"', text)
    pages = re.search(r'id="pages">(.*?)</script>', text, re.DOTALL)
    return at_once, json.loads(pages[1])


def test_scripts_and_styles_stay_small(folder):
    def size(names):
        files = [folder / "assets" / name for name in names]
        return sum(len(gzip.compress(file.read_bytes(), 6)) for file in files)

    at_once, pages = _listed(folder)
    assert size(at_once) <= _FIRST_PAGE
    for page in pages:
        # Whoever saves a drawing loads what draws it.
        shown = {*at_once, *pages[page], *pages["save"]}
        assert size(shown) <= _LARGEST_PAGE, page
    every = {*at_once, *(name for names in pages.values() for name in names)}
    assert size(every) <= _LARGEST_SITE


def _templates(script):
    """Returns the template literals of a script, as who shrinks it finds them."""
    return re.findall(r"`[^`]*`", script)


@pytest.mark.parametrize("script", sorted(_STATIC.rglob("*.js")), ids=lambda p: p.name)
def test_a_shrunken_script_says_the_same(folder, script):
    written = _templates(script.read_text())
    # Of a template in another one, the inside would be taken for code.
    nested = [text for text in written if text.count("{") != text.count("}")]
    assert nested == []
    shrunken = rjsmin.jsmin(script.read_text())
    # Those in comments are gone.
    assert {*_templates(shrunken)} <= {*written}
    # The site has it once, in one of its files.
    files = [*(folder / "assets").glob("*.js")]
    assert sum(file.read_text().count(shrunken) for file in files) == 1


@pytest.mark.parametrize("written", [True, False])
def test_every_file_is_loaded_by_some_page_and_once(folder, written):
    where = _STATIC if written else folder
    at_once, pages = _listed(where)
    there = [file.name for file in (where / "assets").iterdir()]
    scripts = {name for name in there if name.endswith((".js", ".css"))}
    assert scripts == {*at_once, *(name for names in pages.values() for name in names)}
    for names in (at_once, *pages.values()):
        assert len(set(names)) == len(names)
    assert not {*at_once} & {name for names in pages.values() for name in names}


def test_a_page_adds_no_script_that_only_others_need(folder):
    at_once, pages = _listed()
    joined = assets.joined((_STATIC / "index.html").read_text())
    assert sorted(name for members in joined.values() for name in members) == sorted(
        {*at_once, *(name for names in pages.values() for name in names)} - {"theme.js"}
    )
    now, there = _listed(folder)
    assert now == ["base.css", "theme.js", "app.js"]
    assert [*joined["base.css"], "theme.js", *joined["app.js"]] == at_once
    for page, names in there.items():
        assert {file for name in names for file in joined[name]} == {*pages[page]}
        # A script reads what those before it made.
        order = [file for name in names for file in joined[name]]
        of_many = [sum(f in listed for listed in pages.values()) for f in order]
        assert of_many == sorted(of_many, reverse=True), page


def test_a_page_loads_its_scripts_when_it_is_opened(page, folder):
    _, pages = _listed(folder)
    loaded = []
    page.on("request", lambda request: loaded.append(request.url.split("/assets/")[-1]))
    browsing.open_page(page, folder)
    for names in pages.values():
        assert not {*loaded} & {*names}
    page.click(".rows .number a")
    browsing.await_heading(page, "Factor 0")
    assert {*pages["factor"]} <= {*loaded}
    assert "compare.js" not in loaded
    page.go_back()
    page.wait_for_selector(".list:not([hidden])")
    page.click(".rows .number a >> nth=1")
    browsing.await_heading(page, "Factor 1")
    # Once.
    assert loaded.count("factor.js") == 1


@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_a_script_that_does_not_come_is_named_and_tried_again(
    browser, folder, tmp_path, damage
):
    site = shutil.copytree(folder, tmp_path / "site")
    script = site / "assets/alphas.js"
    whole = script.read_text()
    if damage == "missing":
        script.unlink()
    else:
        (site / "assets/compare.js").write_text("// nothing")
    page = browser.new_page()
    browsing.open_page(page, site, "#/compare?f=1,2")
    said = page.inner_text("[role=alert]")
    assert ("assets/alphas.js" if damage == "missing" else "are damaged") in said
    # Other pages still open.
    page.evaluate("location.hash = '#/factor/13'")
    browsing.await_heading(page, "Factor 13")
    page.go_back()
    page.wait_for_selector("[role=alert]")
    if damage == "missing":
        script.write_text(whole)
        page.get_by_role("button", name="Try again").click()
        page.wait_for_selector("h1:has-text('Factors side by side')")
        page.wait_for_selector("svg.chart")
    page.close()


def test_an_address_of_no_page_says_so(page, folder):
    for address in ("#/nothing/here", "#/constructor", "#/__proto__", f"#/{EVIL}"):
        page.goto("about:blank")
        browsing.open_page(page, folder, address)
        page.wait_for_selector("h1:text-is('There is no such page')")
        assert page.locator(".list").is_hidden()
        assert page.get_attribute("main", "aria-busy") is None
    page.click("text=To the first page")
    page.wait_for_selector(".list:not([hidden])")


def test_a_page_that_loads_says_so_at_once(browser, folder, tmp_path):
    site = shutil.copytree(folder, tmp_path / "site")
    page = browser.new_page()
    held = []

    def release():
        while not held:
            page.wait_for_timeout(20)
        held.pop().continue_()

    for name in ("assets/factor.js", "data/factors/00002.js"):
        page.route(f"**/{name}", lambda route: held.append(route))
    browsing.open_page(page, site)
    page.evaluate("location.hash = '#/factor/13'")
    page.wait_for_selector("main[aria-busy=true] h1:text-is('Factor 13')")
    assert page.inner_text("main [role=status] >> visible=true") == "Loading …"
    assert page.locator(".list").is_hidden()
    release()
    browsing.await_heading(page, "Factor 13")
    page.wait_for_selector("main:not([aria-busy])")
    # Another factor: the first one stands until it is there.
    page.evaluate("location.hash = '#/factor/32'")
    page.wait_for_selector("main[aria-busy=true] article h1:has-text('Factor 13')")
    release()
    browsing.await_heading(page, "Factor 32")
    page.wait_for_selector("main:not([aria-busy])")
    page.close()
