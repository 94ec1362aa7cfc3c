"""The page of a sentence in tests: an encoder of made-up codes, and ways to ask it."""

import pathlib
import threading
import urllib.parse

from tfvis_jax import errors
from tfvis_jax.viewer import bundle
from viewer import browsing, spoken

TEXT = "He left the bank."
OTHER = "They sat on the left bank of the river."


class Encoder:
    """Answers with made-up codes; stops before each layer while ``gate`` is closed."""

    def __init__(self):
        self.gate = threading.Event()
        self.gate.set()
        self.free = threading.Semaphore(0)
        self.asked = []

    def release(self):
        self.gate.set()
        self.free.release(50)

    def warm_up(self):
        yield

    def encode(self, text, *, masked):
        self.asked.append(text)
        if not spoken.tokens(text):
            raise errors.InputError("Expected a text with at least one word, got none.")
        if "long" in text:
            raise errors.InputError("Expected a text of at most 510 tokens, got 600.")
        for record in spoken.records(text, masked=masked):
            if "layer" in record and not self.gate.is_set():
                assert self.free.acquire(timeout=120)
            yield record


def at(port):
    return f"http://127.0.0.1:{port}/"


def address(text, **params):
    return f"#/sentence?{urllib.parse.urlencode({'text': text, **params})}"


def open_sentence(tab, url, text=TEXT, **params):
    tab.goto("about:blank")
    tab.goto(f"{url}{address(text, **params)}")
    tab.wait_for_selector("html[data-ready]")
    tab.wait_for_selector(".cell-panel")
    browsing.wait_until(tab, "!document.querySelector('td.waiting')")


def name(folder, factor):
    index = bundle.read(folder, "data/index")
    words = [index["vocabulary"][place] for place, _ in index["words"][factor][:2]]
    return ", ".join(words) or f"factor {factor}"


def saved(tab, menu, name):
    with tab.expect_download() as download:
        menu.get_by_role("button", name=name, exact=True).click()
    found = download.value
    return found.suggested_filename, pathlib.Path(found.path()).read_bytes()
