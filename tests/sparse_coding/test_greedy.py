"""Pursuits and top-k against outside solvers, brute force and their definitions."""

import functools
import itertools

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import problems
import pytest
from hypothesis import strategies
from scipy import optimize
from sklearn import linear_model

from tfvis_jax import config, sparse_coding

_ALL = {
    name: functools.partial(sparse_coding.pursue, method=name)
    for name in config.PURSUITS
}
_OMP = _ALL["omp"]
_PURSUITS = ("omp", "gradient_pursuit")


_problem = functools.partial(problems.sums_of_factors, batch=12, n_factors=60)


def _omp_in_float64(x, dictionary, k):
    """Non-negative OMP of one row, by SciPy's non-negative least squares."""
    x, dictionary = np.float64(x), np.float64(dictionary)
    picked, codes = [], np.zeros(len(dictionary))
    for _ in range(k):
        correlation = dictionary @ (x - codes @ dictionary)
        correlation[picked] = 0
        if correlation.max() < 1e-6 * np.linalg.norm(x):
            break
        picked.append(int(np.argmax(correlation)))
        codes = np.zeros(len(dictionary))
        codes[picked], _ = optimize.nnls(dictionary[picked].T, x)
    return codes


def _gradient_pursuit_in_float64(x, dictionary, k, *, non_negative):
    x, dictionary = np.float64(x), np.float64(dictionary)
    codes = np.zeros(len(dictionary))
    for _ in range(k):
        residual = x - codes @ dictionary
        correlation = dictionary @ residual
        score = correlation if non_negative else np.abs(correlation)
        in_use = codes != 0
        in_use[np.argmax(score)] = True
        gradient = np.where(in_use, correlation, 0)
        image = gradient @ dictionary
        codes = codes + (residual @ image) / (image @ image) * gradient
        codes = np.maximum(codes, 0) if non_negative else codes
    return codes


@pytest.mark.parametrize("k", [1, 12, 24])
def test_signed_omp_is_that_of_scikit_learn(k):
    x, dictionary = _problem()
    expected = linear_model.orthogonal_mp(
        np.float64(dictionary).T, np.float64(x).T, n_nonzero_coefs=k
    ).T
    got = _OMP(x, dictionary, k=k, non_negative=False)
    # With as many factors as dimensions the last ones are nearly dependent.
    np.testing.assert_allclose(got, expected, atol=1e-5 if k < 24 else 1e-3)


@pytest.mark.parametrize("k", [1, 12])
def test_non_negative_omp_is_that_of_float64(k):
    x, dictionary = _problem()
    got = _OMP(x, dictionary, k=k)
    expected = np.stack([_omp_in_float64(row, dictionary, k) for row in x])
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_non_negative_omp_lets_factors_go_and_takes_them_back():
    # Factors that share a direction, so that codes reach zero and leave it again.
    rng = np.random.default_rng(1)
    dictionary = rng.normal(size=(40, 12)) + 1.5 * rng.normal(size=12)
    dictionary /= np.linalg.norm(dictionary, axis=1, keepdims=True)
    truth = rng.exponential(size=(24, 40)) * (rng.random((24, 40)) < 0.3)
    x = np.float32(truth @ dictionary + 0.1 * rng.normal(size=(24, 12)))
    dictionary = np.float32(dictionary)
    in_use = []
    for k in (5, 10, 13):
        got = np.asarray(_OMP(x, dictionary, k=k))
        expected = np.stack([_omp_in_float64(row, dictionary, k) for row in x])
        in_use.append(expected > 0)
        residual = np.sum((x - got @ dictionary) ** 2, axis=1)
        best = np.sum((x - expected @ dictionary) ** 2, axis=1)
        # Codes of nearly dependent factors may differ, what they leave may not.
        np.testing.assert_allclose(residual, best, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(got, expected, atol=2e-3)
    first, second, third = in_use
    assert np.sum(first & ~second) > 5
    assert np.any(first & ~second & third)


def test_more_factors_than_dimensions_may_be_asked_for():
    x, dictionary = _problem()
    energy = np.sum(x**2, axis=1)
    signed = _OMP(x, dictionary, k=40, non_negative=False)
    left = np.sum((x - signed @ dictionary) ** 2, axis=1)
    assert np.max(left / energy) < 1e-9
    codes = _OMP(x, dictionary, k=40)
    left = np.sum((x - codes @ dictionary) ** 2, axis=1)
    expected = np.stack([_omp_in_float64(row, dictionary, 40) for row in x])
    best = np.sum((x - expected @ dictionary) ** 2, axis=1)
    # Which factors are picked once rounding is all that is left does not matter.
    np.testing.assert_allclose(left / energy, best / energy, atol=1e-4)


@pytest.mark.parametrize("non_negative", [True, False])
@pytest.mark.parametrize("k", [1, 12])
def test_gradient_pursuit_is_that_of_float64(k, non_negative):
    x, dictionary = _problem()
    got = _ALL["gradient_pursuit"](x, dictionary, k=k, non_negative=non_negative)
    expected = np.stack(
        [
            _gradient_pursuit_in_float64(row, dictionary, k, non_negative=non_negative)
            for row in x
        ]
    )
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_top_k_is_the_sorted_correlations():
    x, dictionary = _problem()
    correlation = np.float64(x) @ np.float64(dictionary).T
    for non_negative in (True, False):
        got = _ALL["top_k"](x, dictionary, k=5, non_negative=non_negative)
        score = np.maximum(correlation, 0) if non_negative else np.abs(correlation)
        least = np.sort(score, axis=1)[:, -5][:, None]
        expected = np.where(score >= least, correlation, 0)
        np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("non_negative", [True, False])
def test_omp_finds_the_best_factors_where_these_do_not_overlap(non_negative):
    rng = np.random.default_rng(2)
    dictionary = np.float32(np.linalg.qr(rng.normal(size=(8, 8)))[0][:6])
    x = np.float32(rng.normal(size=(5, 8)))
    got = _OMP(x, dictionary, k=3, non_negative=non_negative)
    for row, codes in zip(x, np.asarray(got), strict=True):
        errors_of = {}
        for subset in itertools.combinations(range(6), 3):
            fit = np.linalg.lstsq(dictionary[list(subset)].T, row, rcond=None)[0]
            if non_negative:
                fit, _ = optimize.nnls(np.float64(dictionary[list(subset)].T), row)
            left = row - fit @ dictionary[list(subset)]
            errors_of[subset] = float(left @ left)
        reached = float(np.sum((row - codes @ dictionary) ** 2))
        assert reached <= min(errors_of.values()) + 1e-5


@pytest.mark.parametrize("non_negative", [True, False])
def test_the_residual_of_omp_is_orthogonal_to_the_factors_in_use(non_negative):
    x, dictionary = _problem(batch=200, d_model=48, n_factors=150)
    codes = np.asarray(_OMP(x, dictionary, k=20, non_negative=non_negative))
    assert np.all(np.sum(codes != 0, axis=1) <= 20)
    assert np.mean(np.sum(codes != 0, axis=1)) > 18
    left = np.float64(x) - np.float64(codes) @ np.float64(dictionary)
    correlation = left @ np.float64(dictionary).T
    scale = np.linalg.norm(x, axis=1, keepdims=True)
    assert np.max(np.abs(np.where(codes != 0, correlation, 0)) / scale) < 1e-5
    if non_negative:
        assert np.min(codes) >= 0


@pytest.mark.parametrize("name", _PURSUITS)
@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_pursuits_hold_at_every_scale(name, scale):
    x, dictionary = _problem()
    expected = _ALL[name](x, dictionary, k=6)
    got = _ALL[name](np.float32(scale) * x, dictionary, k=6)
    np.testing.assert_allclose(got / scale, expected, atol=1e-5)
    lengths = np.float32(scale ** np.linspace(-1, 1, len(dictionary)))[:, None]
    got = _ALL[name](x, lengths * dictionary, k=6)
    np.testing.assert_allclose(got * lengths.T, expected, atol=1e-5)


@pytest.mark.parametrize("name", _ALL)
@pytest.mark.parametrize("non_negative", [True, False])
@pytest.mark.parametrize(
    ("batch", "d_model", "n_factors", "k"),
    [(1, 1, 1, 1), (3, 5, 1, 4), (70, 4, 20, 12)],
)
def test_sizes_duplicates_and_zeros(name, non_negative, batch, d_model, n_factors, k):
    x, dictionary = _problem(batch=batch, d_model=d_model, n_factors=n_factors)
    x[0] = 0
    if n_factors > 4:
        dictionary[1] = dictionary[0]
        dictionary[2] = 0
        dictionary[3] = dictionary[4] + 1e-5
        x[-1] = 3 * dictionary[0]
    settings = {"k": k, "non_negative": non_negative}
    codes = np.asarray(_ALL[name](x, dictionary, **settings))
    assert codes.shape == (batch, n_factors)
    assert np.all(np.isfinite(codes))
    np.testing.assert_array_equal(codes[0], 0)
    assert np.max(np.sum(codes != 0, axis=1)) <= k
    if name != "top_k":
        left = np.sum((x - codes @ dictionary) ** 2, axis=1)
        assert np.all(left <= np.sum(x**2, axis=1) * (1 + 1e-5))
        if n_factors > 4:
            assert left[-1] < 1e-9
    if name == "omp" and not non_negative and min(k, n_factors) >= d_model:
        # The factors picked span the space, but for those that nearly depend.
        assert np.max(left) < 1e-6


def test_a_factor_that_is_there_twice_is_used_once():
    x, dictionary = _problem()
    twice = np.concatenate([dictionary, dictionary])
    expected = _OMP(x, dictionary, k=8)
    got = np.asarray(_OMP(x, twice, k=8))
    first, second = got[:, : len(dictionary)], got[:, len(dictionary) :]
    assert not np.any((first != 0) & (second != 0))
    np.testing.assert_allclose(first + second, expected, atol=1e-5)


@pytest.mark.parametrize("name", _ALL)
def test_blocks_of_rows_give_what_rows_alone_give(name):
    x, dictionary = _problem(batch=150)
    together = _ALL[name](x, dictionary, k=10)
    for row in (0, 64, 149):
        alone = _ALL[name](x[row : row + 1], dictionary, k=10)
        np.testing.assert_allclose(together[row], alone[0], atol=1e-5)


@pytest.mark.parametrize("name", _ALL)
def test_jit_vmap_pmap_and_shard_map_agree(name):
    x, dictionary = _problem(batch=16)
    solve = functools.partial(_ALL[name], dictionary=jnp.asarray(dictionary), k=3)
    expected = solve(x)
    np.testing.assert_allclose(jax.jit(solve)(x), expected, atol=1e-5)
    stacked = x.reshape(8, 2, 24)
    for mapped in (jax.vmap(solve), jax.pmap(solve)):
        got = np.asarray(mapped(stacked)).reshape(expected.shape)
        np.testing.assert_allclose(got, expected, atol=1e-5)
    with jax.set_mesh(jax.make_mesh((8,), ("rows",))):
        split = jax.jit(jax.shard_map(solve, out_specs=jax.P("rows")))
        got = split(jax.device_put(x, jax.P("rows")))
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_memory_does_not_grow_with_factors_times_k():
    def peak(n_factors, k):
        x, dictionary = _problem(batch=64, n_factors=n_factors)
        solve = jax.jit(functools.partial(sparse_coding.pursue, k=k))
        memory = solve.lower(x, dictionary).compile().memory_analysis()
        return memory.temp_size_in_bytes

    few, many = peak(2000, 4), peak(2000, 32)
    assert many - few < 0.25 * 64 * 2000 * 28 * 4


@hypothesis.settings(max_examples=10, deadline=None)
@hypothesis.given(
    seed=strategies.integers(0, 10**6),
    shared=strategies.sampled_from([0.0, 1.0, 5.0]),
    scale=strategies.sampled_from([1e-3, 1.0, 1e3]),
    non_negative=strategies.booleans(),
)
def test_more_factors_never_reconstruct_worse(seed, shared, scale, non_negative):
    rng = np.random.default_rng(seed)
    dictionary = rng.normal(size=(30, 10)) + shared * rng.normal(size=10)
    dictionary[3] = dictionary[7]
    x = np.float32(scale * rng.normal(size=(9, 10)))
    dictionary = np.float32(dictionary)
    energy = np.sum(np.float64(x) ** 2, axis=1)
    before = energy
    for k in (2, 8):
        codes = _OMP(x, dictionary, k=k, non_negative=non_negative)
        assert np.all(np.isfinite(codes))
        left = np.float64(x) - np.float64(codes) @ np.float64(dictionary)
        after = np.sum(left**2, axis=1)
        # Float32 codes on nearly dependent factors leave a millionth of the row.
        assert np.all(after <= before + 1e-6 * energy)
        before = after


def _in_float64(name, x, dictionary, k):
    if name == "omp":
        return np.stack([_omp_in_float64(row, dictionary, k) for row in x])
    if name == "gradient_pursuit":
        # By factors of unit norm, whatever theirs is.
        lengths = np.linalg.norm(dictionary, axis=1)
        unit = dictionary / lengths[:, None]
        solve = functools.partial(_gradient_pursuit_in_float64, non_negative=True)
        return np.stack([solve(row, unit, k) for row in x]) / lengths
    correlation = np.maximum(x @ dictionary.T, 0)
    return np.where(correlation >= np.sort(correlation)[:, -k][:, None], correlation, 0)


@pytest.mark.parametrize("name", _ALL)
def test_derivatives_are_those_of_float64_differences(name):
    x, dictionary = (np.float64(a) for a in _problem(batch=5))
    rng = np.random.default_rng(3)
    directions = rng.normal(size=x.shape), rng.normal(size=dictionary.shape)
    solve = functools.partial(_ALL[name], k=5)
    at = np.float32(x), np.float32(dictionary)
    codes, pull = jax.vjp(solve, *at)
    cotangent = np.float32(rng.normal(size=codes.shape))
    gradients = pull(jnp.asarray(cotangent))
    step = 1e-6
    for i, direction in enumerate(directions):
        moves = [0.0, 0.0]
        moves[i] = step * direction
        after = _in_float64(name, x + moves[0], dictionary + moves[1], 5)
        before = _in_float64(name, x - moves[0], dictionary - moves[1], 5)
        assert np.array_equal(after != 0, before != 0)  # The same factors are picked.
        expected = (after - before) / (2 * step)
        tangents = [np.zeros_like(a) for a in at]
        tangents[i] = np.float32(direction)
        _, got = jax.jvp(solve, at, tuple(tangents))
        # Changes of size 10.
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
        assert np.sum(gradients[i] * direction) == pytest.approx(
            np.sum(cotangent * expected), rel=1e-4
        )


@pytest.mark.parametrize("name", _ALL)
def test_zeros_have_finite_derivatives(name):
    x, dictionary = _problem(batch=4)
    x[0], dictionary[5] = 0, 0
    gradients = jax.grad(
        lambda x, dictionary: jnp.sum(_ALL[name](x, dictionary, k=30) ** 2),
        argnums=(0, 1),
    )(x, dictionary)
    for gradient in gradients:
        assert np.all(np.isfinite(gradient))
    np.testing.assert_array_equal(gradients[0][0], 0)


@pytest.mark.parametrize("name", _ALL)
def test_no_rows_have_no_codes(name):
    got = _ALL[name](jnp.zeros((0, 5)), jnp.ones((7, 5)), k=3)
    assert got.shape == (0, 7)
