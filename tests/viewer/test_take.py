"""What the page lets one take away: files, links, paper."""

import csv
import io
import json
import pathlib
import re
from xml.etree import ElementTree

import pytest

from tfvis_jax.viewer import bundle, site
from viewer import browsing

_STATIC = pathlib.Path(bundle.__file__).parent / "static"
_SVG = "{http://www.w3.org/2000/svg}"
# All scripts and styles of the page, as a server sends them.


@pytest.fixture
def dark(browser, folder):
    """A dark page of factor 13 that may use the clipboard."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 900},
        color_scheme="dark",
        permissions=["clipboard-read", "clipboard-write"],
    )
    page = context.new_page()
    browsing.open_page(page, folder, "#/factor/13?layer=4")
    yield page
    context.close()


def _open(page, title):
    menu = page.locator(f"details.take:has(summary[aria-label='Save {title}'])")
    menu.locator("summary").click()
    return menu


def _save(page, menu, name):
    """Presses a button of an open menu; returns the file's name and content."""
    with page.expect_download() as download:
        menu.get_by_role("button", name=name, exact=True).click()
    found = download.value
    return found.suggested_filename, pathlib.Path(found.path()).read_bytes()


def _record(folder, factor):
    shard = bundle.read(folder, f"data/factors/{factor // 16:05d}")
    return shard["factors"][factor % 16]


def test_a_curve_is_a_file_of_its_own_that_reads_on_white(dark, folder):
    menu = _open(dark, "importance across layers")
    name, content = _save(dark, menu, "Curve as SVG")
    assert name == "A-run-for-tests-factor-13-layers.svg"
    text = content.decode()
    root = ElementTree.fromstring(text)
    assert root.tag == f"{_SVG}svg"
    # Nothing refers to the page or to another file.
    assert not re.search(r"class=|style=|var\(|light-dark|url\(|href|@import", text)
    labels = [node.text for node in root.iter(f"{_SVG}text")]
    words = [word for word, _ in _record(folder, 13)["words"][:2]]
    assert f"Φ13 {', '.join(words)}: importance across layers" in labels
    assert labels.count("Layer") == 1 and {"0", "2", "4", "6"} <= set(labels)
    [note] = root.iter(f"{_SVG}desc")
    assert "bert-tiny" in note.text
    for node in root.iter(f"{_SVG}text"):
        assert _luminance(node.get("fill", "#000000")) < 0.4
    [line] = [node for node in root.iter(f"{_SVG}path") if node.get("stroke")]
    assert line.get("fill") == "none"
    assert _luminance(line.get("stroke")) < 0.5

    name, content = _save(dark, menu, "Curve as PNG")
    assert name.endswith(".png") and content.startswith(b"\x89PNG")
    width = int.from_bytes(content[16:20])
    assert width == 3 * int(root.get("width"))


def _luminance(colour):
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_tables_have_a_header_with_units_and_the_numbers_of_the_run(dark, folder):
    record = _record(folder, 13)
    menu = _open(dark, "importance across layers")
    _, content = _save(dark, menu, "Curve as CSV")
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    assert [int(row["layer"]) for row in rows] == [0, 2, 4, 6]
    for column, key in (
        ("importance score (mean of top activations)", "importance"),
        ("maximum activation", "activation"),
        ("density (fraction of tokens)", "density"),
    ):
        assert [float(row[column]) for row in rows] == record[key]

    menu = _open(dark, "examples")
    name, content = _save(dark, menu, "Examples as CSV")
    assert name == "A-run-for-tests-factor-13-layer-4-top.csv"
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    assert len(rows) == 25  # All that are stored, not those shown alone.
    for row, (place, alpha, _, _) in zip(rows, record["contexts"][2], strict=True):
        assert float(row["activation"]) == alpha
        assert [row[k] for k in ("before", "word", "after", "document")] == (
            record["texts"][place][:4]
        )


def test_json_says_what_run_it_is_of(dark, folder):
    name, content = _save(dark, _open(dark, "examples"), "examples as JSON")
    value = json.loads(content)
    assert name == "A-run-for-tests-factor-13-layer-4.json"
    assert value["run"]["model"] == "bert-tiny"
    assert value["run"]["layers"] == [0, 2, 4, 6]
    [layer] = value["layers"]
    assert (value["factor"], value["band"], layer["layer"]) == (13, "top", 4)
    assert len(layer["examples"]) == 25


def test_examples_are_drawn_as_text(dark, evil):
    _, content = _save(dark, _open(dark, "examples"), "Examples as SVG")
    root = ElementTree.fromstring(content)
    assert {node.tag for node in root.iter()} <= {
        f"{_SVG}{tag}" for tag in ("svg", "title", "desc", "text", "rect", "g")
    }
    drawn = list(root.iter(f"{_SVG}text"))
    words = [n.text for n in drawn if n.get("font-weight") == "700"]
    assert len(words) == 21  # The heading, and what the page shows.
    assert words[-1].startswith("Φ13 ")
    names = [n.text for n in drawn if n.text.startswith("Article ")]
    assert names == [f"Article {rank}" for rank in range(20)]
    assert dark.title() != "broken"


def test_examples_are_drawn_with_the_words_that_fire_too(browser, make_site, tmp_path):
    """Shades stand behind their words, on either side and in either direction."""
    before, after = "They said that he had ", " a long while ago in Paris."
    leftward = "הוא אמר כי "

    def contexts(factor):
        latin = site.Context(
            **{"before": before, "word": "left", "after": after},
            **{"activation": 15.0, "document": "Travels"},
            # "said" at a half, "ago" at a quarter of the maximum.
            others=[(-17, 4, 7.5), (18, 3, 3.75), (25, 5, 12.0)],
        )
        hebrew = site.Context(
            **{"before": leftward, "word": "עזב", "after": " את הבית"},
            **{"activation": 3.0, "document": "מסעות", "others": [(-11, 3, 2.0)]},
        )
        # It is cut, and what is shaded is beyond.
        long = site.Context(
            **{"before": "far " * 60, "word": "left", "after": after},
            **{"activation": 2.0, "document": "D", "others": [(-240, 3, 2.0)]},
        )
        return [[], [], [latin, hebrew, long], []]

    bundle.write(tmp_path / "site", make_site(contexts=contexts))
    page = browser.new_page()
    browsing.open_page(page, tmp_path / "site", "#/factor/13?layer=4")
    shaded = page.locator(".context .also").all_inner_texts()
    assert shaded == ["said", "ago", "Paris", "הוא", "far"]
    # The same in the overview of all layers, which has the nearest words alone.
    column = page.locator(".column[aria-label='Layer 4'] .also")
    assert column.all_inner_texts() == shaded[:-1]
    _, content = _save(page, _open(page, "examples"), "Examples as SVG")
    root = ElementTree.fromstring(content)
    marks = [r for r in root.iter(f"{_SVG}rect") if r.get("rx") == "3"]
    shades = [r for r in root.iter(f"{_SVG}rect") if r.get("rx") == "2"]
    assert (len(marks), len(shades)) == (3, 4)
    texts = {node.text: node for node in root.iter(f"{_SVG}text")}
    width = """([font, text]) => {
      const pen = document.createElement("canvas").getContext("2d");
      pen.font = `12px ${font}`;
      return pen.measureText(text).width;
    }"""

    def measured(text):
        return page.evaluate(width, [root.get("font-family"), text])

    end = float(texts[before.strip()].get("x"))
    start = float(texts[after.strip()].get("x"))
    for shade, left, word, fill in (
        (shades[0], end - measured("said that he had"), "said", "rgb(255,207,128)"),
        (shades[1], start + measured("a long while "), "ago", "rgb(255,231,191)"),
        (shades[2], start + measured("a long while ago in "), "Paris", None),
    ):
        assert float(shade.get("x")) == pytest.approx(left, abs=1.5)
        assert float(shade.get("width")) == pytest.approx(measured(word), abs=1.5)
        if fill:
            assert _rgb(shade.get("fill")) == pytest.approx(_rgb(fill), abs=12)
    # From right to left, what comes before stands on the right, from there inwards.
    first = texts[leftward.strip()]
    assert first.get("direction") == "rtl"
    middle = float(marks[1].get("x"))
    assert float(first.get("x")) > middle
    right = float(first.get("x")) + measured(leftward.strip())
    outer = float(shades[3].get("x")) + float(shades[3].get("width"))
    assert outer == pytest.approx(right, abs=1.5)
    page.close()


def _rgb(text):
    if text.startswith("#"):
        return [int(text[i : i + 2], 16) for i in (1, 3, 5)]
    return [int(part) for part in re.findall(r"\d+", text)]


def test_a_picture_is_saved_by_the_first_click(page, folder):
    browsing.open_page(page, folder, "#/factor/13?layer=4")
    name, content = _save(page, _open(page, "examples"), "Examples as PNG")
    assert name == "A-run-for-tests-factor-13-layer-4-top.png"
    assert content.startswith(b"\x89PNG")


def test_the_link_of_a_panel_opens_what_it_shows(dark):
    menu = _open(dark, "importance across layers")
    menu.get_by_role("button", name="Copy link").click()
    menu.locator("text=Copied the link").wait_for()
    link = dark.evaluate("navigator.clipboard.readText()")
    assert link.endswith("index.html#/factor/13?layer=4")
    dark.keyboard.press("Escape")
    assert menu.get_attribute("open") is None
    assert "Save" in dark.evaluate("document.activeElement.getAttribute('aria-label')")
    # Escape closed the menu, not the page.
    assert "#/factor/13" in dark.url


def test_the_list_that_is_shown_is_what_is_saved(dark, folder):
    browsing.open_page(dark, folder, "#/?level=mid&sort=-activation")
    name, content = _save(
        dark, _open(dark, "the list of factors"), "Factors listed as CSV"
    )
    assert name == "A-run-for-tests-factors-mid.csv"
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    # 5, which is dead, has this level too.
    assert {int(row["factor"]) for row in rows} == set(range(1, 40, 4)) - {5}
    largest = [float(row["maximum activation"]) for row in rows]
    assert largest == sorted(largest, reverse=True)


@pytest.mark.parametrize(
    ("word", "cell"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+1", "'+1"),
        ("@x", "'@x"),
        ("-", "-"),
        ('a,"b"\n', 'a,"b"\n'),
    ],
)
def test_no_cell_of_a_table_is_a_formula(browser, make_site, tmp_path, word, cell):
    bundle.write(
        tmp_path / "site",
        make_site(labels={0: site.Label(text=word)}),
    )
    page = browser.new_page()
    browsing.open_page(page, tmp_path / "site")
    menu = _open(page, "the list of factors")
    _, content = _save(page, menu, "Factors listed as CSV")
    page.close()
    rows = list(csv.DictReader(io.StringIO(content.decode(), newline="")))
    assert rows[0]["label"] == cell


def test_the_parts_of_a_sentence_are_saved(browser, folder):
    page = browser.new_page()
    browsing.open_page(page, folder, "#/sentence?text=He+left+the+bank.&token=1")
    page.wait_for_selector(".cell-panel")
    menu = _open(page, "“He left the bank.”")
    name, content = _save(page, menu, "Grid as SVG")
    assert name == "A-run-for-tests-sentence-He-left-the-bank.svg"
    drawn = [n.text for n in ElementTree.fromstring(content).iter(f"{_SVG}text")]
    assert {"He", "left", "the", "bank", "Layer 0", "Layer 6"} <= set(drawn)
    _, content = _save(page, menu, "Grid as CSV")
    grid = list(csv.DictReader(io.StringIO(content.decode())))
    left = [r for r in grid if (r["text"], r["layer"]) == ("left", "6")]
    menu = _open(page, "the sum of “left” at layer 6")
    _, content = _save(page, menu, "Sum as CSV")
    terms = list(csv.DictReader(io.StringIO(content.decode())))
    assert [f"factor {row['factor']}" for row in left] == [
        row["term"] for row in terms[:-1]
    ]
    shares = [float(row["share of |x|^2"]) for row in terms]
    assert terms[-1]["term"] == "residual"
    # Shares have three digits.
    assert sum(shares) == pytest.approx(1, abs=0.01)
    name, content = _save(
        page, _open(page, "“left” through the layers"), "Curves as SVG"
    )
    assert len(list(ElementTree.fromstring(content).iter(f"{_SVG}polyline"))) == 5
    page.close()


def test_tables_are_rows_for_latex_and_nothing_in_them_is_a_command(dark, folder):
    menu = _open(dark, "examples")
    name, content = _save(dark, menu, "Examples as LaTeX")
    assert name.endswith("-top.tex")
    lines = content.decode().splitlines()
    assert "bert-tiny" in lines[0] and lines[0].startswith("% ")
    assert (lines[1], lines[-1]) == (r"\begin{table}", r"\end{table}")
    assert lines[2].startswith(r"\caption{Φ13 ")
    assert lines[2].endswith(
        "top-activating examples at layer 4. copies: near-duplicates left out.}"
    )
    lines = lines[2:-1]
    assert lines[1].startswith(r"\begin{tabular}{") and lines[-1] == r"\end{tabular}"
    assert [lines[2], lines[4], lines[-2]] == [r"\toprule", r"\midrule", r"\bottomrule"]
    rows = [lines[3], *lines[5:-2]]
    assert max(map(len, rows[0].split(" & "))) < 15
    columns = len(re.search(r"{([rl]+)}", lines[1])[1])
    assert len(rows) == 1 + len(_record(folder, 13)["contexts"][2])
    for row in rows:
        assert row.endswith(r" \\")
        # Whatever a text holds: as many cells as columns, and no other command.
        assert len(re.findall(r"(?<!\\)&", row)) == columns - 1
        assert not re.search(r"(?<!\\)[%$#_]", row)
    assert "<script>document.title = 'broken'</script>" in rows[1]


def test_characters_of_tex_stand_for_themselves(page, folder):
    browsing.open_page(page, folder)
    page.evaluate(
        """() => document.body.append(tfvis.take({
          title: "hostile",
          name: () => ["hostile"],
          parts: [{ label: "Rows", table: () => ({
            columns: ["100% & more", "α (a_b)", "n"],
            rows: [["[CLS] \\\\input{x} $a_b$ {~^#}\\n", -0.123456, 1013],
                   ["*", null, 0]],
          }) }],
        }))"""
    )
    menu = _open(page, "hostile")
    _, content = _save(page, menu, "Rows as LaTeX")
    lines = content.decode().splitlines()
    assert lines[2:4] == [
        r"\caption{Hostile. α: a\_b.}",
        r"\begin{tabular}{lrr}",
    ]
    lines = lines[2:]
    assert lines[3] == r"100\% \& more & α & n \\"
    assert lines[5] == (
        r"{[}CLS] \textbackslash{}input\{x\} \$a\_b\$ "
        r"\{\textasciitilde{}\textasciicircum{}\#\}  & $-$0.123 & 1013 \\"
    )
    assert lines[6] == r"{*} &  & 0 \\"


def test_the_sum_of_a_token_is_a_formula_to_copy(browser, folder):
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    browsing.open_page(page, folder, "#/sentence?text=He+left+the+bank.&token=1")
    menu = page.locator(".cell-panel details.take")
    menu.locator("summary").click()
    menu.get_by_role("button", name="Copy Sum in LaTeX").click()
    page.wait_for_selector(".cell-panel .take-said:text-is('Copied')")
    formula = page.evaluate("navigator.clipboard.readText()")
    rows = page.locator(".cell-panel .factor-row")
    terms = [
        rf"{row.locator('.alpha').first.inner_text()}\,\varphi_"
        rf"{{{row.locator('th').inner_text()[1:]}}}"
        for row in rows.all()
    ]
    more = [r"\cdots"] if page.locator(".cell-panel .rest").count() > 1 else []
    assert formula == f"$x = {' + '.join([*terms, *more, chr(92) + 'varepsilon'])}$"
    context.close()


@pytest.mark.parametrize(
    "address", ["#/factor/13?layer=4", "#/sentence?text=He+left+the+bank."]
)
@pytest.mark.parametrize("width", [1440, 390])
def test_a_page_prints_on_one_sheet_and_nothing_is_cut(browser, folder, address, width):
    page = browser.new_page(viewport={"width": width, "height": 900})
    browsing.open_page(page, folder, address)
    page.wait_for_selector("svg.chart")
    printed = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 1
    page.emulate_media(media="print")
    # The printed width of an A4 sheet, in CSS pixels.
    page.set_viewport_size({"width": 703, "height": 1000})
    browsing.await_width(page, 703)

    def fits():
        box = page.locator("svg.chart").bounding_box()
        width = page.evaluate("document.documentElement.scrollWidth")
        return box["x"] >= 0 and max(box["x"] + box["width"], width) <= 703

    browsing.wait_until(page, fits)
    page.close()
