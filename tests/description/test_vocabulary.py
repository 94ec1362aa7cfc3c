"""Test the masked-LM head on a direction against its formula in float64."""

import dataclasses
import math
import types

import numpy as np
from flax import nnx

from tfvis_jax import config, models
from tfvis_jax.data import build_windows
from tfvis_jax.data import tokenizer as tokenizer_lib
from tfvis_jax.description import vocabulary
from tfvis_jax.models import bert, blocks, registry
from tfvis_jax.runs import setup

_VOCABULARY = 24


def _head(state):
    shape = bert.BertConfig(
        vocab_size=_VOCABULARY,
        d_model=8,
        d_hidden=16,
        n_layers=1,
        n_heads=2,
        max_positions=16,
        n_token_types=2,
    )
    make = blocks.Maker(rngs=nnx.Rngs(0))
    model = registry.ARCHITECTURES["bert"].with_head(shape, make)
    rng = np.random.default_rng(0)
    head = model.head
    for parameter in (head.bias, head.transform.bias, head.norm.bias, head.norm.scale):
        parameter[...] = np.float32(rng.normal(size=parameter[...].shape))
    model.encoder.embeddings.word[...] = np.float32(rng.normal(size=(_VOCABULARY, 8)))
    return vocabulary.Head(model, None, np.float32(state))


def _logits(model, hidden):
    """The head by its definition in BERT."""
    head = model.head
    kernel, bias = (
        np.float64(parameter[...])
        for parameter in (head.transform.kernel, head.transform.bias)
    )
    x = hidden @ kernel + bias
    x = np.array([v / 2 * (1 + math.erf(v / math.sqrt(2))) for v in x])
    x = (x - x.mean()) / math.sqrt(x.var() + 1e-12)
    x = x * np.float64(head.norm.scale[...]) + np.float64(head.norm.bias[...])
    return np.float64(model.encoder.embeddings.word[...]) @ x + np.float64(
        head.bias[...]
    )


def test_changes_equal_the_formula():
    rng = np.random.default_rng(1)
    head = _head(rng.normal(size=8))
    for _ in range(3):
        direction = np.float32(rng.normal(size=8))
        expected = _logits(head.model, np.float64(head.state) + direction) - _logits(
            head.model, np.float64(head.state)
        )
        # Logits of size ten in float32.
        np.testing.assert_allclose(head.changes(direction), expected, atol=3e-5)
    np.testing.assert_array_equal(head.changes(np.zeros(8)), np.zeros(_VOCABULARY))


def test_the_extremes_are_sorted_and_words_only():
    pieces = ("[PAD]", "", "the", "##ing", "[unused1]", "[", "bank", "left")
    tokenizer = types.SimpleNamespace(
        pieces=pieces, special_ids=frozenset({0}), spelled=pieces.__getitem__
    )
    change = np.array([9.0, 8.0, 1.0, -4.0, 7.0, 0.5, 3.0, -1.0, 99.0])
    found = vocabulary.extremes(change, tokenizer, k=3)
    assert found.raised == (("bank", 3.0), ("the", 1.0), ("[", 0.5))
    assert found.lowered == (("##ing", -4.0), ("left", -1.0), ("[", 0.5))


def test_the_head_is_evaluated_at_the_mean_hidden_state(
    tiny_bert_folder, toy_bert_folder, toy_corpus, tmp_path
):
    def opened(folder):
        settings = config.RunConfig(
            model=str(folder),
            corpus=config.CorpusConfig(paths=(str(toy_corpus),), window_length=16),
        )
        run = types.SimpleNamespace(model_identity=tmp_path / "none")
        return setup.open_model(run, settings), settings

    with_head, settings = opened(tiny_bert_folder)
    windows = build_windows.build(
        tmp_path / "tokens",
        dataclasses.replace(settings.corpus, max_tokens=300),
        tokenizer=tokenizer_lib.load(tiny_bert_folder),
    )
    head = vocabulary.open_head(with_head, windows)
    everything = np.arange(len(windows))
    states = with_head.pretrained.encoder(
        windows.token_ids(everything), windows.token_mask(everything), layers=(2,)
    )
    rows = np.asarray(states[0])[windows.row_mask(everything)]
    assert len(windows) <= 64
    np.testing.assert_allclose(head.state, rows.mean(axis=0), atol=1e-5)
    change = head.changes(np.float32(np.ones(128)))
    found = vocabulary.extremes(change, head.tokenizer, k=2)
    assert found.raised[0][1] > 0 > found.lowered[0][1]
    without, _ = opened(toy_bert_folder)
    assert vocabulary.open_head(without, windows) is None
    assert models.head_of(tiny_bert_folder) == "masked_lm"
    assert models.head_of(toy_bert_folder) is None
