"""A factor taken out or added on demand, in a real browser, and who may ask."""

import http.client
import json
import shlex
import threading
import urllib.parse

import pytest

from tfvis_jax import errors
from tfvis_jax.viewer import live, sentences
from viewer import browsing, serving, spoken
from viewer.wordy import EVIL

TEXT = "He left the bank."


class _Encoder:
    """Says made-up effects; waits before the other factors while ``gate`` is shut."""

    def __init__(self):
        self.gate = threading.Event()
        self.gate.set()
        self.objective = "masked_lm"
        self.asked = []
        self.ended = threading.Event()

    def release(self):
        self.gate.set()

    def warm_up(self):
        yield

    def encode(self, text, *, masked):
        yield from spoken.records(text, masked=masked)

    def steer(self, text, *, masked, change):
        self.asked.append((text, masked, change))
        if change.factor == 39:
            raise errors.InputError("Expected factor 39 to fire.")
        n = len(spoken.tokens(text))
        others = [[0.1 * (1 + row)] * n for row in range(4)]
        words = [[(f"before{i}", 0.75), (EVIL, 0.25)] for i in range(n)]
        moved = [[(f"after{i}", 0.5), ("x", 0.5)] for i in range(n)]
        try:
            for controls in ([], others):
                if controls:
                    assert self.gate.wait(120)
                if self.objective is None:
                    yield sentences.steered(
                        objective=None,
                        effect=[0.25],
                        controls=[[row[0]] for row in controls],
                        relative_size=[0.125] * n,
                    )
                else:
                    yield sentences.steered(
                        objective=self.objective,
                        before=words,
                        after=moved,
                        effect=[0.35] * n,
                        controls=controls,
                        relative_size=[0.125] * n,
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


def _address(**params):
    return f"#/sentence?{urllib.parse.urlencode({'text': TEXT, **params})}"


def _open(tab, port, **params):
    tab.goto("about:blank")
    tab.goto(f"http://127.0.0.1:{port}/{_address(**params)}")
    tab.wait_for_selector("html[data-ready]")
    tab.wait_for_selector("td.waiting", state="detached")


def _status(tab):
    return tab.inner_text(".steer [role=status]")


def _done(tab):
    tab.wait_for_selector(".steer [role=status]:has-text('4 other factors')")
    tab.wait_for_selector(".steer .inquiry-ask button:enabled")


def test_a_factor_is_taken_out_beside_others(tab, port, encoder):
    loaded = []
    tab.on("request", lambda request: loaded.append(request.url))
    _open(tab, port, token=1, layer=4)
    assert not any(url.endswith("steer.js") for url in loaded)
    tab.click("text=Remove or add a factor…")
    tab.wait_for_selector(".steer")
    assert any(url.endswith("steer.js") for url in loaded)
    assert tab.inner_text("#steer-title") == "What a factor does at “left” at layer 4"
    strongest = int(spoken.codes("left", 4).argmax())
    assert tab.input_value("#steer-factor") == str(strongest)
    assert f"steer={strongest}" in tab.url
    encoder.gate.clear()
    tab.click(".steer .inquiry-ask button")
    tab.wait_for_selector(".steer [role=status]:has-text('0.35 nats')")
    assert "other factors" not in _status(tab) and _status(tab).endswith("More …")
    encoder.gate.set()
    _done(tab)
    assert encoder.asked == [(TEXT, (), live.Change(4, strongest, None, 1))]
    assert "hidden state was moved by 13 %" in _status(tab)
    # 0.1, 0.2 and 0.3 are less than 0.35.
    assert "0.25 (0.1 to 0.4)" in _status(tab)
    assert _status(tab).endswith("changes more than 3 of them.")
    [row, evil] = tab.query_selector_all(".steer > div > .plain tbody tr")
    assert row.inner_text().split() == ["before1", "75", "%", "after1", "50", "%"]
    assert EVIL in evil.inner_text()
    assert "Mask it to see" in tab.inner_text(".steer")
    tab.click(".steer summary")
    lines = tab.query_selector_all(".steer .as-table tbody tr")
    assert lines[3].inner_text().split()[:4] == ["bank", "before3", "after3", "0.35"]


def test_a_factor_is_added_at_all_tokens_and_the_command_is_said(tab, port, encoder):
    _open(tab, port, token=1, layer=4, steer=0)
    assert tab.input_value("#steer-factor") == "0"
    assert not tab.is_visible(".steer input")
    tab.select_option("#steer-change", "add")
    # What it has there already.
    assert float(tab.input_value(".steer input")) == pytest.approx(1.1, rel=1e-3)
    tab.fill(".steer input", "-2.5")
    tab.select_option("#steer-where", "all")
    said = shlex.split(tab.inner_text(".steer code"))
    assert said == [
        *("tfvis", "steer", "RUN"),
        *("--factor=0", "--layer=4", "--by=-2.5", TEXT),
    ]
    tab.click(".steer .inquiry-ask button")
    _done(tab)
    assert encoder.asked == [(TEXT, (), live.Change(4, 0, -2.5, None))]
    # Another choice: the answer of the first one is gone.
    tab.select_option("#steer-where", "one")
    assert _status(tab) == ""
    tab.click(".steer >> text=Close")
    tab.wait_for_selector(".steer", state="hidden")
    assert "steer=" not in tab.url


def test_the_panel_opens_in_view_and_says_which_sentence(tab, port):
    tab.emulate_media(reduced_motion="reduce")
    other = "They left."
    _open(tab, port, **{"with": other}, token=1, layer=4)
    tab.wait_for_selector(".pair-table")
    tab.locator("text=Remove or add a factor…").click()
    tab.wait_for_selector(".steer")
    box = "document.querySelector('.steer').getBoundingClientRect()"
    browsing.wait_until(tab, f"{box}.top >= 0 && {box}.bottom <= innerHeight")
    for panel in ("steer", "lime"):
        title = tab.inner_text(f"#{panel}-title")
        assert title.endswith(f"“left” at layer 4 of “{TEXT}”")
    assert tab.evaluate(
        f"{box}.top < document.querySelector('.lime').getBoundingClientRect().top"
    )
    # It opens again where it is open already.
    tab.evaluate("scrollTo(0, 0)")
    tab.locator("text=Remove or add a factor…").evaluate("e => e.click()")
    browsing.wait_until(tab, f"{box}.top >= 0 && {box}.bottom <= innerHeight")
    tab.click(".steer >> text=Close")
    tab.wait_for_selector(".steer", state="hidden")
    focused = "document.activeElement.textContent"
    assert tab.evaluate(focused) == "Remove or add a factor…"


def test_a_masked_token_is_steered_as_the_model_sees_it(tab, port, encoder):
    _open(tab, port, token=3, layer=4, mask=3, steer=1)
    tab.wait_for_selector(".steer:has-text('“[MASK]”')")
    assert "--mask=3" in tab.inner_text(".steer code")
    tab.click(".steer .inquiry-ask button")
    _done(tab)
    assert encoder.asked[0][1] == (3,)
    assert "Mask it to see" not in tab.inner_text(".steer")


def test_without_a_head_the_embedding_is_compared(tab, port, encoder):
    encoder.objective = None
    _open(tab, port, token=1, layer=4, steer=0)
    tab.click(".steer .inquiry-ask button")
    _done(tab)
    assert _status(tab).startswith("The sentence’s embedding moves by 0.25 (1 −")
    assert "no head that predicts" in _status(tab)
    # 0.1 and 0.2 of the four are less.
    assert "more than 2 of them" in _status(tab)
    assert tab.query_selector(".steer .plain") is None


def test_a_closed_page_ends_it(tab, port, encoder):
    _open(tab, port, token=1, layer=4, steer=0)
    encoder.gate.clear()
    tab.click(".steer .inquiry-ask button")
    tab.wait_for_selector(".steer [role=status]:has-text('0.35 nats')")
    tab.keyboard.press("Escape")
    tab.wait_for_selector(".list:not([hidden])")
    encoder.gate.set()
    assert encoder.ended.wait(120)


def test_a_closed_panel_ends_it_and_opens_empty(tab, port, encoder):
    _open(tab, port, token=1, layer=4, steer=0)
    encoder.gate.clear()
    tab.click(".steer .inquiry-ask button")
    tab.wait_for_selector(".steer [role=status]:has-text('0.35 nats')")
    with tab.expect_event("requestfailed") as failed:
        tab.click(".steer >> text=Close")
    assert failed.value.url.endswith("/api/steer")
    encoder.gate.set()
    assert encoder.ended.wait(120)
    tab.click("text=Remove or add a factor…")
    tab.wait_for_selector(".steer .inquiry-ask button:enabled")
    assert _status(tab) == ""


def test_a_text_that_begins_with_a_dash_is_no_flag(tab, port):
    address = _address(text="-- no", token=1, layer=4, steer=0)
    tab.goto(f"http://127.0.0.1:{port}/{address}")
    tab.wait_for_selector(".steer code:has-text('steer')")
    said = shlex.split(tab.inner_text(".steer code"))
    assert said[-2:] == ["--", "-- no"]


def test_files_say_what_to_type(page, folder):
    browsing.open_page(page, folder, _address(token=1, layer=4, steer=0))
    page.wait_for_selector(".steer")
    assert "These files hold no model" in page.inner_text(".steer")
    said = shlex.split(page.inner_text(".steer code"))
    assert said == [
        *("tfvis", "steer", "RUN"),
        *("--factor=0", "--layer=4", "--ablate", "--tokens=1", TEXT),
    ]
    assert page.query_selector(".steer .inquiry-ask button") is None


CHANGE = {"text": TEXT, "layer": 4, "factor": 0, "by": 0.5, "token": 1, "masked": [0]}


def _post(port, body, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    headers = {"Content-Type": "application/json", **headers}
    connection.request("POST", "/api/steer", json.dumps(body), headers)
    response = connection.getresponse()
    lines = [json.loads(line) for line in response.read().splitlines()]
    connection.close()
    return response.status, lines


@pytest.mark.parametrize(
    ("body", "headers", "status", "message"),
    [
        (CHANGE | {"layer": "4"}, {}, 400, "layer"),
        (CHANGE | {"factor": -1}, {}, 400, "factor"),
        (CHANGE | {"factor": 39}, {}, 400, "to fire"),
        (CHANGE | {"by": 1e30}, {}, 400, "by"),
        (CHANGE | {"by": "1"}, {}, 400, "by"),
        (CHANGE | {"masked": [-1]}, {}, 400, "masked"),
        (CHANGE | {"more": 1}, {}, 400, "more"),
        ([], {}, 400, "Send"),
        (CHANGE, {"Origin": "http://evil.example"}, 403, "own page"),
        (CHANGE, {"Host": "evil.example"}, 403, "this machine"),
        (CHANGE, {"Content-Type": "text/plain"}, 415, "text/plain"),
    ],
)
def test_what_cannot_be_steered_is_said(port, encoder, body, headers, status, message):
    got, [line] = _post(port, body, **headers)
    assert got == status and message in line["error"]


def test_effects_are_streamed_in_the_queue_of_sentences(port, encoder):
    status, [first, last] = _post(port, CHANGE)
    assert status == 200
    assert encoder.asked == [(TEXT, (0,), live.Change(4, 0, 0.5, 1))]
    assert first["controls"] == [] and len(last["controls"]) == 4
    assert last["effect"] == [0.35] * 5 and last["before"][2][0] == ["before2", 0.75]
