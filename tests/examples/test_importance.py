"""Importance scores against their definition."""

import numpy as np

from tfvis_jax.examples import importance

ACTIVATION = np.array([[[4.0, 2.0, 0.0], [0.0, 0.0, 0.0], [9.0, 3.0, 3.0]]])


def test_importance_is_the_mean_over_tokens_that_fire():
    scores = importance.importance_scores(ACTIVATION, n=2)
    np.testing.assert_allclose(scores, [[3.0, 0.0, 6.0]])
    scores = importance.importance_scores(ACTIVATION, n=3)
    np.testing.assert_allclose(scores, [[3.0, 0.0, 5.0]])


def test_counts_are_the_numbers_of_activations_averaged():
    firing = np.array([[2, 0, 70]])
    np.testing.assert_array_equal(importance.counts(firing, n=3), [[2, 0, 3]])


def test_norm_free_scores_do_not_change_with_the_scale_of_a_layer():
    scores = np.float32([[3.0, 0.0], [1.0, 2.0]])
    free = importance.norm_free_scores(scores, np.array([2.0, 0.5]))
    np.testing.assert_allclose(free, [[1.5, 0.0], [2.0, 4.0]])
    longer = importance.norm_free_scores(scores * 8, np.array([16.0, 4.0]))
    np.testing.assert_array_equal(longer, free)
