"""Notes of people on the page: set where it is served, shown where it is exported."""

import http.client
import json

import pytest

from tfvis_jax.runs import human_notes
from tfvis_jax.viewer import bundle, server
from viewer import browsing, serving

EVIL = "<img src=x onerror=alert(1)>"
# What the browser itself says where the server refuses a note.
_REFUSED = "Failed to load resource: the server responded with a status of 400"


class _Served:
    """A server of a site whose notes are in a folder of their own."""

    def __init__(self, folder, path):
        self.store = human_notes.Store(path, dictionary_hash="0" * 64, n_factors=40)
        self.server = server.make_server(folder, port=0, notes=self.store)
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}/"

    def post(self, body, *, kind="application/json", **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        body = body if isinstance(body, str) else json.dumps(body)
        connection.request("POST", "/api/note", body, {"Content-Type": kind, **headers})
        response = connection.getresponse()
        value = json.loads(response.read())
        connection.close()
        return response.status, value


@pytest.fixture
def served(folder, tmp_path):
    found = _Served(folder, tmp_path / "notes.json")
    with serving.up(found.server):
        yield found


@pytest.fixture
def tab(browser):
    with browsing.watched(browser, excused=_REFUSED) as tab:
        yield tab


def _open(tab, url, address):
    tab.goto("about:blank")
    tab.goto(f"{url}{address}")
    tab.wait_for_selector("html[data-ready]")


def test_a_note_is_set_on_the_page_and_shown_everywhere(tab, served, folder):
    _open(tab, served.url, "#/factor/13")
    assert tab.inner_text("h1 .level").split() == ["▲", "mid", "guess"]
    tab.locator(".note-form select").select_option("high")
    tab.get_by_label("Label", exact=True).fill(f"Rivers {EVIL}")
    tab.get_by_label("Your name").fill("Ada")
    tab.get_by_label("Note", exact=True).fill("Two\nlines")
    # By keyboard alone.
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("text=Saved in the run.")
    assert tab.inner_text("h1 .level").split() == ["■", "high", "human"]
    assert tab.inner_text(".headlabel .label") == f"Rivers {EVIL}"
    reason = " ".join(tab.inner_text(".reason >> nth=0").split())
    assert reason.startswith("Level set by Ada, ") and "the rule says ▲ mid" in reason
    note = served.store.read()[13]
    assert (note.level, note.label, note.note, note.by) == (
        *("high", f"Rivers {EVIL}", "Two\nlines", "Ada"),
    )
    assert tab.query_selector_all("main img") == []

    # The list: filtered, counted, found by its new name.
    _open(tab, served.url, "#/?level=high")
    assert 13 in browsing.numbers(tab)
    assert tab.inner_text(".found") == "11 of 39"
    assert tab.inner_text(".chip[data-level=high] small") == "11"
    assert tab.inner_text(".chip[data-level=mid] small") == "8"
    _open(tab, served.url, "#/?q=rivers")
    assert browsing.numbers(tab)[0] == 13
    # The name is remembered for the next factor, and an empty note takes all away.
    _open(tab, served.url, "#/factor/14")
    assert tab.get_by_label("Your name").input_value() == "Ada"
    _open(tab, served.url, "#/factor/13")
    tab.locator(".note-form select").select_option("")
    tab.get_by_label("Label", exact=True).fill("")
    tab.get_by_label("Note", exact=True).fill("")
    tab.get_by_role("button", name="Save").click()
    tab.wait_for_selector("text=Saved in the run.")
    assert tab.inner_text("h1 .level").split() == ["▲", "mid", "guess"]
    assert served.store.read() == {}
    # The site itself was not changed.
    assert bundle.read(folder, "data/notes") == {"editable": False, "notes": []}


def test_what_cannot_be_stored_is_said(tab, served):
    _open(tab, served.url, "#/factor/13")
    tab.get_by_label("Label", exact=True).fill("a")
    served.store._path.mkdir()
    tab.get_by_role("button", name="Save").click()
    tab.wait_for_selector(".note-form .notice:has-text('cannot be')")


def test_an_exported_page_shows_notes_and_gives_them_as_a_file(
    page, tmp_path, make_site
):
    notes = {
        13: human_notes.Note(
            level="high", label="Rivers", note=f"Two\n{EVIL}", changed="2026-11-28"
        )
    }
    bundle.write(tmp_path / "site", make_site(notes=notes))
    browsing.open_page(page, tmp_path / "site", "#/factor/13")
    assert page.inner_text("h1 .level").split() == ["■", "high", "human"]
    panel = page.inner_text("section:has(#note-title)")
    assert "Rivers" in panel and EVIL in panel
    assert "By a person, 2026-11-28." in panel
    assert page.query_selector(".note-form") is None
    with page.expect_download() as download:
        page.click("button:has-text('Download all notes (1)')")
    saved = json.loads(download.value.path().read_text())
    assert saved["notes"]["13"]["label"] == "Rivers"
    assert saved["schema"] == human_notes.SCHEMA
    page.evaluate("location.hash = '#/factor/2'")
    browsing.await_heading(page, "Factor 2")
    assert "tfvis view RUN" in page.inner_text("section:has(#note-title)")


@pytest.mark.parametrize(
    ("body", "more", "status", "message"),
    [
        ("{", {}, 400, "not JSON"),
        ({"factor": 1}, {}, 400, "note"),
        ({"factor": 40, "note": {"label": "a"}}, {}, 400, "0 … 39, got 40"),
        ({"factor": -1, "note": {"label": "a"}}, {}, 400, "factor"),
        ({"factor": 1, "note": {"level": "top"}}, {}, 400, "got 'top'"),
        ({"factor": 1, "note": {"label": "a" * 201}}, {}, 400, "200"),
        ({"factor": 1, "note": {"html": "a"}}, {}, 400, "html"),
        ({"factor": 1, "note": {"label": 7}}, {}, 400, "label"),
        ({"factor": 1, "note": {}}, {"kind": "text/plain"}, 415, "text/plain"),
        ({"factor": 1, "note": {}}, {"Origin": "http://evil.example"}, 403, "own page"),
        ({"factor": 1, "note": {}}, {"Host": "evil.example"}, 403, "this machine"),
        ('{"factor": 1, "note": {"note": "%s"}}' % ("a" * 70_000), {}, 413, "at most"),
    ],
)
def test_what_is_no_note_is_refused_in_a_sentence(served, body, more, status, message):
    assert served.post(body, **more)[0] == status
    assert message in served.post(body, **more)[1]["error"]
    assert served.store.read() == {}


def test_a_site_without_a_store_takes_no_notes(folder):
    with serving.up(server.make_server(folder, port=0)) as running:
        connection = http.client.HTTPConnection("127.0.0.1", running.server_port)
        connection.request("POST", "/api/note", "{}")
        assert connection.getresponse().status in (404, 405)
        connection.close()
