"""Contexts show the document's own text; wrong folders are named."""

import json

import numpy as np
import pytest

from tfvis_jax import config
from tfvis_jax.data import build_windows, windows
from tfvis_jax.errors import InputError

TEXT = "The blue\n LOBSTERS, <script>alert(1)</script>  and unlobstering ☃ things."


@pytest.fixture
def built(small_tokenizer, tmp_path) -> windows.Windows:
    path = tmp_path / "a.txt"
    path.write_text(f"= One =\n{TEXT}\n= Two =\nthe end\n")
    return build_windows.build(
        tmp_path / "tokens",
        config.CorpusConfig(paths=(str(path),), window_length=64),
        tokenizer=small_tokenizer,
    )


def test_a_context_is_the_text_with_its_word(built):
    texts = built.token_texts(0)
    assert texts[0] == "" and texts[1:5] == ["The", "blue", "LOBSTER", "S"]
    for position in (3, 4):
        context = built.context(0, position, before=1, after=1)
        assert context == windows.WordInContext("blue ", "LOBSTERS", ",")
    whole = built.context(0, 4, before=100, after=100)
    assert whole.before + whole.word + whole.after == TEXT.replace("\n ", " ")
    assert "<script>alert(1)</script>  and" in whole.after
    alone = built.context(0, 4, before=0, after=0)
    assert alone == windows.WordInContext("", "LOBSTERS", "")


def test_every_token_lies_in_its_marked_word(built):
    for position, text in enumerate(built.token_texts(0)):
        if text:
            assert text in built.context(0, position).word
    words = [
        built.context(0, p).word for p, text in enumerate(built.token_texts(0)) if text
    ]
    assert "unlobstering" in words and "☃" in words and "things" in words


def test_words_are_those_of_the_contexts(built):
    words = built.words(0)
    texts = built.token_texts(0)
    assert words.texts[:4] == ["The", "blue", "LOBSTERS", ","]
    assert words.is_spaced[:5].tolist() == [False, True, True, False, True]
    for position, text in enumerate(texts):
        number = int(words.of_position[position])
        assert (number == -1) == (text == "")
        if text:
            assert words.texts[number] == built.context(0, position).word


def test_spaced_texts_join_to_the_text(built):
    spaced = built.spaced_texts(0)
    assert "".join(spaced) == TEXT.replace("\n ", " ")
    assert spaced[:5] == ["", "The", " blue", " LOBSTER", "S"]
    assert len(spaced) == built.window_length


def test_a_context_ends_with_its_window(small_tokenizer, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("the blue lobster " * 10)
    built = build_windows.build(
        tmp_path / "tokens",
        config.CorpusConfig(paths=(str(path),), window_length=6),
        tokenizer=small_tokenizer,
    )
    assert built.context(1, 1) == windows.WordInContext("", "blue", " lobster the blue")


def test_a_word_cut_by_its_window_is_shown_as_far_as_it_goes(small_tokenizer, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("abcdefghij")
    built = build_windows.build(
        tmp_path / "tokens",
        config.CorpusConfig(paths=(str(path),), window_length=6),
        tokenizer=small_tokenizer,
    )
    assert [built.context(row, 1).word for row in range(3)] == ["abcd", "efgh", "ij"]


def test_places_without_text_are_refused(built):
    last = int(built.lengths[0]) - 1
    for position in (0, last, last + 1, -1):
        with pytest.raises(InputError, match=rf"window 0, got {position}, which"):
            built.context(0, position)
    with pytest.raises(InputError, match="from 0 to"):
        built.token_ids(np.array([0, len(built)]))
    with pytest.raises(InputError, match="from 0 to"):
        built.token_mask(np.array([-1]))


def test_documents(built):
    assert built.document_name(0) == "One" and built.document(0) == 0
    assert built.document_name(len(built) - 1) == "Two"
    assert built.document(len(built) - 1) == 1


def test_rows_come_in_the_order_asked_for(built):
    rows = np.array([1, 0, 1])
    np.testing.assert_array_equal(
        built.token_ids(rows), built.token_ids(np.arange(2))[rows]
    )
    empty = built.token_ids(np.array([], int))
    assert empty.shape == (0, 64) and empty.dtype == np.int32


def test_other_folders_are_named(built, tmp_path):
    with pytest.raises(InputError, match=r"no token windows \(no index\.json"):
        windows.open(tmp_path / "nothing")
    path = built.folder / "index.json"
    path.write_text(json.dumps(built.index | {"schema_version": 99}))
    with pytest.raises(InputError, match=r"Expected version 3 .*got 99"):
        windows.open(built.folder)
    path.unlink()
    with pytest.raises(InputError, match=r"unfinished"):
        windows.open(built.folder)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([100] * 3, 300),  # Fewer tokens than are measured: all.
        ([900] * 20, 840),
        ([1, 5, 20_000, 300], 850),
        ([1] * 3000, 820),  # More documents than windows.
    ],
)
def test_metrics_are_measured_on_windows_of_all_documents(built, sizes, expected):
    documents = np.repeat(np.arange(len(sizes)), sizes)
    built.documents = documents
    built.lengths = np.full(len(documents), 12)  # Of 10 tokens.
    built._first_window = np.array([0, len(documents)])
    rows = built._sample(np.arange(len(documents)), num_tokens=8192)
    assert expected * 0.95 <= len(rows) <= expected * 1.05
    assert len(set(rows.tolist())) == len(rows) and (np.diff(rows) > 0).all()
    if len(sizes) < 820:
        assert set(documents[rows]) == set(range(len(sizes)))
    # Evenly spaced, from the beginning to the end of each document.
    for number in np.unique(documents[rows])[:50]:
        own = rows[documents[rows] == number]
        if len(own) > 2:
            assert np.ptp(np.diff(own)) <= 1
            before = own[0] - np.searchsorted(documents, number)
            assert before <= np.diff(own).max()
