"""The procedure that LIME is timed against gives the activations that ours gives."""

import numpy as np
import pytest

from benchmarks.saliency import published
from tfvis_jax import models
from tfvis_jax.sparse_coding import encode


def test_it_finds_the_same_activations(toy_bert_folder):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    rng = np.random.default_rng(0)
    # More than one batch of 8.
    token_ids = rng.integers(5, 50, (11, 9)).astype(np.int32)
    factors = rng.normal(size=(24, 16)).astype(np.float32)
    factors /= np.linalg.norm(factors, axis=1, keepdims=True)
    states = models.load(toy_bert_folder).encoder(
        token_ids, np.ones_like(token_ids, bool), layers=(2,)
    )
    x = np.asarray(states)[0, :, 4] / np.float32(4)
    codes = np.asarray(
        encode(x, factors, l1_penalty=0.1, tolerance=1e-6, max_steps=5000).codes
    )
    factor = int(np.argmax(codes.sum(axis=0)))
    found = published.activations(
        published.open_model(toy_bert_folder),
        token_ids,
        factors,
        layer=2,
        position=4,
        factor=factor,
        layer_scale=4.0,
        l1_penalty=0.1,
    )
    assert np.ptp(codes[:, factor]) > 0.05
    # What 1,000 steps leave, and float32 hidden states.
    np.testing.assert_allclose(found, codes[:, factor], atol=1e-3)
