"""Scores of recovery: perfect, permuted, brute force, chance."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.ground_truth import recovery

RNG = np.random.default_rng(0)


def _world(n_true=6, d_model=9, rows=200):
    features = np.float32(np.linalg.qr(RNG.normal(size=(d_model, n_true)))[0].T)
    codes = RNG.exponential(size=(rows, n_true)) * (RNG.random((rows, n_true)) < 0.4)
    # No row is zero: the norm ratio of one is not defined.
    codes[:, 0] += codes.sum(axis=1) == 0
    return features, np.float32(codes)


def _evaluate(features, true_codes, dictionary, encode):
    x = true_codes @ features
    batches = [(jnp.asarray(x[i::2]), jnp.asarray(true_codes[i::2])) for i in (0, 1)]
    return recovery.evaluate(
        batches,
        encode=encode,
        decode=lambda codes: codes @ dictionary,
        dictionary=jnp.asarray(dictionary),
        features=jnp.asarray(features),
    )


def test_the_truth_permuted_and_rescaled_scores_one():
    features, true_codes = _world()
    order = RNG.permutation(len(features))
    scale = np.float32(RNG.uniform(0.5, 2, size=(len(features), 1)))
    dictionary = features[order] * scale
    found = _evaluate(
        features, true_codes, dictionary, lambda x: (x @ features.T)[:, order] / scale.T
    )
    # Codes of what does not fire are float32 noise about zero.
    exact = _evaluate(
        features,
        true_codes,
        dictionary,
        lambda x: jnp.where(
            jnp.abs((x @ features.T)[:, order]) > 1e-5,
            (x @ features.T)[:, order] / scale.T,
            0,
        ),
    )
    assert found.f1 < 1
    for name in ("f1", "precision", "recall", "mcc", "uniqueness", "alive"):
        assert getattr(exact, name) == pytest.approx(1, abs=1e-5), name
    assert exact.explained_variance == pytest.approx(1, abs=1e-5)
    assert exact.shrinkage == pytest.approx(1, abs=1e-3)
    assert exact.l0 == pytest.approx(exact.true_l0)


def test_the_matching_is_the_best_of_all():
    cosines = RNG.random((4, 6))
    best = max(
        np.mean([cosines[row, column] for row, column in enumerate(columns)])
        for columns in itertools.permutations(range(6), 4)
    )
    assert recovery.mean_matched_cosine(cosines) == pytest.approx(best)


def test_detection_counts_what_fires_together():
    codes = np.array([[1, 0], [2, 0], [0, 3], [0, 0]], np.float32)
    true_codes = np.array([[5, 0], [0, 1], [0, 1], [1, 1]], np.float32)
    counts = recovery.count_firings(codes, true_codes, jnp.array([0, 1]))
    precision, recall, f1 = recovery.detection(counts)
    np.testing.assert_allclose(precision, [1 / 2, 1])
    np.testing.assert_allclose(recall, [1 / 2, 1 / 3])
    np.testing.assert_allclose(f1, [1 / 2, 1 / 2])


def test_factors_that_share_a_feature_are_not_unique_and_a_silent_one_scores_zero():
    features, true_codes = _world()
    dictionary = np.stack([features[0], features[0], np.zeros_like(features[0])])
    found = _evaluate(
        features,
        true_codes,
        dictionary,
        lambda x: jnp.maximum(x @ jnp.asarray(dictionary).T - 1e-5, 0),
    )
    # A zero factor is nearest to the first feature too, all its cosines being 0.
    assert found.uniqueness == pytest.approx(1 / 3)
    assert found.alive == pytest.approx(2 / 3)
    assert found.f1 == pytest.approx(2 / 3, abs=1e-3)


def test_random_factors_are_near_chance():
    features = RNG.normal(size=(40, 64))
    cosines = recovery.absolute_cosines(RNG.normal(size=(40, 64)), features)
    # The largest of 40 cosines of random directions in 64 dimensions is about 0.3.
    assert 0.1 < recovery.mean_matched_cosine(cosines) < 0.4
