"""A look at all factors tells of candidates what the whole codes would."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tfvis_jax.sparse_coding import objective, standing
from tfvis_jax.sparse_coding import problem as problem_lib

# Groups do not divide the factors, and are more than candidates.
_BATCH, _N_FACTORS, _WIDTH = 6, 1001, 48


def _problem(*, penalty, l2_penalty, non_negative):
    rng = np.random.default_rng(0)
    dictionary = rng.normal(size=(_N_FACTORS, 32))
    dictionary /= np.linalg.norm(dictionary, axis=1)[:, None]
    x = rng.normal(size=(_BATCH, 32))
    shape = {"scalar": (), "row": (_BATCH,), "factor": (1, _N_FACTORS)}[penalty]
    problem = problem_lib.lasso(
        np.float32(x),
        np.float32(dictionary),
        l1_penalty=jnp.asarray(rng.uniform(0.2, 0.4, size=shape), jnp.float32),
        l2_penalty=l2_penalty,
        lipschitz=jnp.float32(jnp.inf),
        non_negative=non_negative,
    )
    codes = 0.3 * rng.normal(size=(_BATCH, _N_FACTORS))
    codes *= rng.random(codes.shape) < 0.01
    # A code of the last factor, and a row without any.
    codes[0, -1], codes[1] = 0.5, 0
    codes = np.abs(codes) if non_negative else codes
    return problem, np.float32(codes)


@pytest.mark.parametrize("penalty", ["scalar", "row", "factor"])
@pytest.mark.parametrize("l2_penalty", [0.0, 0.1])
@pytest.mark.parametrize("non_negative", [True, False])
def test_a_look_sees_what_whole_codes_say(penalty, l2_penalty, non_negative):
    problem, codes = _problem(
        penalty=penalty, l2_penalty=l2_penalty, non_negative=non_negative
    )
    start = standing.unseen(problem.x, width=_WIDTH, n_factors=_N_FACTORS)
    settings = {"tolerance": 0.0}
    residual = problem.residual(codes)
    whole = standing.look_at_all(
        problem, jnp.asarray(codes), start, residual, **settings
    )
    # The same codes once more, now of the candidates alone.
    again = standing.look(
        problem,
        whole._replace(
            gap=start.gap, used=start.used, missing=start.used, correlation=start.codes
        ),
        residual,
        **settings,
    )
    gap, correlation = problem.certify(codes, residual)
    against = correlation if non_negative else jnp.abs(correlation)
    excess = np.asarray(against - problem.l1_penalty)
    used = codes != 0
    for seen in (whole, again):
        np.testing.assert_allclose(seen.gap, gap, rtol=1e-5)
        np.testing.assert_array_equal(seen.used, np.sum(used, axis=1))
        missing = np.sum(~used & (excess > 0), axis=1)
        np.testing.assert_array_equal(seen.missing, missing)
        np.testing.assert_array_equal(seen.expand(_N_FACTORS), codes)
        columns = np.asarray(seen.columns)
        for row in range(_BATCH):
            found = columns[row][columns[row] < _N_FACTORS]
            assert np.all(np.diff(columns[row]) >= 0) and np.all(np.diff(found) > 0)
            score = np.where(used[row], np.inf, excess[row])
            assert len(found) >= 45
            assert set(found) == set(np.argsort(-score)[: len(found)])
            np.testing.assert_allclose(
                seen.correlation[row, : len(found)], correlation[row, found], atol=1e-6
            )
        empty = columns == _N_FACTORS
        assert np.all(np.asarray(seen.correlation)[empty] == 0)
        assert np.all(np.asarray(seen.codes)[empty] == 0)


def test_the_best_candidates_are_those_in_use_and_the_next():
    problem, codes = _problem(penalty="factor", l2_penalty=0.0, non_negative=True)
    start = standing.unseen(problem.x, width=_WIDTH, n_factors=_N_FACTORS)
    seen = standing.look_at_all(
        problem, jnp.asarray(codes), start, problem.residual(codes), tolerance=0.0
    )
    ranked = jax.jit(lambda size: standing.rank(seen, problem, size=size))(20)
    columns, values, correlation = standing.best(
        seen, ranked, size=20, n_factors=_N_FACTORS
    )
    excess = np.asarray(problem.certify(codes, problem.residual(codes))[1])
    excess = excess - np.asarray(problem.l1_penalty)
    score = np.where(codes != 0, np.inf, excess)
    for row in range(_BATCH):
        found = np.asarray(columns[row])
        found = found[found < _N_FACTORS]
        assert len(found) >= 19
        assert set(found) == set(np.argsort(-score[row])[: len(found)])
        np.testing.assert_array_equal(values[row, : len(found)], codes[row, found])
    assert correlation.shape == (_BATCH, 20)


@pytest.mark.parametrize("width", [4, None])
def test_more_codes_than_candidates_are_counted(width):
    problem, codes = _problem(penalty="scalar", l2_penalty=0.0, non_negative=True)
    start = standing.unseen(problem.x, width=width, n_factors=_N_FACTORS)
    seen = standing.look_at_all(
        problem, jnp.asarray(codes), start, problem.residual(codes), tolerance=0.0
    )
    np.testing.assert_array_equal(seen.used, np.sum(codes != 0, axis=1))
    if width is None:
        np.testing.assert_array_equal(seen.codes, codes)
        assert seen.are_all
    else:
        assert seen.columns.shape == (_BATCH, width)
    gap, _ = problem.certify(codes, problem.residual(codes))
    np.testing.assert_allclose(seen.gap, gap, rtol=1e-5)
    assert np.all(np.asarray(seen.wanted) >= np.sum(codes != 0, axis=1) + 2)


def test_rows_that_are_not_finite_have_no_gap():
    problem, _ = _problem(penalty="scalar", l2_penalty=0.0, non_negative=True)
    problem = problem.of_rows((problem.x.at[2].set(jnp.nan), problem.rows()[1]))
    start = standing.unseen(problem.x, width=_WIDTH, n_factors=_N_FACTORS)
    seen = standing.look(problem, start, problem.x, tolerance=0.0)
    np.testing.assert_array_equal(np.isnan(seen.gap), np.arange(_BATCH) == 2)
    assert float(seen.gap[0]) > objective.GAP_FLOOR
