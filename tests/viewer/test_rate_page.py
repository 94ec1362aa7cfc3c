"""Rating contexts on the page: answers, decoys, results, files, the run."""

import json
import re

import numpy as np
import pytest
from scipy import stats

from tfvis_jax.runs import ratings
from tfvis_jax.viewer import bundle, server
from viewer import browsing, serving

metrics = pytest.importorskip("sklearn.metrics")
HASH = "ab" * 32
EVIL = "<img src=x onerror=alert(1)> |"


@pytest.fixture(scope="module")
def site(tmp_path_factory, make_site):
    folder = tmp_path_factory.mktemp("rated") / "site"
    bundle.write(folder, make_site(dictionary_hash=HASH))
    return folder


def _numbers(page, site):
    browsing.open_page(page, site, "#/rate")
    page.wait_for_selector("h1:text-is('Ratings')")


def test_nothing_rated_is_nothing_to_save(page, site):
    _numbers(page, site)
    button = page.get_by_role("button", name="Download ratings.json")
    assert button.is_disabled()
    reason = button.get_attribute("aria-describedby")
    assert "nothing to download" in page.inner_text(f"#{reason}")
    assert not page.locator(".rate details.take").is_visible()
    assert "Rating tests what a factor is said to stand for" in page.inner_text(".lead")
    # Once there is a rating, there is something.
    page.evaluate(
        "tfvis.ratings.put({factor: 13, layer: 4, by: '', hypothesis: 'a river', "
        "changed: '', judged: []})"
    )
    page.reload()
    page.wait_for_selector("h1:text-is('Ratings')")
    assert button.is_enabled() and page.locator("#nothing-rated").count() == 0
    assert page.locator(".rate details.take").is_visible()


def test_wilson_is_scipys_and_kappa_scikit_learns(page, site):
    _numbers(page, site)
    for fits, n in ((0, 1), (1, 1), (0, 20), (7, 20), (20, 20), (176, 200)):
        expected = stats.binomtest(fits, n).proportion_ci(0.95, method="wilson")
        got = page.evaluate("([k, n]) => tfvis.rated.wilson(k, n)", [fits, n])
        assert got == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert page.evaluate("tfvis.rated.wilson(0, 0)") == [0, 1]
    rng = np.random.default_rng(0)
    for _ in range(10):
        sides = rng.choice(["fits", "not", "skip"], (2, 40), p=[0.6, 0.3, 0.1])
        given = [
            {
                "judged": [
                    {"context": str(i), "band": "top", "says": str(says)}
                    for i, says in enumerate(side)
                ]
            }
            for side in sides
        ]
        got = page.evaluate("([a, b]) => tfvis.rated.agreement(a, b)", given)
        both = (sides != "skip").all(axis=0)
        assert got["n"] == both.sum()
        assert got["kappa"] == pytest.approx(
            metrics.cohen_kappa_score(*sides[:, both]), abs=1e-12
        )
    # Both always say the same.
    one = {"judged": [{"context": "1", "band": "top", "says": "fits"}]}
    assert page.evaluate("(a) => tfvis.rated.agreement(a, a)", one)["kappa"] is None


def test_contexts_have_the_names_that_the_package_gives_them(page, site):
    _numbers(page, site)
    for text in (("", "", ""), ("a ", "left", " b"), ("é👩", "<b>", "\u2028")):
        got = page.evaluate("(text) => tfvis.rated.contextId(...text)", list(text))
        assert got == ratings.context_id(*text)


def test_an_order_is_a_permutation_that_a_seed_decides(page, site):
    _numbers(page, site)
    shuffled = "(seed) => tfvis.rated.shuffled([...Array(50).keys()], seed)"
    first = page.evaluate(shuffled, "a")
    assert sorted(first) == list(range(50)) and first != list(range(50))
    assert page.evaluate(shuffled, "a") == first
    assert page.evaluate(shuffled, "b") != first


def _begin(page, url="", *, name="Ada", stands="a river"):
    page.get_by_label("Your name").fill(name)
    page.get_by_label("It stands for").fill(stands)
    page.get_by_label("It stands for").press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector(".judging")


def _items(page, factor=13, place=2):
    return page.evaluate(
        "async ([f, i]) => tfvis.toRate(await tfvis.data.factor(f), i)", [factor, place]
    )


def test_a_factor_is_rated_by_keyboard_alone(page, site):
    browsing.open_page(page, site, "#/factor/13?layer=4")
    browsing.await_heading(page, "Factor 13")
    page.keyboard.press("t")
    page.wait_for_selector("h1:has-text('Factor 13, layer 4')")
    items = _items(page)
    own = {each["id"] for each in items if each["band"] != "decoy"}
    assert len(own) == 25 and len(items) == 25 + 13
    # Without a hypothesis there is nothing to rate.
    page.get_by_role("button", name="Begin").click()
    page.wait_for_selector(".notice:has-text('Say first')")
    _begin(page)
    said = {}
    for _ in range(len(items)):
        text = page.inner_text(".rated-text")
        key = "n" if "passage 3 " in text else "u" if "passage 4 " in text else "y"
        said[text] = key
        page.keyboard.press(key)
    page.wait_for_selector(".verdict")
    assert len(said) == len(items)
    by_text = {"".join((e["before"], e["word"], e["after"])): e for e in items}
    of_own = [key for text, key in said.items() if by_text[text]["id"] in own]
    fits, judged = of_own.count("y"), len(of_own) - of_own.count("u")
    low, high = stats.binomtest(fits, judged).proportion_ci(0.95, method="wilson")
    verdict = page.inner_text(".verdict")
    assert f"{fits} of {judged}" in verdict
    assert f"{round(100 * low)}–{round(100 * high)} %" in verdict
    decoys = [key for text, key in said.items() if by_text[text]["id"] not in own]
    n = decoys.count("y"), len(decoys) - decoys.count("u")
    row = page.locator("tr:has(th:text-is('Decoys'))").inner_text()
    assert f"{n[0]} of {n[1]}" in row
    assert "may be so wide" in page.inner_text(".narrow")
    # One that does not fit is named below; its activation is known again.
    assert page.locator(".odd li").count() == of_own.count("n") + n[0]

    # What was said is there after a reload, and on the page of all ratings.
    page.reload()
    page.wait_for_selector(".verdict")
    assert page.inner_text(".verdict") == verdict
    page.click("text=All ratings")
    page.wait_for_selector("h1:text-is('Ratings')")
    assert "a river" in page.inner_text(".rate tbody")
    page.go_back()
    page.wait_for_selector(".verdict")


def test_decoys_are_other_factors_contexts_and_hide_among_them(page, site):
    browsing.open_page(page, site, "#/rate/13?layer=4")
    items = _items(page)
    decoys = [each for each in items if each["band"] == "decoy"]
    assert all(each["from"] != 13 for each in decoys)
    own = {each["id"] for each in items if each["from"] is None}
    assert not own & {each["id"] for each in decoys}
    assert len({each["id"] for each in items}) == len(items)
    # Words of the factor itself are no decoys: it may well fire on them.
    words = page.evaluate("async () => (await tfvis.data.factor(13)).words")
    assert not {word for word, _ in words} & {each["word"] for each in decoys}
    # The same for every rater.
    assert [each["id"] for each in _items(page)] == [each["id"] for each in items]
    _begin(page)
    page.click(".judging [data-value=list]")
    page.wait_for_selector(".to-judge")
    # Nothing tells them apart: no activation, no document, no colour.
    shown = page.eval_on_selector_all(
        ".to-judge li",
        "all => all.map((li) => li.innerHTML.replace(/<p.*?<\\/p>/s, ''))",
    )
    assert len({re.sub(r"<kbd.*?</kbd>| ", "", each) for each in shown}) == 1
    assert page.locator(".to-judge mark[style], .to-judge mark[title]").count() == 0


def test_every_state_is_in_the_address(page, site):
    browsing.open_page(page, site, "#/rate/13?layer=4")
    _begin(page)
    page.keyboard.press("y")
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**at=3*")
    third = page.inner_text(".rated-text")
    page.reload()
    page.wait_for_selector(".judging")
    assert page.inner_text(".rated-text") == third
    assert "1 of 38 judged" in page.inner_text(".judging")
    page.click(".judging [data-value=list]")
    page.wait_for_selector(".to-judge")
    assert "view=list" in page.url
    assert page.inner_text(".to-judge .now .rated-text") == third
    page.keyboard.press("n")
    page.keyboard.press("ArrowUp")
    now = page.locator(".to-judge .now")
    assert now.locator("[aria-pressed=true]").inner_text().startswith("Does not fit")
    page.go_back()
    page.wait_for_selector(".judging > .rated-text")
    page.go_forward()
    page.wait_for_selector(".to-judge")
    page.keyboard.press("Escape")
    browsing.await_heading(page, "Factor 13")
    # Another layer is rated anew.
    page.evaluate("location.hash = '#/rate/13?layer=6'")
    page.wait_for_selector("h1:has-text('layer 6')")
    assert page.get_by_role("button", name="Begin").count() == 1
    assert page.get_by_label("Your name").input_value() == "Ada"


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("#/rate/99", "0 to 39"),
        ("#/rate/x%3Cb%3E", "0 to 39"),
        ("#/rate/5", "dead"),
    ],
)
def test_what_cannot_be_rated_is_said(page, site, address, message):
    browsing.open_page(page, site, address)
    assert message in page.inner_text(".page:not(.list) .notice")


def _file(items, by, says, **head):
    judged = [
        {"context": each["id"], "band": each["band"], "says": say}
        for each, say in zip(items, says, strict=True)
    ]
    rating = {"factor": 13, "layer": 4, "by": by, "hypothesis": EVIL, "judged": judged}
    return json.dumps(
        {"schema": "tfvis-ratings/1", "dictionary_hash": HASH, "ratings": [rating]}
        | head
    ).encode()


def _open_file(page, content, name="ratings.json"):
    page.set_input_files(
        "input[type=file]",
        {"name": name, "mimeType": "application/json", "buffer": content},
    )


def test_two_raters_are_held_against_each_other(page, site):
    browsing.open_page(page, site, "#/rate/13?layer=4&step=result")
    items = _items(page)
    rng = np.random.default_rng(3)
    sides = rng.choice(["fits", "not", "skip"], (2, len(items)), p=[0.6, 0.3, 0.1])
    for by, side in zip(("Bob", EVIL), sides, strict=True):
        _open_file(page, _file(items, by, side.tolist()))
        page.wait_for_selector(f"bdi:text-is('{by}')")
    both = (sides != "skip").all(axis=0)
    kappa = metrics.cohen_kappa_score(*sides[:, both])
    told = page.inner_text(".kappa")
    assert f"{both.sum()} contexts judged by both" in told
    assert f"κ {kappa:.2f}" in told
    assert page.query_selector_all("main img") == []
    # They stay in this browser, and leave it as a file.
    page.reload()
    page.wait_for_selector(".kappa")
    with page.expect_download() as download:
        page.click("text=Download ratings.json")
    value = json.loads(download.value.path().read_text())
    assert {each["by"] for each in value["ratings"]} == {"Bob", EVIL}
    assert value["dictionary_hash"] == HASH


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"oops", "is not JSON"),
        (b"[]", "something else"),
        (_file([], "A", [], schema="tfvis-notes/1"), "something else"),
        (_file([], "A", [], dictionary_hash="cd" * 32), "another dictionary"),
        (_file([], "A", [], ratings=[{"factor": 1}]), "something else"),
        (_file([{"id": "1", "band": "top"}], "A", ["perhaps"]), "something else"),
    ],
)
def test_other_files_are_refused(page, site, content, message):
    browsing.open_page(page, site, "#/rate")
    _open_file(page, content)
    page.wait_for_selector(f".notice:has-text('{message}')")


def test_a_rating_is_saved_in_the_run(browser, site, tmp_path):
    store = ratings.Store(tmp_path / "ratings.json", dictionary_hash=HASH, n_factors=40)
    with serving.up(server.make_server(site, port=0, ratings=store)) as running:
        page = browser.new_page()
        complaints = []
        page.on("console", lambda message: complaints.append(message.text))
        page.goto(f"http://127.0.0.1:{running.server_port}/#/rate/13?layer=4")
        page.wait_for_selector("html[data-ready]")
        _begin(page, stands=EVIL)
        page.keyboard.press("y")
        page.keyboard.press("n")
        page.click("text=Result so far")
        page.wait_for_selector("text=not saved yet")
        page.click("text=Save in the run")
        page.wait_for_selector("text=Saved in the run.")
        assert page.locator("text=not saved yet").count() == 0
        [kept] = store.read()
        assert (kept.factor, kept.layer, kept.by) == (13, 4, "Ada")
        assert kept.hypothesis == EVIL
        assert [each.says for each in kept.judged] == ["fits", "not"]
        page.reload()
        page.wait_for_selector(".verdict")
        assert EVIL in page.inner_text("main")
        assert page.query_selector_all("main img") == []
        # What the server refuses is said.
        (tmp_path / "ratings.json").write_text("{}")
        page.click("text=Save in the run")
        page.wait_for_selector(".rate-tools .notice")
        page.close()
    assert [text for text in complaints if "status of 400" not in text] == []


@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_sticks_out(browser, site, width):
    page = browser.new_page(viewport={"width": width, "height": 768})
    browsing.open_page(page, site, "#/rate/13?layer=4")
    _begin(page, stands="w" * 400, name="n" * 40)
    page.keyboard.press("y")
    for query in ("step=judge", "step=judge&view=list", "step=result", ""):
        page.evaluate(f"location.hash = '#/rate/13?layer=4&{query}'")
        page.wait_for_selector("h1:has-text('layer 4')")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate("location.hash = '#/rate'")
    page.wait_for_selector("h1:text-is('Ratings')")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()
