"""The page in a real browser, opened from disk as by double-click."""

import re
import shutil
import threading

import pytest

from tfvis_jax.viewer import bundle, server

api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]


@pytest.fixture(scope="module")
def browser():
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no Chromium on this machine")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, make_site):
    folder = tmp_path_factory.mktemp("run") / "site"
    bundle.write(folder, make_site())
    return folder


@pytest.fixture
def page(browser):
    """A page; the test fails if it asked for more than files, or complained."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(10_000)
    requests, complaints = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    title = page.title()
    context.close()
    assert [url for url in requests if not url.startswith("file:")] == []
    assert requests
    assert complaints == []
    assert title != "broken"


def _open(page, folder, address="#/"):
    page.goto(f"{(folder / 'index.html').as_uri()}{address}")
    page.wait_for_selector("html[data-ready]")


def _numbers(page):
    return [int(a.inner_text()) for a in page.query_selector_all(".rows .number a")]


def _heading(page, text):
    page.wait_for_selector(f"article h1:has-text('{text}')")


def test_the_list_says_what_the_run_is(page, folder):
    _open(page, folder)
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
    # Dead factors are hidden at first; only rows near the view exist.
    assert _numbers(page)[:7] == [0, 1, 2, 3, 4, 6, 7]
    assert len(_numbers(page)) < 39
    page.get_by_label("Show 1 dead").check()
    assert _numbers(page)[5] == 5
    assert "dead" in page.inner_text(".row.dead")


def test_search_filters_and_sorting_are_in_the_address(page, folder, make_site):
    _open(page, folder)
    page.fill("#search", "riv")
    found = _numbers(page)
    index = bundle.read(folder, "data/index")
    river = index["vocabulary"].index("river")
    expected = [
        f for f in range(40) if f != 5 and river in [w for w, _ in index["words"][f]]
    ]
    assert found == expected[: len(found)]
    assert found
    assert "q=riv" in page.url

    page.fill("#search", "17")
    assert _numbers(page) == [17]
    page.fill("#search", "zebra")
    assert _numbers(page) == []
    assert "zebra" in page.inner_text(".list section > .notice")
    page.fill("#search", "")

    page.click("button.chip:has-text('mid')")
    assert {f % 4 for f in _numbers(page)} == {1}
    page.click("button.chip:has-text('all')")

    page.click("button.sort:has-text('Max')")
    top = make_site().max_activation.max(axis=0).argsort()[::-1]
    assert _numbers(page)[:5] == list(top[:5])
    assert page.get_attribute("[aria-sort]", "aria-sort") == "descending"
    assert "sort=-activation" in page.url
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert _numbers(page)[:5] == list(top[:5])


def test_scrolling_shows_other_rows(page, folder):
    _open(page, folder)
    page.evaluate("window.scrollTo(0, document.documentElement.scrollHeight)")
    page.wait_for_selector(".rows a:text-is('39')")
    assert _numbers(page) == sorted(_numbers(page))
    assert 0 not in _numbers(page)


def test_from_the_list_to_a_factor_and_back(page, folder):
    _open(page, folder)
    page.fill("#search", "13")
    page.click(".rows .number a")
    _heading(page, "Factor 13")
    assert page.title().startswith("Factor 13")
    page.go_back()
    page.wait_for_selector(".list:not([hidden])")
    assert page.input_value("#search") == "13"
    page.go_forward()
    _heading(page, "Factor 13")


def test_the_curve_and_the_table_have_the_values(page, folder):
    _open(page, folder, "#/factor/13")
    points = page.query_selector_all(".chart .point")
    values = [float(point.get_attribute("data-value")) for point in points]
    assert values == [1.25, 2.5, 7.5, 5.0]
    # Height in the picture is linear in the value, and above its column's centre.
    heights, xs = zip(
        *(
            (float(c.get_attribute("cy")), float(c.get_attribute("cx")))
            for c in page.query_selector_all(".chart .point circle")
        ),
        strict=True,
    )
    slope = (heights[2] - heights[0]) / (values[2] - values[0])
    assert slope < 0
    assert heights[1] == pytest.approx(heights[0] + slope * 1.25, abs=0.01)
    left = page.query_selector(".chart").bounding_box()["x"]
    for x, cell in zip(
        xs,
        page.query_selector_all(".values thead td, .values thead th")[1:],
        strict=True,
    ):
        box = cell.bounding_box()
        # Table columns are laid out in whole pixels.
        assert left + x == pytest.approx(box["x"] + box["width"] / 2, abs=1.5)
    row = page.query_selector_all(".values tbody tr")[0]
    assert row.inner_text().split() == ["Importance", "1.25", "2.50", "7.50", "5.00"]


def test_layers_switch_by_click_by_key_and_by_address(page, folder):
    _open(page, folder, "#/factor/13?layer=2")
    title = "#contexts-title"
    assert page.inner_text(title) == "Strongest contexts at layer 2"
    first = page.inner_text(".context .value")
    page.click(".chart .point >> nth=2")
    page.wait_for_selector(f"{title}:has-text('layer 4')")
    assert "layer=4" in page.url
    assert page.inner_text(".context .value") != first
    page.keyboard.press("]")
    page.wait_for_selector(f"{title}:has-text('layer 6')")
    page.keyboard.press("]")
    assert "layer=6" in page.url
    page.keyboard.press("[")
    page.wait_for_selector(f"{title}:has-text('layer 4')")
    page.click("button.layer:text-is('0')")
    page.wait_for_selector(f"{title}:has-text('layer 0')")
    page.go_back()
    page.wait_for_selector(f"{title}:has-text('layer 4')")
    page.focus(".chart .point.chosen")
    page.keyboard.press("ArrowUp")
    page.wait_for_selector(f"{title}:has-text('layer 2')")
    assert page.evaluate("document.activeElement.dataset.layer") == "2"
    # Without a layer in the address the peak is shown.
    page.evaluate("location.hash = '#/factor/13'")
    page.wait_for_selector(f"{title}:has-text('layer 4')")


def test_contexts_are_text_marked_and_strong_by_activation(
    page, folder, make_site, evil
):
    _open(page, folder, "#/factor/13?layer=4")
    given = make_site().contexts(13)[2]
    shown = page.query_selector_all(".context")
    assert len(shown) == 20
    text = shown[0].query_selector(".text").text_content()
    assert text == given[0].before + given[0].word + given[0].after
    assert evil in text
    assert shown[0].query_selector("mark").inner_text() == given[0].word
    assert shown[0].query_selector("cite").inner_text() == "Article 0"
    assert float(shown[0].query_selector(".value").inner_text()) == 15.0
    assert page.query_selector_all("main img, main script") == []
    strengths = page.eval_on_selector_all(
        ".context mark",
        "marks => marks.map(m => Number(m.style.getPropertyValue('--strength')))",
    )
    # The page rounds to a thousandth; activations have four digits.
    assert strengths == [pytest.approx(1 / (1 + i / 30), abs=2e-3) for i in range(20)]
    assert page.inner_text(".more") == "Show 5 more of 5"
    page.click(".more")
    assert len(page.query_selector_all(".context")) == 25
    assert not page.is_visible(".more")


def test_aligned_contexts_have_the_word_in_one_place(page, folder):
    _open(page, folder, "#/factor/13")
    centres = page.eval_on_selector_all(
        ".aligned mark",
        "ms => ms.map(m => m.getBoundingClientRect()).map(b => b.left + b.width / 2)",
    )
    assert len(centres) == 20
    assert max(centres) - min(centres) < 2
    page.click("button:text-is('Running text')")
    assert page.query_selector(".aligned") is None
    page.keyboard.press("a")
    assert page.query_selector(".aligned") is not None


def test_the_overview_has_all_layers_and_says_why_one_is_empty(page, folder):
    _open(page, folder, "#/factor/3")
    columns = page.query_selector_all(".column")
    assert [c.get_attribute("aria-label") for c in columns] == [
        f"Layer {layer}" for layer in (0, 2, 4, 6)
    ]
    assert "never fires in layer 0" in columns[0].inner_text()
    assert len(columns[1].query_selector_all("mark")) == 4
    columns[0].query_selector("button").click()
    page.wait_for_selector("text=This factor never fires in layer 0.")


def test_keys_walk_the_factors_and_skip_the_dead(page, folder):
    _open(page, folder, "#/factor/4")
    page.keyboard.press("ArrowRight")
    _heading(page, "Factor 6")
    page.keyboard.press("ArrowLeft")
    _heading(page, "Factor 4")
    page.keyboard.press("?")
    assert page.is_visible("#keys")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    assert not page.is_visible("#keys")
    _heading(page, "Factor 4")
    page.keyboard.press("/")
    page.wait_for_selector(".list:not([hidden])")
    page.wait_for_function("document.activeElement.id === 'search'")
    # Keys are text while one types, so `r` starts no walk to a random factor.
    page.keyboard.type("riverr?")
    assert page.input_value("#search") == "riverr?"
    page.fill("#search", "")
    page.keyboard.press("Tab")
    page.keyboard.press("r")
    page.wait_for_selector("article.factor")
    page.keyboard.press("Escape")
    page.wait_for_selector(".list:not([hidden])")


def test_next_follows_the_list_as_it_is_filtered(page, folder):
    _open(page, folder, "#/?level=high")
    page.click(".rows .number a >> nth=1")
    _heading(page, "Factor 6")
    assert "2 of 10" in page.inner_text(".trail")
    page.keyboard.press("ArrowRight")
    _heading(page, "Factor 10")


@pytest.mark.parametrize("number", ["40", "-1", "x", "1e3", "99999999999999999999"])
def test_a_factor_out_of_range_is_told_the_range(page, folder, number):
    _open(page, folder, f"#/factor/{number}")
    notice = page.inner_text("main .page:not([hidden]) .notice")
    assert "0 to 39" in notice
    assert number in notice


def test_a_dead_factor_and_an_unknown_layer_say_so(page, folder):
    _open(page, folder, "#/factor/5")
    assert "never fires on this corpus" in page.inner_text(".notice:visible")
    page.evaluate("location.hash = '#/factor/13?layer=3'")
    _heading(page, "Factor 13")
    assert "layers 0, 2, 4, 6" in page.inner_text("article .notice:visible")
    assert page.inner_text("#contexts-title").endswith("layer 4")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_nothing_sticks_out_and_text_has_contrast(browser, folder, scheme, width):
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme
    )
    page = context.new_page()
    for address in ("#/", "#/factor/13?layer=4"):
        page.goto("about:blank")
        _open(page, folder, address)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(_CONTRASTS) >= 4.5
    context.close()


def test_the_theme_switch_is_remembered(page, folder):
    _open(page, folder)
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.click("#theme")
    page.click("#theme")
    assert "Dark" in page.inner_text("#theme")
    assert page.evaluate(ground) != light
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert "Dark" in page.inner_text("#theme")


def test_a_missing_or_damaged_file_is_named(browser, tmp_path, make_site):
    bundle.write(tmp_path / "site", make_site())
    (tmp_path / "site/data/factors/00001.js").unlink()
    (tmp_path / "site/data/factors/00002.js").write_text("oops(")
    page = browser.new_page()
    for factor, shard in ((16, "00001"), (32, "00002")):
        page.goto("about:blank")
        _open(page, tmp_path / "site", f"#/factor/{factor}")
        assert f"data/factors/{shard}.js" in page.inner_text("[role=alert]")
    page.close()


def test_one_layer_and_one_factor(page, tmp_path, make_site):
    data = make_site()
    small = make_site(
        layers=(4,),
        n_factors=1,
        report={"share": [0.5], "device": "cpu"},
        featured=[],
        **{
            name: getattr(data, name)[:1, :1]
            for name in ("importance", "density", "max_activation")
        },
        levels=["low"],
        level_reasons=[""],
        contexts=lambda factor: data.contexts(factor)[:1],
    )
    bundle.write(tmp_path / "site", small)
    _open(page, tmp_path / "site")
    assert _numbers(page) == [0]
    assert "layer 4" in page.inner_text(".about")
    page.click(".rows .number a")
    _heading(page, "Factor 0")
    assert len(page.query_selector_all(".chart .point")) == 1
    assert page.query_selector(".column") is None


def test_the_served_site_needs_nothing_but_its_server(browser, folder):
    with server.make_server(folder, port=0) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        page = browser.new_page()
        requests, complaints = [], []
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        url = f"http://127.0.0.1:{running.server_port}/"
        page.goto(f"{url}#/factor/13")
        page.wait_for_selector(".context")
        page.close()
        running.shutdown()
        thread.join()
    assert complaints == []
    assert all(request.startswith(url) for request in requests)


def test_the_scripts_never_make_markup_from_text():
    files = [*(bundle.pathlib.Path(bundle.__file__).parent / "static").rglob("*.js")]
    assert len(files) > 10
    unsafe = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\("
    )
    assert [file.name for file in files if unsafe.search(file.read_text())] == []


# The least contrast of any text on the page against the colours under it (WCAG).
_CONTRASTS = """() => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((v) => {
      v /= 255;
      return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paint = (colours) => {
    pen.clearRect(0, 0, 1, 1);
    for (const colour of colours) {
      pen.fillStyle = colour;
      pen.fillRect(0, 0, 1, 1);
    }
    return luminance([...pen.getImageData(0, 0, 1, 1).data].slice(0, 3));
  };
  let least = 21;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
    if (element.closest("svg, .step.none, noscript, option, .shape")) continue;
    const grounds = [];
    for (let e = element; e; e = e.parentElement) {
      grounds.unshift(getComputedStyle(e).backgroundColor);
    }
    const ground = paint(grounds);
    const text = paint([...grounds, getComputedStyle(element).color]);
    const [low, high] = [text, ground].sort((a, b) => a - b);
    least = Math.min(least, (high + 0.05) / (low + 0.05));
  }
  return least;
}"""
