"""Wiki pages come out as running prose."""

import importlib.util
import io
import pathlib
import re
import time

import hypothesis
import pytest
from hypothesis import strategies as st

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


def _prose(text: str) -> list[str]:
    return mediawiki.strip_markup(text).split("\n")


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("{{val|1.675|e=-27|ul=kg}}", "1.675×10^-27 kg"),
        ("{{val|879.6|0.8|u=s}}", "879.6±0.8 s"),
        ("{{val|1.2|0.3|e=5}}", "(1.2±0.3)×10^5"),
        ("{{val|5|(2)|u=m|up=s}}", "5(2) m/s"),
        ("{{formatnum:12345}}", "12,345"),
        ("{{convert|93|m|ft|abbr=off|sp=us}}", "93 m"),
        ("{{nowrap|{{formatnum:3}}&nbsp;%}}", "3 %"),
        ("{{birth date|1932|5|4}}", "May 4, 1932"),
        ("{{death date and age|1999|1|2|1932|5|4|df=yes}}", "2 January 1999"),
        ("{{flag|France}}", "France"),
        ("{{as of|2020|5|lc=y}}", "as of May 2020"),
        ("{{nihongo|'''League'''|日本|lead=yes|extra=x}}", "League"),
        ("a note{{sfn|Smith|1999}}", "a note"),
        ("a note{{some unknown note}}", "a note"),
        ("a note ({{IPA|fr|x}}; {{unknown}})", "a note"),
        ("a note (of {{unknown|2}} kind)", "a note"),
    ],
)
def test_a_templates_value_stays_whole(markup, text):
    # Every sentence has words on both sides of the template.
    sentence = "One sees here {} where many others looked for it in vain."
    assert _prose(sentence.format(markup)) == [sentence.format(text)]


@pytest.mark.parametrize(
    "lost",
    [
        "He was born on {{unknown|1}} in {{unknown}} and lived there.",
        "It weighs {{val|1|p=x}} kg in all.",
        "The unclosed one {{cite web|title=x and the rest.",
        "There were 5{{e|3}} of them.",
    ],
)
def test_a_sentence_that_lost_words_goes(lost):
    rest = "This sentence stays where it is. And so does the one after it."
    before, after = rest.split(". ")
    assert _prose(f"{before}. {lost} {after}") == [rest]
    assert _prose(f"{lost}\n\n{rest}") == [rest]


def test_notes_and_tables_at_the_margin_cost_no_sentence():
    text = "This sentence stays where it is, and all of it."
    assert _prose(
        "{{about|x}}\n{{Taxobox\n| a = b\n}}\n" + text + "{{unknown}} {{cn}} " + text
    ) == [f"{text} {text}"]


def test_closing_sections_of_any_language_are_dropped():
    item = "* Ein Eintrag, der wie ein ganzer Satz aussieht und auch so endet."
    paragraph = "Ein ganzer Satz, der in einem Absatz steht und darum auch bleibt."
    head = f"{paragraph}\n== Leben ==\n{item}\n{paragraph}\n== Werke ==\n"
    tail = f"{item}\n=== Bücher ===\n{item}\n== Einzelnachweise ==\n<references />\n"
    kept = [paragraph, item[2:], paragraph]
    assert _prose(head + tail) == kept
    # Without references, lists at the end are the article's own.
    assert len(_prose(head + item)) == 4


UNITS = [
    *(
        "<!-- a ",
        "<!-- a --> b ",
        "<ref>a ",
        "<ref>a</ref> b ",
        "<ref name=a ",
        "<b>a ",
    ),
    *("{|\n|a\n", "{|\n|a\n|}\n", "* a\n", "*", ";", ";a:b\n", "== a ==\n", " "),
    *("\n", " \n", ",", ", ", "<nowiki>a ", "<nowiki>a</nowiki> ", "thumb|", "[[a "),
    *("[[File:a|thumb|b ", "[[a|[[b|", "{{a|", "{{a|b}} ", "{{a|{{b}}}}", "{{{a"),
    *("[http://a b ", "'' a ", "'''''a ", "<div a=b ", '<b a="x', "(", "( or ", "-"),
    "{{a|[[b|<ref>''c",
]


@pytest.mark.parametrize("unit", UNITS)
def test_time_is_linear(unit):
    # A quarter of a million characters of any of these took minutes to hours.
    text = unit * (250_000 // len(unit))
    start = time.process_time()
    mediawiki.prose(text)
    assert time.process_time() - start < 8


def test_what_takes_too_long_is_cleaned_without_parsing():
    text = "This [[a|phrase]] stays, <b>as it</b> should{{cn}}, and all of it is kept."
    deep = "{{a|" * 200 + "}}" * 200
    prose = mediawiki.prose(f"{text}\n\n{deep}\n\n{'*' * 100_000}\n\n{text}")
    line = "This phrase stays, as it should, and all of it is kept."
    assert prose == mediawiki.Prose(f"{line}\n{line}", True)
    assert not mediawiki.prose(text).is_simplified


@hypothesis.settings(deadline=None)
@hypothesis.given(
    st.lists(
        st.sampled_from(
            [*UNITS, "}}", "]]", "</b>", "</ref>", "-->", "|}", "a. B", "\x03"]
        ),
        max_size=30,
    )
)
def test_any_markup_leaves_no_marks(units):
    text = mediawiki.strip_markup("".join(units))
    assert not re.search(r"[\x00-\x08]", text)
