"""Dumps of any language and schema give their articles, each once."""

import contextlib
import io

import hypothesis
import pytest
from hypothesis import strategies as st

from tfvis_jax.data import mediawiki, wiki_dump
from tfvis_jax.errors import InputError

GERMAN = (
    "<siteinfo><namespaces>"
    '<namespace key="0" case="first-letter" />'
    '<namespace key="6">Datei</namespace><namespace key="14">Kategorie</namespace>'
    '<namespace key="4">Wikipedia</namespace>'
    '<namespace key="100">Werk stück</namespace>'
    '</namespaces><namespacealiases><namespace key="6">Bild</namespace>'
    "</namespacealiases><magicwords>"
    '<magicword name="redirect"><alias>#siehe auch:</alias></magicword>'
    "</magicwords></siteinfo>"
)


def _read(body: str, *, head: str = "") -> dict[str, str]:
    data = f'<mediawiki xmlns="http://x/export-0.3/">{head}{body}</mediawiki>'
    return dict(wiki_dump.pages(io.BytesIO(data.encode()), name="dump"))


def _page(title: str, *texts: str, ns: str = "<ns>0</ns>") -> str:
    revisions = "".join(f"<revision><text>{t}</text></revision>" for t in texts)
    return f"<page><title>{title}</title>{ns}{revisions}</page>"


def test_the_newest_revision_is_read():
    assert _read(_page("A", "old", "newer", "newest")) == {"A": "newest"}
    dated = "".join(
        f"<revision><timestamp>{time}T00:00:00Z</timestamp><text>{time}</text></revision>"
        for time in ("2005-01-01", "2009-01-01", "2007-01-01")
    )
    page = f"<page><title>A</title><ns>0</ns>{dated}</page>"
    assert _read(page) == {"A": "2009-01-01"}


def test_memory_does_not_hold_a_pages_history():
    revisions = ["x" * 1000] * 50
    stream = io.BytesIO(f"<mediawiki>{_page('A', *revisions)}</mediawiki>".encode())
    reader = wiki_dump.pages(stream, name="dump")
    next(reader)
    page = reader.gi_frame.f_locals["root"]
    assert not list(page.iter("text"))


@pytest.mark.parametrize(
    ("title", "article"),
    [
        ("Katze", True),
        ("Star Trek: Picard", True),
        ("Datei:A.jpg", False),
        ("bild:A.jpg", False),
        ("File:A.jpg", False),
        ("Werk_stück:A", False),
        ("Talk:Katze", False),
        ("User talk:B", False),
    ],
)
def test_a_page_without_namespace_is_told_by_its_title(title, article):
    assert bool(_read(_page(title, "a", ns=""), head=GERMAN)) == article


@pytest.mark.parametrize(
    "text",
    [
        "#REDIRECT [[A]]",
        "#redirect:[[A]]",
        "#WEITERLEITUNG [[A]]",
        "#転送[[A]]",
        "#تغییر_مسیر [[A]]",
        "#siehe auch: [[A]]",
    ],
)
def test_redirects_of_any_language_are_left_out(text):
    assert _read(_page("A", text), head=GERMAN) == {}


def test_a_list_is_no_redirect():
    assert len(_read(_page("A", "# one [[B]]\n# two"), head=GERMAN)) == 1


def test_images_of_any_language_are_dropped():
    text = (
        "[[Datei:A.jpg|mini|hochkant=1.2|Ein Bild]][[bild:B.png|miniatur]]"
        "[[ Kategorie : C]]Die Katze ist ein Haustier, das Mäuse jagt. [[Katze|Sie]] "
        "schläft viel."
    )
    (markup,) = _read(_page("A", text), head=GERMAN).values()
    assert mediawiki.strip_markup(markup) == (
        "Die Katze ist ein Haustier, das Mäuse jagt. Sie schläft viel."
    )


def test_a_page_alone_is_read():
    stream = io.BytesIO(_page("A", "text").encode())
    assert list(wiki_dump.pages(stream, name="dump")) == [("A", "text")]


@pytest.mark.parametrize("encoding", ["shift_jis", "no-such", "utf-7", "hex", ""])
def test_unknown_encodings_are_named(encoding):
    data = f'<?xml version="1.0" encoding="{encoding}"?><mediawiki/>'.encode()
    with pytest.raises(InputError, match=r"dump: The (encoding of the )?XML"):
        list(wiki_dump.pages(io.BytesIO(data), name="dump"))


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "windows-1252", "us-ascii"],
)
def test_dumps_in_other_encodings(encoding):
    text = "cafe" if encoding == "us-ascii" else "café"
    head = f'<?xml version="1.0" encoding="{encoding.removesuffix("-sig")}"?>'
    data = f"{head}<mediawiki>{_page(text, text)}</mediawiki>".encode(encoding)
    assert list(wiki_dump.pages(io.BytesIO(data), name="dump")) == [(text, text)]


@hypothesis.given(st.binary(max_size=60), st.integers(0, 200))
def test_mutated_dumps_are_read_or_refused(inserted, place):
    data = f"<mediawiki>{GERMAN}{_page('A', 'b')}</mediawiki>".encode()
    data = data[:place] + inserted + data[place + 1 :]
    with contextlib.suppress(InputError):
        list(wiki_dump.pages(io.BytesIO(data), name="dump"))
