"""The page in a real browser, opened from disk as by double-click."""

import re
import threading

import browsing
import pytest

from tfvis_jax.viewer import bundle, server


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_nothing_sticks_out_and_text_has_contrast(browser, folder, scheme, width):
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme
    )
    page = context.new_page()
    for address in ("#/", "#/factor/13?layer=4"):
        page.goto("about:blank")
        browsing.open_page(page, folder, address)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(_CONTRASTS) >= 4.5
    context.close()


def test_the_theme_switch_is_remembered(page, folder):
    browsing.open_page(page, folder)
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
        browsing.open_page(page, tmp_path / "site", f"#/factor/{factor}")
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
    browsing.open_page(page, tmp_path / "site")
    assert browsing.numbers(page) == [0]
    assert "layer 4" in page.inner_text(".about")
    page.click(".rows .number a")
    browsing.await_heading(page, "Factor 0")
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
