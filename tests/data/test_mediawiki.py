"""Wiki pages come out as running prose."""

import importlib.util
import io
import pathlib
import re

import pytest

from tfvis_jax.data import corpus, mediawiki, wiki_dump
from tfvis_jax.errors import InputError

PAGE = """{{Infobox thing|name=Albedo}}
[[File:Albedo.jpg|thumb|right|200px|A caption with a [[link|nested link]].]]
'''Albedo''' ({{IPAc-en|ae}}) or ''reflection coefficient'',<ref>{{cite|x}}</ref> is
the [[diffuse reflection|diffuse reflectivity]] of a surface.<ref name="a" /> It costs
{{convert|30|km|mi}}&nbsp;from [http://example.org the site] in {{lang|fr|Paris}}.

<!-- a comment -->
== Terms ==
{| class="wikitable"
|-
! a || b
|}
* [[A]]
* This item is a whole sentence, and so it reads as text does.

When <math>x^2</math> is small it works. It fails where <math>\\frac{a}{b}</math> grows.

== See also ==
* [[Cool roof]] is a long enough entry, one would think, to read as text.
=== Below it ===
This paragraph belongs to the section above, so it goes as well.

== Later ==
The last paragraph is kept, since this section is not one of the tail.
[[Category:Optics]]
[[fr:Albédo]]
"""


def _dump(*pages: str) -> bytes:
    return (
        '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/">'
        + "".join(pages)
        + "</mediawiki>"
    ).encode()


def _page(title: str, text: str, *, namespace: int = 0, redirect: str = "") -> str:
    return (
        f"<page><title>{title}</title><ns>{namespace}</ns>{redirect}"
        f"<revision><text>{text}</text></revision></page>"
    )


def test_markup_becomes_prose():
    assert mediawiki.strip_markup(PAGE).split("\n") == [
        "Albedo or reflection coefficient, is the diffuse reflectivity of a surface. "
        "It costs 30 km from the site in Paris.",
        "This item is a whole sentence, and so it reads as text does.",
        "When x^2 is small it works.",
        "The last paragraph is kept, since this section is not one of the tail.",
    ]


def test_only_articles_are_read():
    dump = _dump(
        _page("One", "a"),
        _page("Talk:One", "b", namespace=1),
        _page("Uno", "c", redirect='<redirect title="One" />'),
        _page("Two", "&lt;script&gt;"),
    )
    found = list(wiki_dump.pages(io.BytesIO(dump), name="dump"))
    assert found == [("One", "a"), ("Two", "<script>")]


def test_damaged_and_other_xml_are_refused():
    with pytest.raises(InputError, match=r"dump: The XML is damaged"):
        list(wiki_dump.pages(io.BytesIO(_dump(_page("A", "b"))[:-20]), name="dump"))
    with pytest.raises(InputError, match=r"MediaWiki export.*got <html>"):
        list(wiki_dump.pages(io.BytesIO(b"<html></html>"), name="dump"))


def test_memory_of_read_pages_is_given_back():
    stream = io.BytesIO(_dump(*(_page(str(i), "x" * 1000) for i in range(300))))
    reader = wiki_dump.pages(stream, name="dump")
    for _ in range(300):
        next(reader)
    root = reader.gi_frame.f_locals["root"]
    assert len(root) <= 1


def test_a_real_dump_reads_as_prose():
    spec = importlib.util.find_spec("gensim")
    if spec is None:
        pytest.skip("the gensim wheel, which carries a small dump, is not installed")
    folder = pathlib.Path(spec.origin).parent / "test" / "test_data"
    (path,) = folder.glob("enwiki-latest-pages-articles1.xml-p*-shortened.bz2")
    documents = {d.name: d.text for d in corpus.read_documents([str(path)])}
    # Of the 106 articles, a few are links alone and leave no prose.
    assert 100 <= len(documents) <= 106
    assert documents["Albedo"].startswith(
        'Albedo or reflection coefficient, derived from Latin albedo "whiteness"'
    )
    text = "\n".join(documents.values())
    assert len(text) > 2_500_000
    for pattern in (
        r"\(\)|\( | \)|\(,|\w ,(?=\s)|  |\[\[|\]\]|\{\{|'''|&nbsp;|<ref|https?:",
        r"(?m)^(?:Category|File|Image|\*|\||=)",
        r"thumb\|",
    ):
        assert not re.search(pattern, text), re.search(pattern, text)
    assert not re.search(r"[\x01-\x09]", text)
