"""Codes of texts against the codes of their windows, and tables against the text."""

import re

import hypothesis
import jax
import numpy as np
import pytest
import scipy.sparse
from hypothesis import strategies

from tfvis_jax import codes, config
from tfvis_jax.codes import blocks, tables
from tfvis_jax.data import build_windows, text_windows
from tfvis_jax.errors import InputError
from tfvis_jax.notebook import run as run_lib
from tfvis_jax.runs import encoding

TEXTS = [
    "The bank of a river,  the bank's interest.",
    "",
    "\n  the rate \r\n rises\u2028again … ☃ ",
    "\ud800 the <b>bank</b>",
    "the river " * 40,
]


@pytest.fixture(scope="module")
def encoded(run):
    return codes.encode_texts(*run, TEXTS, with_rows=True)


@pytest.fixture(scope="module")
def whole(run, other_text, tmp_path_factory):
    """Every row of the other text by the plain stream, [n_layers, rows, …]."""
    opened, trained = run
    windows = build_windows.build(
        tmp_path_factory.mktemp("whole") / "tokens",
        config.CorpusConfig(
            paths=(str(other_text),), window_length=opened.config.corpus.window_length
        ),
        tokenizer=opened.tokenizer,
        every_document=True,
    )
    parts = []
    for batch, layers in encoding.encode_windows(
        opened, trained, windows, np.arange(len(windows))
    ):
        valid = batch.row_mask.reshape(-1)
        parts.append([[np.asarray(a)[valid] for a in rows[:4]] for rows in layers])
    return windows, [
        [np.concatenate([part[layer][kind] for part in parts]) for kind in range(4)]
        for layer in range(3)
    ]


def test_codes_are_those_of_the_windows(run, other_text, whole):
    opened, trained = run
    found = codes.encode_texts(opened, trained, files=[str(other_text)], with_rows=True)
    windows, expected = whole
    assert len(found.documents) == 40 and found.layers == trained.layers
    assert len(found.tokens) == windows.index["num_tokens"]
    for layer, (x, dense, residual, gap) in zip(found.layers, expected, strict=True):
        matrix = found.codes[layer]
        assert isinstance(matrix, scipy.sparse.csr_array)
        assert matrix.dtype == np.float32 and matrix.has_canonical_format
        np.testing.assert_array_equal(matrix.toarray(), dense)
        # By two programs, which may sum up the gap in another order.
        np.testing.assert_allclose(found.gap[layer], gap, rtol=0, atol=1e-7)
        np.testing.assert_array_equal(found.x[layer], x)
        np.testing.assert_array_equal(found.residual[layer], residual)
        assert found.gap[layer].max() <= opened.config.solver.tolerance
        # Float32 sums of 24 terms.
        np.testing.assert_allclose(
            matrix @ trained.factors + found.residual[layer], x, atol=1e-5
        )
    # No text is left out, and no copy is folded.
    first, copy = (found.tokens.document == number for number in (0, 39))
    np.testing.assert_array_equal(found.tokens.word[first], found.tokens.word[copy])
    np.testing.assert_array_equal(
        found.codes[2][first].toarray(), found.codes[2][copy].toarray()
    )


def test_tables_lead_back_to_the_text(encoded):
    tokens, documents = encoded.tokens, encoded.documents
    # Texts without a word keep their number.
    assert len(documents) == len(TEXTS) and documents.text == tuple(TEXTS)
    assert set(tokens.document.tolist()) == {0, 2, 3, 4}
    for row in range(len(tokens)):
        text = documents.text[tokens.document[row]]
        start, end = tokens.word_start[row], tokens.word_end[row]
        assert start <= tokens.start[row] < tokens.end[row] <= end
        assert text[start:end] == tokens.word[row] or "\ud800" in text
        assert not re.search(r"\s", str(tokens.word[row]))
    words = tokens.word[tokens.document == 0].tolist()
    assert words[:4] == ["The", "bank", "of", "a"] and "," in words
    # Half a surrogate pair counts as one character.
    row = encoded.rows_of(3, TEXTS[3].index("bank"), TEXTS[3].index("bank") + 4)
    assert tokens.word[row].tolist() == ["bank"]
    # Windows hold 10 tokens beside the special ones, words of the corpus are one.
    long = tokens.document == 4
    assert np.unique(tokens.window[long], return_counts=True)[1].tolist() == [10] * 8
    assert tokens.position[long].tolist() == [*range(1, 11)] * 8


def test_rows_of_a_span_are_the_tokens_that_overlap_it(encoded):
    tokens = encoded.tokens
    rng = np.random.default_rng(0)
    for document in range(len(TEXTS)):
        for start, end in np.sort(rng.integers(-1, 60, size=(20, 2))).tolist():
            expected = [
                row
                for row in range(len(tokens))
                if tokens.document[row] == document
                and max(tokens.start[row], start) < min(tokens.end[row], end)
            ]
            found = encoded.rows_of(document, start, end)
            assert found.tolist() == expected


def test_layers_words_and_form_can_be_chosen(run, encoded):
    every = codes.encode_texts(*run, TEXTS, output="dense")
    for layer in every.layers:
        assert isinstance(every.codes[layer], np.ndarray)
        np.testing.assert_array_equal(
            every.codes[layer], encoded.codes[layer].toarray()
        )
    assert every.x is None and every.residual is None
    some = codes.encode_texts(*run, TEXTS, layers=[2, 0], words=["BANK", "River"])
    assert some.layers == (0, 2) and set(some.codes) == {0, 2}
    kept = np.array([w.lower() in ("bank", "river") for w in encoded.tokens.word])
    assert 0 < kept.sum() < len(kept)
    for name in tables.COLUMNS:
        np.testing.assert_array_equal(
            getattr(some.tokens, name), getattr(encoded.tokens, name)[kept]
        )
    for layer in (0, 2):
        # Other batches of windows: XLA may round a sum differently.
        np.testing.assert_allclose(
            some.codes[layer].toarray(),
            encoded.codes[layer].toarray()[kept],
            atol=1e-5,
        )
    none = codes.encode_texts(*run, iter(TEXTS), words=["absent"])
    assert len(none.tokens) == 0 and none.codes[1].shape == (0, 24)
    assert none.gap[1].shape == (0,)


def test_blocks_and_devices_change_nothing(run, encoded, monkeypatch):
    monkeypatch.setattr(blocks, "_BLOCK_TOKENS_WITH_ROWS", 1)
    told = []
    found = codes.encode_texts(
        *run,
        TEXTS,
        with_rows=True,
        devices=jax.devices()[:2],
        progress=lambda *done: told.append(done),
    )
    for layer in found.layers:
        np.testing.assert_array_equal(
            found.codes[layer].toarray(), encoded.codes[layer].toarray()
        )
        np.testing.assert_array_equal(found.x[layer], encoded.x[layer])
    assert told[-1][0] == told[-1][1] > 8


def test_a_text_that_the_vocabulary_does_not_cover_is_said(run):
    told = []
    found = codes.encode_texts(*run, ["東京 ☃ ☃", "bank"], notify=told.append)
    assert len(found.tokens) > 1 and len(told) == 1
    # What training can do about it is no advice here.
    assert "unknown to the model's vocabulary" in told[0] and "--" not in told[0]


def test_a_run_offers_it(run):
    opened, _ = run
    loaded = run_lib.load_run(opened.run.path)
    found = loaded.encode_texts(["The bank of a river"], layers=[1])
    alone = loaded.encode("The bank of a river")
    assert repr(found) == "EncodedTexts(5 tokens of 1 documents, layers (1,))"
    assert found.tokens.word.tolist() == alone.text.split()
    # A sentence is solved to a tighter gap, in a window of another length.
    np.testing.assert_allclose(found.codes[1].toarray(), alone.codes[1], atol=0.02)


@pytest.mark.parametrize(
    ("texts", "how", "message"),
    [
        (None, {}, "either `texts` or `files`"),
        (["a"], {"files": ["b"]}, "either `texts` or `files`"),
        ("a text", {}, "a list of texts"),
        (["", " \n"], {}, "at least one word"),
        ([], {}, "at least one word"),
        (["the", 3], {}, "got int at place 1"),
        (["the"], {"layers": [7]}, "layers out of"),
        (["the"], {"layers": []}, "layers out of"),
        (["the"], {"words": "left"}, "`words`"),
        (["the"], {"words": []}, "`words`"),
        (["the"], {"output": "csr"}, "`output`"),
        (None, {"files": ["/absent.txt"]}, "no file or folder"),
    ],
)
def test_mistakes_are_named(run, texts, how, message):
    with pytest.raises(InputError, match=message):
        codes.encode_texts(*run, texts, **how)


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(strategies.lists(strategies.text(max_size=80), max_size=6))
def test_every_token_of_any_text_is_in_the_table_once(run, tmp_path_factory, texts):
    opened, _ = run
    folder = tmp_path_factory.mktemp("texts")
    expected = [opened.tokenizer.encode(text) for text in texts]
    n_tokens = sum(len(tokenized.ids) for tokenized in expected)
    if not n_tokens:
        with pytest.raises(InputError):
            text_windows.build(
                folder, texts, opened.config.corpus, tokenizer=opened.tokenizer
            )
        return
    windows = text_windows.build(
        folder, texts, opened.config.corpus, tokenizer=opened.tokenizer
    )
    table = tables.of_windows(windows, range(len(windows)))
    for name, column in (("token_id", "ids"), ("start", "starts"), ("end", "ends")):
        np.testing.assert_array_equal(
            getattr(table, name),
            np.concatenate([getattr(tokenized, column) for tokenized in expected]),
        )
    names = [int(name) for name, _ in windows.document_texts()]
    sizes = [len(tokenized.ids) for tokenized in expected]
    np.testing.assert_array_equal(
        np.array(names)[table.document], np.repeat(np.arange(len(texts)), sizes)
    )
