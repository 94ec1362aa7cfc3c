"""One cell explained on demand, in a real browser; unknown tokens; related factors."""

import http.client
import json
import threading
import urllib.parse

import pytest

from tfvis_jax import errors
from tfvis_jax.viewer import bundle, sentences, site
from viewer import browsing, serving, spoken

TEXT = "He left the bank."
WEIGHTS = ([0.0, 0.3, -0.1, 0.2, 0.0], [0.05, 0.31, -0.12, 0.2, 0.0])


class _Encoder:
    """Explains with made-up weights; waits before the second while ``gate`` is shut."""

    def __init__(self):
        self.gate = threading.Event()
        self.gate.set()
        self.r2 = 0.8
        self.asked = []
        self.ended = threading.Event()

    def release(self):
        self.gate.set()

    def warm_up(self):
        yield

    def encode(self, text, *, masked):
        head, *layers = spoken.records(text, masked=masked)
        unknown = [i for i, token in enumerate(head["tokens"]) if token.startswith("☃")]
        yield head | {"unknown": unknown}
        yield from layers

    def explain(self, text, *, cell):
        self.asked.append((text, cell.token, cell.layer, cell.factor))
        if cell.factor == 39:
            raise errors.InputError("Factor 39 does not fire at this token.")
        try:
            for number, weights in enumerate(WEIGHTS):
                if number:
                    assert self.gate.wait(120)
                yield sentences.explanation(
                    weights=weights,
                    activation=0.7,
                    r2=self.r2,
                    samples=256 * (number + 1),
                    relative_error=0.2 / (number + 1),
                )
        finally:
            self.ended.set()


@pytest.fixture
def encoder():
    return _Encoder()


@pytest.fixture
def port(folder, encoder):
    with serving.running(folder, encoder) as port:
        yield port


def _open(tab, port, text=TEXT, **params):
    query = urllib.parse.urlencode({"text": text, **params})
    tab.goto("about:blank")
    tab.goto(f"http://127.0.0.1:{port}/#/sentence?{query}")
    tab.wait_for_selector("html[data-ready]")
    tab.wait_for_selector(".cell-panel h2:has-text('layer 6'), .cell-panel")
    tab.wait_for_selector("td.waiting", state="detached")


def _weights(tab):
    rows = tab.query_selector_all(".lime .as-table tbody tr")
    return [float(row.query_selector("td").text_content()) for row in rows]


def test_a_cell_is_explained_and_refined(tab, port, encoder):
    _open(tab, port, token=1, layer=4)
    assert "“left”" in tab.inner_text("#lime-title")
    assert "layer 4" in tab.inner_text("#lime-title")
    strongest = int(spoken.codes("left", 4).argmax())
    assert tab.input_value("#lime-factor") == str(strongest)
    encoder.gate.clear()
    tab.focus("#lime-factor")
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    tab.wait_for_selector(".lime-map")
    assert _weights(tab) == WEIGHTS[0]
    assert "from 256 sentences" in tab.inner_text(".lime [role=status]")
    assert tab.is_disabled(".lime button")
    encoder.gate.set()
    tab.wait_for_selector(".lime [role=status]:has-text('512 sentences')")
    tab.wait_for_selector(".lime button:not([disabled])")
    assert _weights(tab) == WEIGHTS[1]
    status = tab.inner_text(".lime [role=status]")
    assert "α = 0.700" in status and "R² of the linear fit 0.8" in status
    assert "10 % of the largest weight" in status
    assert tab.text_content(".lime-map") == TEXT
    kinds = tab.eval_on_selector_all(
        ".lime-token", "all => all.map(t => [t.textContent, t.className])"
    )
    assert kinds == [
        ["He", "lime-token for"],
        ["left", "lime-token for here"],
        ["the", "lime-token against"],
        ["bank", "lime-token for"],
        [".", "lime-token"],
    ]
    assert tab.query_selector(".lime .narrow") is None
    assert encoder.asked == [(TEXT, 1, 4, strongest)]
    # Another cell begins anew.
    tab.click("td[data-token='3'][data-layer='4']")
    tab.wait_for_selector("#lime-title:has-text('bank')")
    assert tab.query_selector(".lime-map") is None


def test_a_weak_fit_is_called_weak(tab, port, encoder):
    encoder.r2 = 0.3
    _open(tab, port, token=1, layer=4)
    tab.click(".lime button")
    tab.wait_for_selector(".lime .narrow:has-text('explains little')")


def test_who_goes_elsewhere_stops_it(tab, port, encoder):
    _open(tab, port, token=1, layer=4)
    encoder.gate.clear()
    tab.click(".lime button")
    tab.wait_for_selector(".lime-map")
    tab.evaluate("location.hash = '#/'")
    tab.wait_for_selector(".list:not([hidden])")
    encoder.gate.set()
    assert encoder.ended.wait(120)


def _post(port, body, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    sent = {"Content-Type": "application/json", **headers}
    connection.request("POST", "/api/explain", json.dumps(body), sent)
    response = connection.getresponse()
    lines = [json.loads(line) for line in response.read().splitlines()]
    connection.close()
    return response.status, lines


CELL = {"text": TEXT, "token": 1, "layer": 4, "factor": 3}


@pytest.mark.parametrize(
    ("body", "headers", "status", "message"),
    [
        (CELL | {"factor": 39}, {}, 400, "does not fire"),
        (CELL | {"factor": "x"}, {}, 400, "factor"),
        (CELL | {"token": -1}, {}, 400, "token"),
        (CELL | {"more": 1}, {}, 400, "more"),
        ({"text": TEXT}, {}, 400, "token"),
        ([], {}, 400, "Send"),
        (CELL, {"Origin": "http://evil.example"}, 403, "own page"),
        (CELL, {"Content-Type": "text/plain"}, 415, "text/plain"),
    ],
)
def test_what_cannot_be_explained_is_said(port, body, headers, status, message):
    got, [line] = _post(port, body, **headers)
    assert got == status and message in line["error"]


def test_explanations_are_streamed_in_the_queue_of_sentences(port):
    status, lines = _post(port, CELL)
    assert status == 200
    assert [line["weights"] for line in lines] == list(map(list, WEIGHTS))
    assert [line["samples"] for line in lines] == [256, 512]


def test_unknown_tokens_are_named(tab, port):
    _open(tab, port, "He saw ☃ and ☃☃ there.")
    notice = tab.inner_text(".unknown")
    assert notice.startswith("2 of 7 tokens are unknown")
    assert notice.endswith("☃, ☃☃.")
    _open(tab, port)
    assert not tab.is_visible(".unknown")


def test_files_without_a_server_explain_nothing(page, folder):
    browsing.open_page(page, folder, "#/sentence?text=He+left+the+bank.")
    page.wait_for_selector(".cell-panel")
    assert not page.is_visible(".lime")


@pytest.fixture(scope="module")
def related(tmp_path_factory, make_site):
    def relatives(factor):
        return site.Relatives(
            nearest=[(2, 0.9), (5, 0.5)],
            together=[[(7, 0.25)], [], [(8, 0.125)], []],
            raises=[("##ing", 1.5), ("<b>", 0.5)] if factor == 13 else [],
            lowers=[("the", -2.0)] if factor == 13 else [],
        )

    folder = tmp_path_factory.mktemp("related") / "site"
    levels = ["low", "mid", "high", "odd"] * 10
    bundle.write(folder, make_site(relatives=relatives, levels=levels))
    return folder


def test_related_factors_follow_the_layer(page, related):
    browsing.open_page(page, related, "#/factor/13?layer=0")
    panel = "section:has(#relatives-title)"
    text = " ".join(page.inner_text(panel).split())
    assert "Φ2" in text and "0.900" in text and "Φ5 dead" in text
    assert "Fires on the same tokens at layer 0" in text and "Φ7" in text
    assert "Makes likelier ##ing 1.50 <b> 0.500" in text
    assert "Makes less likely the -2.00" in text
    page.keyboard.press("]")
    page.wait_for_selector(f"{panel} h3:has-text('layer 2')")
    assert "None was counted" in page.inner_text(panel)
    page.keyboard.press("]")
    page.wait_for_selector(f"{panel} h3:has-text('layer 4')")
    page.click(f"{panel} a:text-is('Φ8')")
    browsing.await_heading(page, "Factor 8")
    assert "Makes likelier" not in page.inner_text(panel)


def test_related_factors_are_offered_for_comparison(page, related):
    browsing.open_page(page, related, "#/compare?f=13&layer=0")
    offered = ".compare-related a"
    page.wait_for_selector(offered)
    # Φ5 is dead.
    said = page.locator(offered).all_inner_texts()
    assert [text.split()[0] for text in said] == ["Φ2", "Φ7"]
    page.click(f"{offered} >> nth=1")
    page.wait_for_selector("section[aria-label='Factor 7']")
    assert page.url.endswith("#/compare?f=13%2C7&layer=0")
    # Those of both, and none that is here.
    said = page.locator(offered).all_inner_texts()
    assert [text.split()[0] for text in said] == ["Φ2"]


def test_levels_of_other_names_are_shown_and_filtered(page, related):
    browsing.open_page(page, related, "#/factor/3")
    assert page.inner_text("h1 .level").split()[:2] == ["◇", "odd"]
    browsing.open_page(page, related, "#/?level=odd")
    # Rows below the fold are made when they are scrolled to.
    shown = browsing.numbers(page)
    assert len(shown) >= 5
    assert shown == list(range(3, 40, 4))[: len(shown)]
    assert page.inner_text(".chip[data-level=odd] small") == "10"
