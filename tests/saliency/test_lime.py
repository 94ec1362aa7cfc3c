"""Test LIME against the authors' package, and its metrics against definitions."""

import numpy as np
import pytest

from tfvis_jax.saliency import lime


def _world(seed, *, n_tokens, samples):
    """Masks, the first of which keeps all, and α that depends on a few tokens."""
    rng = np.random.default_rng(seed)
    drawn = lime.draw_masks(rng, n_tokens=n_tokens, count=samples - 1)
    kept = np.concatenate([np.ones((1, n_tokens), bool), drawn])
    truth = np.where(rng.random(n_tokens) < 0.3, rng.normal(size=n_tokens), 0)
    y = kept @ truth + 0.5 * kept[:, 0] * kept[:, 3] + 0.1 * rng.normal(size=samples)
    return kept, np.maximum(y, 0)


def _by_the_package(kept, y, *, num_features):
    """Weights [n], intercept and R² as `lime` computes them."""
    lime_base = pytest.importorskip("lime.lime_base", reason="lime is not installed")
    metrics = pytest.importorskip("sklearn.metrics")
    data = kept.astype(float)
    distances = metrics.pairwise_distances(data, data[:1], metric="cosine").ravel()
    explainer = lime_base.LimeBase(
        lambda distance: np.sqrt(np.exp(-(distance**2) / 25**2)),
        random_state=np.random.RandomState(0),
    )
    intercept, found, r2, _ = explainer.explain_instance_with_data(
        data, y[:, None], 100 * distances, 0, num_features, feature_selection="auto"
    )
    weights = np.zeros(kept.shape[1])
    for column, weight in found:
        weights[column] = weight
    return weights, intercept, r2


@pytest.mark.parametrize(
    ("n_tokens", "num_features"), [(40, 30), (12, 30), (20, 10), (20, 6), (9, 3)]
)
def test_weights_equal_those_of_the_package(n_tokens, num_features):
    kept, y = _world(n_tokens, n_tokens=n_tokens, samples=400)
    kept[7] = False  # a mask that keeps nothing
    found = lime.fit(kept, y, num_features=num_features)
    weights, intercept, r2 = _by_the_package(kept, y, num_features=num_features)
    np.testing.assert_allclose(found.weights, weights, atol=1e-9)
    np.testing.assert_allclose([found.intercept, found.r2], [intercept, r2], atol=1e-9)
    assert np.count_nonzero(found.weights) == min(num_features, n_tokens)


def test_the_kernel_is_the_cosine_distance_to_the_whole_window():
    kept = np.array([[1, 1, 1, 1], [1, 0, 1, 0], [0, 0, 0, 0]], bool)
    cosine = [1, 2 / np.sqrt(4 * 2), 0]
    expected = [np.exp(-((100 * (1 - c)) ** 2) / 25**2 / 2) for c in cosine]
    np.testing.assert_allclose(lime.sample_weights(kept), expected, rtol=1e-12)


def test_masks_replace_a_uniform_number_of_tokens():
    kept = lime.draw_masks(np.random.default_rng(0), n_tokens=8, count=16_000)
    counts = np.bincount((~kept).sum(axis=1), minlength=9)
    assert counts[0] == 0
    # 2,000 of each number are expected; five standard deviations are 209.
    assert np.all(abs(counts[1:] - 2000) < 209)
    # On average 4.5 of 8 are replaced, each equally often; five deviations are 0.02.
    np.testing.assert_allclose((~kept).mean(axis=0), 4.5 / 8, atol=0.02)


def test_standard_errors_are_the_spread_over_draws():
    rng = np.random.default_rng(3)
    truth = np.array([2.0, 1.0, 0, 0, 0, 0, 0, 0])
    weights, errors = [], []
    for _ in range(200):
        drawn = lime.draw_masks(rng, n_tokens=8, count=299)
        kept = np.concatenate([np.ones((1, 8), bool), drawn])
        # Noise that grows with the tokens kept: the variances are unequal.
        noise = 0.2 * kept.sum(axis=1) * rng.normal(size=300)
        found = lime.fit(kept, kept @ truth + noise)
        weights.append(found.weights)
        errors.append(found.standard_errors)
    # The deviation over 200 draws has a standard error of 5 %; 25 % is five of them.
    np.testing.assert_allclose(
        np.mean(errors, axis=0), np.std(weights, axis=0), rtol=0.25
    )


def test_an_activation_that_never_changes_has_no_map():
    kept, _ = _world(0, n_tokens=10, samples=50)
    found = lime.fit(kept, np.full(50, 2.5))
    np.testing.assert_allclose(found.weights, 0, atol=1e-12)
    assert found.intercept == pytest.approx(2.5) and found.r2 == 0
