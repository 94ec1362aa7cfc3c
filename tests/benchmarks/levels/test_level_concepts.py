"""Concepts of a text and word families, against texts written for them."""

import numpy as np
import pytest

from benchmarks.levels import concepts, word_families


def _tokens(lines, domains):
    """Tokens parted by spaces; ids by their first appearance."""
    ids, columns, starts, size = {}, [], [], 0
    for window, line in enumerate(lines):
        for position, word in enumerate(line.split(" ")):
            starts.append(size)
            size += len(word) + 1
            token_id = ids.setdefault(word, len(ids))
            columns.append((window, position, token_id, window))
    table = np.array(columns)
    return concepts.Tokens(
        *table.T,
        domains=tuple(domains),
        text="\n".join(lines) + "\n",
        start=np.array(starts),
    )


def _words(tokens, rows):
    ends = np.append(tokens.start[1:], len(tokens.text))
    return [tokens.text[tokens.start[r] : ends[r]].strip() for r in rows]


@pytest.mark.parametrize(
    ("name", "line", "expected"),
    [
        ("in YEAR", "He died in 1945 and in 20 days", ["1945"]),
        ("city, STATE", "to Portland , Oregon , by rail", ["Oregon"]),
        ("in brackets", "the unit ( of the army ) won", ["of", "the", "army"]),
        ("listed: a, B, and c", "bread , wine and cheese", ["wine"]),
        ("years from – TO", "in the 1990 - 91 season", ["91"]),
        ("owned", "the dog ' s tail", ["tail"]),
        ("first of a sentence", "It ends . Then it begins", ["Then"]),
        ("second of two capitalised", "by Mary Shelley in may", ["Shelley"]),
    ],
)
def test_templates_hold_their_targets(monkeypatch, name, line, expected):
    monkeypatch.setattr(concepts, "_MIN_COUNT", 1)
    monkeypatch.setattr(concepts, "_MIN_FORMS", 1)
    tokens = _tokens([line], [""])
    found = {c.name: c for c in concepts.concepts(tokens)}
    assert _words(tokens, found[name].rows) == expected
    assert found[name].level == "mid"


def test_domains_and_documents_hold_all_of_their_tokens():
    rng = np.random.default_rng(0)
    lines = [" ".join(f"w{n}" for n in rng.integers(0, 30, 160)) for _ in range(3)]
    tokens = _tokens(lines, ["novel", "novel", ""])
    found = {c.name: c for c in concepts.concepts(tokens) if c.level != "mid"}
    np.testing.assert_array_equal(found["domain novel"].rows, np.arange(320))
    np.testing.assert_array_equal(found["document 2"].rows, np.arange(320, 480))
    assert len(found) == 4
    assert (
        found["domain novel"].level == "high" and found["document 2"].level == "topic"
    )


def test_rows_are_found_by_their_place():
    tokens = _tokens(["a b c", "d e"], ["", ""])
    rows = tokens.rows(np.array([1, 0, 1]), np.array([1, 2, 0]))
    np.testing.assert_array_equal(rows, [4, 2, 3])


def test_families_are_forms_of_one_word():
    together = [
        ("leave", "left", "leaving"),
        ("letter", "letters"),
        ("opposed", "opposing", "opposes"),
        ("8", "eight", "eighth"),
        ("i", "my", "me"),
    ]
    pieces = [word for family in together for word in family] + ["##s", "##ed", "let"]
    found = word_families.of_vocabulary(pieces)
    expected = [n for n, family in enumerate(together) for _ in family] + [5, 6, 7]
    np.testing.assert_array_equal(found, expected)
