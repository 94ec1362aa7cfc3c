"""Spans meet tokens, or are counted."""

import numpy as np
import pytest

from tfvis_jax import probing
from tfvis_jax.data import tokenizer as tokenizer_lib
from tfvis_jax.probing import labelled as labelled_lib


@pytest.fixture(scope="module")
def tokenizer(tiny_bert_folder):
    return tokenizer_lib.load(tiny_bert_folder)


def _labelled(*records):
    return labelled_lib.build(
        "test",
        [(text, text, [(*span, "x") for span in spans]) for text, spans in records],
    )


def test_spans_of_one_token_of_several_and_of_none(tokenizer):
    labelled = _labelled(
        ("The lobsters left.", [(0, 3), (4, 12), (13, 17), (13, 16), (17, 18)]),
        ("", []),
        ("He left", [(3, 7), (2, 7)]),
    )
    tokens = probing.tokenize(labelled, tokenizer)
    found = probing.align(labelled, tokens)
    texts = [
        None
        if first < 0
        else labelled.texts[tokens.text_of[first]][
            tokens.starts[first] : tokens.ends[last]
        ]
        for first, last in zip(found.first, found.last, strict=True)
    ]
    assert texts == ["The", "lobsters", "left", None, ".", "left", None]
    assert (found.last[1] > found.first[1]) and found.last[0] == found.first[0]
    assert found.aligned.tolist() == [text is not None for text in texts]
    assert str(found) == (
        "5 of 7 spans align with tokens, 1 of them with several; 2 do not, such as "
        "'lef', ' left'"
    )


def test_every_token_is_found_by_its_own_span(tokenizer):
    texts = ("Ünïcode – naïve façade 東京 ½", "1,000.50 don't", "🦞 lobster")
    tokens = probing.tokenize(_labelled(*((t, [(0, 1)]) for t in texts)), tokenizer)
    records = [
        (
            text,
            [
                (int(start), int(end))
                for start, end, of in zip(
                    tokens.starts, tokens.ends, tokens.text_of, strict=True
                )
                if of == number
            ],
        )
        for number, text in enumerate(texts)
    ]
    labelled = _labelled(*records)
    found = probing.align(labelled, tokens)
    assert found.aligned.all()
    # Tokens that are made of one character share its span.
    np.testing.assert_array_equal(tokens.starts[found.first], labelled.spans[:, 0])
    np.testing.assert_array_equal(tokens.ends[found.last], labelled.spans[:, 1])
    assert (found.first <= np.arange(len(tokens.ids))).all()
    assert (found.last >= np.arange(len(tokens.ids))).all()


def test_texts_without_tokens_align_with_nothing(tokenizer):
    labelled = _labelled((" ", [(0, 1)]))
    found = probing.align(labelled, probing.tokenize(labelled, tokenizer))
    assert str(found).startswith("0 of 1 spans align")
