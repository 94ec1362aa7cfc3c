"""WikiText's marks are undone where they are; other text stays as it is."""

import lzma

import pytest

from tfvis_jax.data import cleaning, corpus

PROSE = """The function `f(a = b)` takes a user@example.org, or "quoted" text (x).
It's Bob's; the dogs' bowls cost $5, 60% off - that is 3.5 @ 2 each.
    a = b
    if a == b: print("<script>alert('x')</script>", a, b)
= not a heading
Email me @ home, 1,000 times... <unknown> & 'single' marks."""


def test_ordinary_text_is_untouched():
    assert cleaning.detect_style(PROSE) is cleaning.Style.PLAIN
    assert cleaning.clean(PROSE, style=cleaning.Style.PLAIN) == PROSE


def test_prose_that_mentions_a_mark_is_untouched():
    text = "WikiText writes @-@ for a hyphen, and <unk> for rare words. It does, yes."
    assert cleaning.detect_style(text) is cleaning.Style.PLAIN
    assert cleaning.clean(text, style=cleaning.Style.PLAIN) == text


@pytest.mark.parametrize(
    ("tokenised", "expected"),
    [
        ("a red @-@ tipped spine .", "a red-tipped spine."),
        ("20 @,@ 000 of 0 @.@ 7 kg ( 1 @.@ 5 lb )", "20,000 of 0.7 kg (1.5 lb)"),
        ('the " crusher " , and " cutter " .', 'the "crusher", and "cutter".'),
        ("the city 's and don 't", "the city's and don't"),
        ("the Knights ' two", "the Knights' two"),
        ("the ' Made in Wales ' award", "the 'Made in Wales' award"),
        ("5 – 6 at 10 : 30", "5–6 at 10:30"),
        ("60 % of $ 5", "60% of $5"),
        ("see : this ; that", "see: this; that"),
        ("one\n = = Section = = \ntwo", "one\ntwo"),
        ("one\n = Title = \ntwo", "one\ntwo"),
        ("60 ° C", "60 °C"),
    ],
)
def test_wikitext_is_written_as_prose(tokenised, expected):
    assert cleaning.clean(tokenised, style=cleaning.Style.WIKITEXT) == expected


@pytest.mark.parametrize(
    ("tokenised", "expected"),
    [
        ("the fjords <unk> and <unk> , inside", "the fjords, inside"),
        ("lobsters ( <unk> ) live", "lobsters live"),
        ('called " <unk> " there', "called there"),
        ("from Oslo , <unk> , and Rome", "from Oslo, and Rome"),
        ("<unk> @-@ TV is on", "TV is on"),
        ("the <unk> 's house", "the house"),
    ],
)
def test_unknown_words_leave_no_trace(tokenised, expected):
    assert cleaning.clean(tokenised, style=cleaning.Style.WIKITEXT) == expected


def test_marks_are_undone_in_text_that_was_decoded_by_a_tokenizer():
    text = (
        "a 20 @, @ 000 ton hard @ - @ shelled lobster, 3 @. @ 5 in. the end, < unk >."
    )
    assert cleaning.detect_style(text) is cleaning.Style.MARKED
    cleaned = cleaning.clean(text, style=cleaning.Style.MARKED)
    assert cleaned == "a 20,000 ton hard-shelled lobster, 3.5 in. the end, ."


def test_wikitext_103_reads_as_prose(shared_data):
    path = shared_data / "wikitext-103" / "wikitext-103.valid.tokens.xz"
    documents = list(corpus.read_documents([str(path)]))
    assert len(documents) == 60
    assert documents[0].name == "Homarus gammarus"
    assert documents[0].text.startswith(
        "Homarus gammarus, known as the European lobster or common lobster, is a "
        "species of clawed lobster from the eastern Atlantic Ocean"
    )
    assert "a length of 60 cm (24 in) and a mass of 6 kilograms (13 lb)," in (
        documents[0].text
    )
    text = "\n".join(document.text for document in documents)
    for mark in ("@-@", "@,@", "@.@", "<unk>", " = ", " , ", "( ", " )", " ;", '""'):
        assert mark not in text
    # Apart from headings and unknown words with their "and", no letter is lost.
    with lzma.open(path, "rt", encoding="utf-8") as file:
        lines = [line for line in file if not line.startswith(" = ")]
    letters = sum(map(str.isalpha, "".join(lines).replace("<unk>", "")))
    assert 0.9995 * letters < sum(map(str.isalpha, text)) <= letters


def test_plain_wikipedia_text_is_untouched(shared_data):
    path = shared_data / "wiki2015" / "test-00.txt.xz"
    documents = list(corpus.read_documents([str(path)]))
    assert len(documents) == 272
    with lzma.open(path, "rt", encoding="utf-8") as file:
        raw = file.read()
    assert all(document.text in raw for document in documents)
    as_is = corpus.read_documents([str(path)], clean=False)
    assert documents == list(as_is)
