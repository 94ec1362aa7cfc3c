"""Every matcher on texts written by hand: what is a pattern and what only looks so."""

import numpy as np
import pytest

from tfvis_jax.description import tagging
from tfvis_jax.errors import InputError
from tfvis_jax.studies.adversarial import adversarial_templates
from tfvis_jax.studies.patterns import patterns

POSITIVE = {
    "unit conversion": [
        ("It is 20 km (12 mi) from the sea.", "20 km (12 mi)"),
        ("about 20 °F ( −7 °C ) degrees", "20 °F ( −7 °C )"),
        ("a 5-mile (8 km) walk", "5-mile (8 km)"),
        ("rises 2,000 to 3,000 feet (610 to 910 m)", None),
        ("stands 6 ft 2 in (1.88 m) tall", "6 ft 2 in (1.88 m)"),
        ("covers 100 acres (40 ha; 0.16 sq mi) of land", None),
        ("a density of 94.9 people per square mile (36.6/km²)", None),
        ("sails at 15 knots (28 km/h; 17 mph)", "15 knots (28 km/h; 17 mph)"),
        ("weighs 3.5 tonnes (about 7,700 lb)", None),
        ("20 @-@ kilometre ( 12 mi ) road", "20 @-@ kilometre ( 12 mi )"),
    ],
    "consecutive years": [
        ("the 2005 – 06 season", "2005 – 06"),
        ("in 1999–2000 he", "1999–2000"),
        ("in 1999–00 he", "1999–00"),
        ("the 2005/06 campaign", "2005/06"),
        ("the 2005-06 season", "2005-06"),
        ("won in 2005 and 2006.", "2005 and 2006"),
        ("in 2001, 2002 and 2003", "2001, 2002 and 2003"),
        ("(1991—1992)", "1991—1992"),
    ],
    "span of years": [
        ("the war of 1914–1918 ended", "1914–1918"),
        ("from 1914 to 1918 he", "from 1914 to 1918"),
        ("between 1901 and 1910", "between 1901 and 1910"),
        ("the years 1914–18 were", "1914–18"),
        ("Smith (1809–1882) was", "1809–1882"),
        ("mayor, 1999 – 2010", "1999 – 2010"),
        ("1999–present", "1999–present"),
        ("From 1850 until 1860", "From 1850 until 1860"),
        ("in 1914 – 18 was", "1914 – 18"),
    ],
    "full date": [
        ("on 23 June 2007 .", "23 June 2007"),
        ("on June 23, 2007.", "June 23, 2007"),
        ("June 23 , 2007", "June 23 , 2007"),
        ("the 4th of July 1776", "4th of July 1776"),
        ("May 1st, 1900", "May 1st, 1900"),
        ("31 december 1999", "31 december 1999"),
        ("(12 February 1809 – April 1882)", "12 February 1809"),
        ("born 1 May 1900)", "1 May 1900"),
    ],
    "sports score": [
        ("They won 3–1 at home.", "3–1"),
        ("a 21–14 victory over", "21–14"),
        ("lost 2 – 0 to", "2 – 0"),
        ("beat Spain 4-2 on penalties", "4-2"),
        ("drew 1–1 with", "1–1"),
        ("defeating the Bears 34–17", "34–17"),
        ("finished in a 0–0 draw", "0–0"),
        ("scored twice in a 5–2 game", "5–2"),
    ],
    "institution (abbreviation)": [
        ("the World Health Organization (WHO) said", None),
        ("the University of California, Los Angeles (UCLA)", None),
        ("Royal Air Force (RAF) base", "Royal Air Force (RAF)"),
        ("United African National Council (UANC)", None),
        ("National Oceanic and Atmospheric Administration (NOAA)", None),
        ("the Department of Defense (DoD)", "Department of Defense (DoD)"),
        ("the British Broadcasting Corporation ( BBC ) aired", None),
        ("African National Congress (ANC; 1912)", "African National Congress (ANC;"),
    ],
    "city, state": [
        ("in Key West, Florida", "Key West, Florida"),
        ("Springfield, Illinois.", "Springfield, Illinois"),
        ("In Austin, Texas and", "Austin, Texas"),
        ("Kansas City , Missouri", "Kansas City , Missouri"),
        ("Washington, D.C. in", "Washington, D.C."),
        ("New York, New York", "New York, New York"),
        ("at St. Louis, Missouri", "St. Louis, Missouri"),
        ("Richmond, Virginia, where", "Richmond, Virginia"),
        ("Charleston, West Virginia", "Charleston, West Virginia"),
    ],
    "name, occupation": [
        ("Jeff Weiss, a music writer, said", "Jeff Weiss, a music writer"),
        ("music writer Jeff Weiss of Pitchfork", "writer Jeff Weiss"),
        ("Mary Ann Smith, professor of law", "Mary Ann Smith, professor"),
        ("the historian John Keegan wrote", "historian John Keegan"),
        ("Ada Lovelace , an English mathematician", None),
        ("by composer Philip Glass.", "composer Philip Glass"),
        ("John F. Smith, the former governor", None),
        ("her husband Tom Jones, a Welsh rock singer", None),
    ],
    "enumeration of nouns": [
        ("It has rivers, lakes and forests.", "rivers, lakes and forests"),
        ("He sold apples, pears, and plums.", None),
        ("They met John, Paul and George.", None),
        ("The dogs, cats, birds and horses slept.", None),
        ("made of wood, stone or brick", "wood, stone or brick"),
        ("with old houses, small gardens and narrow streets", None),
        ("The art, music and literature of France", None),
        ("France, Germany and Italy signed it.", "France, Germany and Italy"),
    ],
    "list of adjectives": [
        ("It is innovative, beautiful and brilliant.", None),
        ("a long, narrow road", "long, narrow"),
        ("a big, old, red house", "big, old, red"),
        ("It was warm, dry and sunny.", "warm, dry and sunny"),
        ("The small, wooden box", "small, wooden"),
        ("He was young, rich, and famous.", "young, rich, and famous"),
        ("a large, flat, grey stone", "large, flat, grey"),
        ("a cold, dark night", "cold, dark"),
    ],
    "quoted description": [
        ('He called it "warm and funny".', '"warm and funny"'),
        ('described as "innovative, beautiful and brilliant".', None),
        ("She praised the “beautiful songs” of it", "“beautiful songs”"),
        ('was hailed as a "great film"', '"great film"'),
        ('critics termed it " a poor album "', None),
        ('characterized by Weiss as "very slow"', '"very slow"'),
        ('criticised its "slow pace"', '"slow pace"'),
        ('considered it "very good"', '"very good"'),
    ],
    "ordinal and noun": [
        ("in the third season of", "third season"),
        ("in the 19th century.", "19th century"),
        ("the 2nd edition", "2nd edition"),
        ("his first solo album", "first solo album"),
        ("the fifth time", "fifth time"),
        ("the twenty-first century", "twenty-first century"),
        ("the second largest city", "second largest city"),
        ("The first prize went to Tom.", "first prize"),
    ],
}
NEGATIVE = {
    "unit conversion": [
        "It ran 20 km (2) and more.",
        "the road (12 mi) is long",
        "20 people (12 men)",
        "in 1990 (12 mi away)",
        "5 km (see map)",
        "3 (3 km)",
        "It is 20 km long and 12 mi wide.",
        "a gene of 20 kb (12 exons)",
        "$5 million (£3 million)",
    ],
    "consecutive years": [
        "1914–1918",
        "pp. 1905-1-2",
        "2005-06-12",
        "in 2005 and 2007",
        "2006–05",
        "1 – 2",
        "12005–06",
        "2005 06",
        "a ratio of 1000/1001",
        "from 2005, 06 times",
    ],
    "span of years": [
        "In 1914 – 18 men died.",
        "2005 – 06 season",
        "1918–1914",
        "1914-07-28",
        "$1914–1918",
        "between 1901 people and 1910 others",
        "1914 and 1918",
        "he was 14–18",
        "1914",
    ],
    "full date": [
        "in June 2007",
        "on 23 June",
        "June 45, 2007",
        "23 people in June 2007",
        "June, 2007",
        "223 June 2007",
        "23 2007",
        "June 23, he left; 2007 was",
        "June 23, 20071",
    ],
    "sports score": [
        "pages 12–15",
        "pp. 3–1",
        "children aged 5–12 won prizes",
        "3–1",
        "in 2005–06 they won",
        "They won. It lasted 3–4 days.",
        "They won 3 of 1 matches.",
        "the 1–2 km race was long",
        "won in Mark 4:3–5",
    ],
    "institution (abbreviation)": [
        "in Boston (USA)",
        "the army (2)",
        "Portland Trail Blazers (NBA)",
        "deoxyribonucleic acid (DNA)",
        "the King (who left)",
        "World Health Organization (Geneva)",
        "John Smith (A)",
        "He Was Happy. It (HWHI)",
        "the Party (CPP)",
    ],
    "city, state": [
        "Alabama, Florida, and Texas",
        "However, Virginia said no.",
        "In June, Virginia left",
        "his wife, Georgia",
        "Leonard, Virginia Woolf and",
        "Key West in Florida",
        "Paris, France",
        "the state, Florida",
        "Springfield (Illinois)",
    ],
    "name, occupation": [
        "London, a city and writer",
        "New York, the governor said",
        "the writer of books",
        "In March, the king left",
        "John Smith, who was a writer",
        "a poet and John Smith",
        "John Smith was a poet.",
        "writer and poet",
        "Jeff, a writer",
    ],
    "enumeration of nouns": [
        "He ran, jumped and swam.",
        "It is red, green and blue-ish.",
        "rivers and lakes",
        "John Smith, a writer, and his wife",
        "rivers, lakes are wide",
        "In May, he left and came.",
        "The river flows. Lakes and forests are there.",
        "quickly, slowly and badly",
    ],
    "list of adjectives": [
        "a long road",
        "black and white",
        "rivers, lakes and forests",
        "He is tall, she left.",
        "a very long, road",
        "he ran, jumped and swam",
        "long roads, narrow streets",
        "The old man, old John, left",
    ],
    "quoted description": [
        'He sang "Hey Jude" today',
        'the word "dog"',
        'He called it warm. "The old man" left.',
        'called it "Smith"',
        'said "no"',
        'commonly called "triple play" or "red play"',
        "described as warm and funny",
        'It is "beautiful".',
        'called it "and"',
    ],
    "ordinal and noun": [
        "He first appeared in",
        "on May 23rd he",
        "second to none",
        "the 4th of July",
        "First, he left",
        "three seasons",
        "the 4th July",
        "he came third.",
    ],
}


@pytest.fixture(scope="module")
def tagger(shared_data):
    pytest.importorskip("nltk")
    return tagging.load(shared_data / "perceptron_tagger")


def _found(name, text, request):
    [pattern] = [p for p in patterns.ALL if p.name == name]
    tagger = request.getfixturevalue("tagger") if pattern.needs_tags else None
    [spans] = patterns.spans(text, [pattern], tagger)
    return [text[start:end] for start, end in spans]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [(name, *case) for name, cases in POSITIVE.items() for case in cases],
)
def test_what_is_a_pattern(name, text, expected, request):
    found = _found(name, text, request)
    assert len(found) == 1 or (expected is None and found), found
    if expected is not None:
        assert found == [expected]


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name in NEGATIVE for text in NEGATIVE[name]]
)
def test_what_only_looks_like_one(name, text, request):
    assert _found(name, text, request) == []


def test_every_pattern_is_tested_and_finds_its_example(request):
    names = {pattern.name for pattern in patterns.ALL}
    assert set(POSITIVE) == set(NEGATIVE) == names
    for pattern in patterns.ALL:
        assert len(POSITIVE[pattern.name]) >= 8 and len(NEGATIVE[pattern.name]) >= 8
        assert _found(pattern.name, pattern.example, request), pattern.name


def test_a_token_takes_part_by_one_character():
    starts, ends = np.array([0, 3, 4, 8]), np.array([2, 4, 7, 9])
    found = patterns.taking_part([(6, 8)], starts, ends)
    np.testing.assert_array_equal(found, [False, False, True, False])
    assert not patterns.taking_part([], starts, ends).any()


def test_patterns_that_need_tags_need_a_tagger():
    without = patterns.chosen([], has_tagger=False)
    assert len(without) == 8 and not any(p.needs_tags for p in without)
    assert patterns.chosen([], has_tagger=True) == patterns.ALL
    with pytest.raises(InputError, match="ordinal and noun: this needs parts of sp"):
        patterns.chosen(["ordinal and noun"], has_tagger=False)
    with pytest.raises(InputError, match=r"out of 'unit conversion'.*got 'rhyme'"):
        patterns.chosen(["rhyme"], has_tagger=True)


def test_every_own_sentence_has_its_pattern(request):
    assert set(adversarial_templates.TEMPLATES) == {p.name for p in patterns.ALL}
    for name, texts in adversarial_templates.TEMPLATES.items():
        assert len(texts) >= 5
        for text in texts:
            assert len(_found(name, text, request)) >= 1, text


def test_names_with_a_comma_survive_a_list():
    names = [pattern.name for pattern in patterns.ALL]
    given = ",".join(names).split(",")
    assert patterns.split_names(given) == names
