"""Codes of chosen rows: those of whole texts, on any number of devices."""

import jax
import numpy as np

from tfvis_jax.codes import rows as rows_lib


def test_devices_change_no_bit(run):
    opened, trained = run
    width = trained.factors.shape[1]
    # More than three devices take at once, and a last share that is not full.
    size = opened.config.windows_per_batch * opened.config.corpus.window_length
    rows = np.random.default_rng(0).normal(size=(4 * size + 5, width))
    rows = np.float32(rows / np.linalg.norm(rows, axis=1, keepdims=True))
    found = [
        rows_lib.encode_rows(
            opened, trained, rows, layer=1, devices=jax.local_devices()[:n]
        )
        for n in (1, 3)
    ]
    one, three = found
    assert one.codes.nnz and one.codes.shape == (len(rows), len(trained.factors))
    np.testing.assert_array_equal(one.codes.toarray(), three.codes.toarray())
    np.testing.assert_array_equal(one.residual, three.residual)
    # What the codes stand for and what they leave are the hidden state.
    np.testing.assert_allclose(one.x, 5 * rows, rtol=1e-6)
    np.testing.assert_allclose(
        one.reconstruction, 5 * (one.codes @ trained.factors), atol=1e-5
    )
