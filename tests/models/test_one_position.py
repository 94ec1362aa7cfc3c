"""One position's hidden state against the whole encoder's."""

import functools

import jax
import numpy as np
import pytest

from tfvis_jax import models
from tfvis_jax.models import one_position


@functools.partial(jax.jit, static_argnames=("layer",))
def _one(encoder, token_ids, mask, position, *, layer):
    words = one_position.word_embeddings(encoder, token_ids)
    return one_position.hidden_state(encoder, words, mask, position, layer=layer)


@functools.partial(jax.jit, static_argnames=("layer",))
def _all(encoder, token_ids, mask, *, layer):
    return encoder(token_ids, mask, layers=(layer,))[0]


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_it_is_the_encoders(toy_bert_folder, layer):
    encoder = models.load(toy_bert_folder).encoder
    rng = np.random.default_rng(0)
    token_ids = rng.integers(0, 50, (5, 9)).astype(np.int32)
    mask = np.arange(9) < np.array([9, 5, 1, 8, 9])[:, None]
    mask[4, 2:5] = False  # seen round a gap
    position = np.array([8, 4, 0, 3, 6], np.int32)
    whole = _all(encoder, token_ids, mask, layer=layer)
    expected = np.asarray(whole)[np.arange(5), position]
    found = _one(encoder, token_ids, mask, position, layer=layer)
    # Float32 sums in another order.
    np.testing.assert_allclose(found, expected, atol=2e-5)
