"""Wiki pages come out as running prose."""

import importlib.util
import io
import pathlib
import re

import hypothesis
import pytest
import timing
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
        ("a note (named {{IPAc-en|x}}, or so)", "a note"),
        (
            "a note (born ''A'' {{IPAc-en|x}}; {{unknown}} x; in 1950)",
            "a note (in 1950)",
        ),
        ("a note (''Ab'' {{IPA-fr|x|lang}})", "a note (Ab)"),
        ("a note {{IPAc-en|x|y}}", "a note"),
        ("the sound {{IPA|/a/}}", "the sound /a/"),
        ("6{{Spaces}}million", "6 million"),
        ("5{{e|3}}", "5×10^3"),
        ("10<sup>18</sup> of 2{{sfrac|1|4}}", "10^18 of 2 1/4"),
        ("5 m<sup>2</sup> of H<sub>2</sub>O", "5 m2 of H2O"),
        ("{{frac|3}} and {{frac|5|1|2}}", "1/3 and 5 1/2"),
        ("{{US$|2 billion}}", "US$2 billion"),
        ("{{transl|ar|ALA|Allāh}}", "Allāh"),
        ("{{HMS|Ajax|22|6}} and {{USS|Hornet}}", "Ajax and USS Hornet"),
        ("{{ship|HMS|Ajax|22}}", "HMS Ajax"),
        ("{{quote|text=a word of his}}", "a word of his"),
        ("A{{music|flat}} and HA {{eqm}} H", "A♭ and HA ⇌ H"),
        ("at computers{{mdashb}}which is", "at computers—which is"),
        ("{{formatnum:{{val|12345}}}}", "12,345"),
        ("<ce>2H2O -> O2</ce>", "2H2O → O2"),
        ("{{unité|5|km}}", "5 km"),
        ("{{unité|12345|m|s|-1}}", "12,345 m s-1"),
        ("{{unité|10|km|2}}", "10 km2"),
        ("{{convert|6|ft|2|in|m|2|abbr=on}}", "6 ft 2 in"),
        ("{{convert|2|lb|3|oz}}", "2 lb 3 oz"),
        ("{{convert|6|ft|m|2}}", "6 ft"),
        ("{{convert|6|ft|2}}", "6 ft"),
        ("{{convert|1|x|2|x|3|m}}", "1 x 2 x 3 m"),
        ("{{convert|5|±|0.1|km}}", "5 ± 0.1 km"),
        ("{{convert|5|,|6|and|7|m}}", "5, 6 and 7 m"),
        ("{{convert|1+1/2|mi|km}}", "1+1/2 mi"),
        ("{{convert|-40|°C|°F}}", "-40 °C"),
        ("{{convert|2.5|e6km2|sqmi}}", "2.5 million km2"),
        ("{{gaps|1|234|567}}", "1234567"),
        ("{{circa|1500|1510}} or {{floruit|1500}}", "c. 1500 – c. 1510 or fl. 1500"),
        ("{{ill|Name|de|Titel|lt=Shown}}", "Shown"),
        ("-{zh-hans:计算机; zh-hant:電腦;}-", "计算机"),
        ("-{A|zh-cn:程序;zh-tw:程式}-", "程序"),
        ("-{H|zh-cn:程序;zh-tw:程式}-it", "it"),
        ("-{[[a|b]]}-", "b"),
        ("-{word}-", "word"),
        ("[[Bild:a b.JPG|mini|hochkant|Ein Bild]] a", "a"),
        ("[[Star Wars: Episode IV]]", "Star Wars: Episode IV"),
        ("{{OldStyleDate|February 2|1905|January 20}}", "February 2, 1905"),
        ("a word ... of", "a word ... of"),
        ("[[A&ndash;B]]", "A–B"),
    ],
)
def test_a_templates_value_stays_whole(markup, text):
    # Every sentence has words on both sides of the template.
    sentence = "One sees here {} where many others looked for it in vain."
    assert _prose(sentence.format(markup)) == [sentence.format(text)]


@pytest.mark.parametrize(
    "template",
    [
        "{{formatnum:N}}",
        "{{num|N}}",
        "{{convert|N|m}}",
        "{{convert|Nx|m}}",
        "{{convert|N+N/Nx|m}}",
        "{{birth date|N|N|N}}",
        "{{as of|N|N|N}}",
        "{{track gauge|N mm}}",
        "{{us patent|N}}",
        "{{unité|N|N|N}}",
        "{{val|N|N|e=N}}",
    ],
)
def test_numbers_of_any_length(template):
    # Python refuses to read integers of so many digits.
    text = "This sentence stays where it is. "
    markup = text + f"So many of {template.replace('N', '9' * 50_000)} were there."
    with timing.at_most(5):
        assert _prose(markup)[0].startswith(text.strip())


@pytest.mark.parametrize(
    "lost",
    [
        "He was born on {{unknown|1}} in {{unknown}} and lived there.",
        "It weighs {{val|1|p=x}} kg in all.",
        "It weighs {{convert|1|or even|2|kg}} in all.",
        "It weighs {{convert|input=P2067}} in all.",
        "It weighs {{unité|1|à=2|kg}} in all.",
        "The name is pronounced {{IPA|de|x}} by all of them.",
        "The unclosed one {{cite web|title=x and the rest.",
        "There were 5{{unknown|3}} of them.",
        "It stands at {{coord|1|N|2|E}} by the sea.",
        "The U.S. {{unknown}} of it was held by Mr. Smith of St. Paul there.",
        "He lived (as {{unknown}} said (it is held) to him) there.",
        "It is on http://a.example/b and nowhere else.",
        "Он был {{unknown|1}} и жил там, в г. Москве.",
        "Er kam am 3. Oktober {{unknown}} nach Haus.",
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


WHOLE = "This sentence stays where it is, and all of it."


def test_an_image_or_box_parts_sentences():
    assert _prose(f"{WHOLE}[[File:a.jpg|thumb|b]]{WHOLE}") == [f"{WHOLE} {WHOLE}"]
    assert _prose(f"{WHOLE}\n{{{{box\n|a=b}}}}\n{WHOLE}") == [WHOLE, WHOLE]


def test_a_table_that_is_not_closed_takes_no_more_than_it_must():
    table = "{|\n|a\n|}\n"
    assert _prose(f"{{|\n|x\n{table}{WHOLE}\n{table}{WHOLE}") == [WHOLE, WHOLE]


@pytest.mark.parametrize(
    "rest",
    [
        "* an item",
        ":<math>\\frac{a}{b}</math>",
        "{|\n|a\n{|\n|b\n|}\n|c\n|}",
        "== A ==",
    ],
)
def test_a_sentence_that_announces_what_was_dropped_goes(rest):
    announced = f"{WHOLE} These are the ones that are meant by it:\n{rest}\n"
    assert _prose(f"{announced}\n{WHOLE}") == [WHOLE, WHOLE]
    if not rest.startswith("="):
        # The rest of a sentence that went around a formula.
        assert _prose(f"{announced}where a is a number. {WHOLE}") == [WHOLE, WHOLE]


def test_sentences_end_where_they_do_in_any_language():
    def gone(text: str) -> list[str]:
        return _prose(text.replace("@", "{{unknown}}"))

    assert gone("Он жил @ там. Потом он уехал, и это всё.") == [
        "Потом он уехал, и это всё."
    ]
    assert gone("彼は @ に住んでいた。その後、彼は引っ越した。") == [
        "その後、彼は引っ越した。"
    ]
    assert gone("वह @ में था। फिर वह चला गया।") == ["फिर वह चला गया।"]
    assert gone('He said "no @ it." She left it. 20 came.') == ["She left it. 20 came."]
    japanese = (
        "東京は日本の首都であり、世界でも有数の大都市として広く知られている場所である。"
    )
    assert _prose(japanese) == [japanese]


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
    *(
        "{|\n|a\n",
        "{|\n|a\n|}\n",
        "{|\n{|\n|}\n",
        "* a\n",
        "*",
        ";",
        ";a:b\n",
        "== a ==\n",
        " ",
    ),
    *("\n", " \n", ",", ", ", "<nowiki>a ", "<nowiki>a</nowiki> ", "thumb|", "[[a "),
    *("[[File:a|thumb|b ", "[[a|[[b|", "{{a|", "{{a|b}} ", "{{a|{{b}}}}", "{{{a"),
    *("[http://a b ", "'' a ", "'''''a ", "<div a=b ", '<b a="x', "(", "( or ", "-"),
    "{{a|[[b|<ref>''c",
]


@pytest.mark.parametrize("unit", UNITS)
def test_time_is_linear(unit):
    # A quarter of a million characters of any of these took minutes to hours.
    text = unit * (250_000 // len(unit))
    with timing.at_most(8):
        mediawiki.prose(text)


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
