"""Properties of every solver over shapes, scales, penalties and dependent factors."""

import hypothesis
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st
from sklearn import linear_model

from tfvis_jax import config, sparse_coding

_SOLVERS = [name for name in config.SOLVERS if name != "auto"]
_SHAPES = [(1, 1, 1), (3, 7, 5), (5, 6, 70)]
_PENALTIES = ("scalar", "row", "factor")

# Few examples: every shape, kind of penalty and sign is another compilation.
_settings = hypothesis.settings(max_examples=12)


@st.composite
def _problems(draw):
    batch, d_model, n_factors = draw(st.sampled_from(_SHAPES))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    scale_x, scale_d = (10.0 ** draw(st.integers(-3, 3)) for _ in range(2))
    factors = rng.normal(size=(n_factors, d_model))
    # A direction that all share, and copies.
    factors += draw(st.sampled_from([0.0, 3.0])) * rng.normal(size=d_model)
    if draw(st.booleans()):
        factors[n_factors // 2 :] = factors[: n_factors - n_factors // 2]
    dictionary = np.float32(
        scale_d * factors / np.linalg.norm(factors, axis=1)[:, None]
    )
    x = np.float32(scale_x * rng.normal(size=(batch, d_model)))
    # λ as a share of the smallest that gives codes of zero.
    share = draw(st.sampled_from([0.03, 0.3, 1.5]))
    strongest = np.abs(x @ dictionary.T).max()
    shape = {"scalar": (), "row": (batch,), "factor": (1, n_factors)}
    kind = draw(st.sampled_from(_PENALTIES))
    penalty = np.float32(share * strongest * rng.uniform(0.5, 1.5, size=shape[kind]))
    l2_penalty = draw(st.sampled_from([0.0, 0.1])) * scale_d**2
    return x, dictionary, penalty, l2_penalty


def _optimum(x, dictionary, penalty, l2_penalty, *, non_negative):
    """Returns the least objective of every row, by coordinate descent in float64."""
    batch, n_factors = len(x), len(dictionary)
    penalty = np.broadcast_to(
        np.asarray(penalty, np.float64)[:, None] if penalty.ndim == 1 else penalty,
        (batch, n_factors),
    )
    ridge = np.sqrt(l2_penalty) * np.eye(n_factors)
    wide = np.concatenate([np.float64(dictionary), ridge], axis=1)
    values = []
    for row, weight in zip(np.float64(x), penalty, strict=True):
        target = np.concatenate([row, np.zeros(n_factors)])
        scale = np.abs(target).max() or 1.0
        # λ_f on factor f is λ = 1 on factor d_f/λ_f; rows are scaled to about one.
        factors = wide / weight[:, None] * scale
        lasso = linear_model.Lasso(
            alpha=1 / len(target),
            fit_intercept=False,
            positive=non_negative,
            tol=1e-13,
            max_iter=200_000,
        )
        codes = lasso.fit(factors.T, target / scale).coef_
        misfit = target / scale - codes @ factors
        values.append((0.5 * misfit @ misfit + np.abs(codes).sum()) * scale**2)
    return np.array(values)


@pytest.mark.parametrize("solver", _SOLVERS)
@_settings
@hypothesis.given(problem=_problems(), non_negative=st.booleans())
def test_certificate_holds_whatever_the_problem(solver, problem, non_negative):
    x, dictionary, penalty, l2_penalty = problem
    settings = {"l1_penalty": penalty, "l2_penalty": l2_penalty}
    got = sparse_coding.encode(
        x,
        dictionary,
        solver=solver,
        tolerance=1e-6,
        max_steps=3000,
        non_negative=non_negative,
        **settings,
    )
    codes, gap = np.asarray(got.codes), np.asarray(got.gap)
    energy = 0.5 * np.sum(np.float64(x) ** 2, axis=1)
    assert np.all(np.isfinite(codes))
    assert not non_negative or codes.min() >= 0
    assert gap.min() >= -1e-7
    np.testing.assert_array_equal(got.converged, gap <= 1e-6)
    primal = _value(x, dictionary, codes, penalty, l2_penalty)
    optimum = _optimum(x, dictionary, penalty, l2_penalty, non_negative=non_negative)
    # Never better than the best: primal is never below dual.
    assert np.all(primal >= optimum - 1e-6 * energy)
    assert np.all(primal - optimum <= (gap + 1e-6) * energy)
    # Where factors are nearly dependent, the others may take many more steps.
    if solver in ("spectral", "working_set"):
        assert np.all(got.converged)
        kkt = sparse_coding.kkt_residual(
            x, dictionary, codes, non_negative=non_negative, **settings
        )
        # The gap goes as the square of the violation, on a scale of λ·‖α‖₁.
        assert float(jnp.max(kkt)) < 0.05


def _value(x, dictionary, codes, penalty, l2_penalty):
    """Returns the objective in float64."""
    x, dictionary, codes = (np.float64(a) for a in (x, dictionary, codes))
    penalty = penalty[:, None] if penalty.ndim == 1 else penalty
    misfit = 0.5 * np.sum((x - codes @ dictionary) ** 2, axis=1)
    linear = np.sum(penalty * np.abs(codes), axis=1)
    return misfit + linear + 0.5 * l2_penalty * np.sum(codes**2, axis=1)
