"""How the page looks in a real browser: layout, contrast, themes."""

import pytest

from viewer import browsing

# Recorded, not recorded, and none.
_SENTENCES = (
    "#/sentence?text=He+left+the+bank.",
    "#/sentence?text=Not+recorded.",
    "#/sentence",
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_nothing_sticks_out_and_text_has_contrast(browser, folder, scheme, width):
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme
    )
    page = context.new_page()
    for address in ("#/", "#/factor/13?layer=4", "#/compare?f=1,2,13", *_SENTENCES):
        page.goto("about:blank")
        browsing.open_page(page, folder, address)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(_LEAST_CONTRAST) >= 4.5
    context.close()


def test_shares_are_told_apart_in_the_dark(browser, folder):
    page = browser.new_page(color_scheme="dark")
    browsing.open_page(page, folder, _SENTENCES[0])
    page.wait_for_selector(".cell-panel")
    page.evaluate(
        """() => {
          const layers = Array.from({ length: 101 }, (_, i) => i);
          const grid = tfvis.sentenceGrid(
            { tokens: ["a"], pieces: ["a"], words: [0], layers },
            "a", () => {}, () => {}
          );
          document.querySelector(".grid-box").replaceWith(grid.element);
          for (const layer of layers) {
            const factors = [[0, 1, layer / 100]];
            grid.add({ layer, tokens: [{ factors, l0: 1 }] });
          }
        }"""
    )

    def lightness(percent):
        cell = page.locator(f".grid td[data-layer='{percent}']")
        y = cell.evaluate(
            f"(e) => ({_LUMINANCE})([getComputedStyle(e).backgroundColor])"
        )
        return 116 * y ** (1 / 3) - 16 if y > 0.008856 else 903.3 * y

    assert lightness(30) - lightness(5) >= 15
    assert page.evaluate(_LEAST_CONTRAST) >= 4.5
    page.close()


def test_tables_are_tables(browser, folder):
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    for address in ("#/", "#/factor/13?layer=4", _SENTENCES[0], "#/compare?f=1,2"):
        page.goto("about:blank")
        browsing.open_page(page, folder, address)
        page.wait_for_selector("h1 >> visible=true")
        # A style of one page that meets a name of another would change this.
        shown = page.evaluate(
            "[...document.querySelectorAll('td, th')].map((cell) => "
            "getComputedStyle(cell).display)"
        )
        assert set(shown) <= {"table-cell"}
    page.close()


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


# The luminance of colours over each other (WCAG).
_LUMINANCE = """(colours) => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const pen = canvas.getContext("2d");
  for (const colour of colours) {
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
  }
  const [r, g, b] = [...pen.getImageData(0, 0, 1, 1).data].map((v) => {
    v /= 255;
    return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}"""

# The least contrast of any text on the page against the colours under it (WCAG).
_LEAST_CONTRAST = """() => {
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
