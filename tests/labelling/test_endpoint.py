"""A server's answers and failures, one by one."""

import email.utils
import time

import ports
import pytest
import scripted

from tfvis_jax.errors import InputError
from tfvis_jax.labelling import endpoint

KEY = "sk-very-secret"
ASKED = [{"role": "user", "content": "What?"}]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(endpoint, "_FIRST_PAUSE", 0.01)


def _ask(url, **settings):
    sent = []
    made = endpoint.Endpoint(url, "m", **({"timeout": 60.0} | settings))
    return made.complete(ASKED, before=lambda: sent.append(1)), len(sent)


def test_a_good_answer():
    with scripted.serving(scripted.says("Yes.")) as server:
        found, n_sent = _ask(server.url, key=KEY)
    assert found == ("Yes.", False, (100, 10)) and n_sent == 1
    [(headers, body)] = server.seen
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert body["model"] == "m" and body["messages"] == ASKED


def test_a_busy_server_is_asked_again():
    steps = [scripted.fails(429), scripted.fails(503), scripted.says("Yes.")]
    with scripted.serving(*steps) as server:
        found, n_sent = _ask(server.url)
    assert found.text == "Yes." and n_sent == 3 == len(server.seen)


def test_it_waits_as_long_as_it_is_told():
    asked, waited, began = [], [], []

    def at_a_time(body):
        asked.append(time.time())
        at = email.utils.formatdate(int(asked[0]) + 20, usegmt=True)
        return scripted.fails(429, Retry_After=at)(body)

    def wait(seconds):
        began.append(time.time())
        waited.append(seconds)

    steps = [
        scripted.fails(429, Retry_After="7"),
        at_a_time,
        scripted.fails(429, Retry_After="soon"),
        scripted.says("Yes."),
    ]
    with scripted.serving(*steps) as server:
        _ask(server.url, wait=wait)
    assert waited[0] == 7
    # What was left between the answer and the pause.
    until = int(asked[0]) + 20
    assert until - began[1] <= waited[1] <= until - asked[0]
    assert waited[2] == pytest.approx(endpoint._FIRST_PAUSE * 4)


def test_pauses_double():
    waited = []
    with (
        scripted.serving(scripted.fails(500, said=f"oops {KEY}")) as server,
        pytest.raises(InputError, match=r"6 tries \(status 500: oops \[key\]\)"),
    ):
        _ask(server.url, key=KEY, wait=waited.append)
    assert waited == pytest.approx([0.01, 0.02, 0.04, 0.08, 0.16])
    assert len(server.seen) == 6


def test_a_server_that_asks_for_an_hour_is_not_waited_for():
    with (
        scripted.serving(scripted.fails(429, Retry_After="3600")) as server,
        pytest.raises(InputError, match="wait 60 minutes"),
    ):
        _ask(server.url)


def test_a_slow_server_is_given_up():
    with (
        scripted.serving(scripted.slow(0.4)) as server,
        pytest.raises(InputError, match=r"6 tries \(no answer in 0.05 s\)"),
    ):
        _ask(server.url, timeout=0.05)


def test_a_server_that_is_down():
    with pytest.raises(InputError, match=r"6 tries \(Connection refused\)"):
        _ask(f"http://127.0.0.1:{ports.free()}/v1")


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (
            scripted.fails(401, said=f"bad key {KEY}"),
            "401: bad key .key.; check the key",
        ),
        (
            scripted.fails(404, said="no such model\x1b"),
            "404: no such model�; check --end",
        ),
        (scripted.fails(302, Location="http://127.0.0.1:1/"), "name the URL to which"),
        (scripted.fails(400, said="too long"), "400: too long"),
        (
            lambda body: (200, {}, b"<html>Hello"),
            "chat completion from .* got <html>He",
        ),
        (lambda body: (200, {}, {"choices": []}), "chat completion"),
        (lambda body: (200, {}, b"[" * 100_000), "chat completion"),
        (lambda body: (200, {}, b"x" * (5 * 2**20)), "at most 4 MiB"),
    ],
)
def test_other_failures_are_one_sentence(step, message):
    with (
        scripted.serving(step) as server,
        pytest.raises(InputError, match=message) as caught,
    ):
        _ask(server.url, key=KEY)
    assert len(server.seen) == 1
    assert KEY not in str(caught.value) and "\n" not in str(caught.value)


def test_options_that_a_server_does_not_take_are_left_out():
    def strict(body):
        for name in ("max_tokens", "temperature"):
            if name in body:
                return scripted.fails(400, said=f"Unsupported: '{name}'")(body)
        return "Yes."

    with scripted.serving(strict) as server:
        asked = endpoint.Endpoint(server.url, "m")
        for _ in range(2):
            found = asked.complete(ASKED, before=lambda: None)
    assert found.text == "Yes." and len(server.seen) == 4


def test_refusals_and_parts_and_echoes():
    parts = [{"type": "text", "text": "Ye"}, {"type": "text", "text": "s."}, 3]
    steps = [
        scripted.says(None, refusal="No."),
        scripted.says(parts),
        scripted.says(f"Your key is {KEY}"),
    ]
    with scripted.serving(*steps) as server:
        refused, joined, echoed = (_ask(server.url, key=KEY)[0] for _ in steps)
    assert refused.refused and refused.text == ""
    assert joined.text == "Yes." and echoed.text == "Your key is [key]"


def test_a_dummy_key_is_a_word_of_answers():
    with scripted.serving(scripted.says("a test of words")) as server:
        assert _ask(server.url, key="test")[0].text == "a test of words"


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://x/v1", "localhost:8000", "", "file:///etc/passwd", "http:///v1"),
        *(
            "http://me:secret@x/v1",
            "http://x/v1?key=secret",
            "http://x:99999/v1",
            "http://x/ v1",
        ),
    ],
)
def test_a_bad_url_is_not_repeated(url):
    with pytest.raises(InputError, match="Expected the endpoint as") as caught:
        endpoint.Endpoint(url, "m")
    assert "secret" not in str(caught.value)


def test_a_host_that_cannot_be_is_named(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(InputError, match="check the host"):
        _ask("http://x..y/v1")


def test_keys_are_not_shown():
    assert KEY not in repr(endpoint.Endpoint("http://x/v1", "m", KEY))
    for key in ("two words", "line\nX-Header: 1", "ключ"):
        with pytest.raises(InputError, match="printable ASCII") as caught:
            endpoint.Endpoint("http://x/v1", "m", key)
        assert key not in str(caught.value)


def test_either_form_of_the_url():
    for url in ("http://x/v1", "http://x/v1/", "http://x/v1/chat/completions"):
        assert endpoint.Endpoint(url, "m").address == "http://x/v1/chat/completions"
