"""Input that is wrong, extreme or empty: refused, flagged or solved, never silent."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import problems
import pytest
import scipy.sparse

from tfvis_jax import config, errors, sparse_coding
from tfvis_jax.sparse_coding import objective

_SOLVERS = [name for name in config.SOLVERS if name != "auto"]
# One for each way of going through the rows; each costs a compilation a test.
_KINDS = ["fista", "spectral", "working_set"]


_problem = functools.partial(
    problems.sums_of_factors, batch=9, d_model=16, n_factors=70, n_active=4
)


@functools.cache
def _jitted(solver, *, k=None, refits=False, **settings):
    settings = {"tolerance": 1e-4, "max_steps": 2000} | settings

    def solve(x, dictionary, l1_penalty):
        got = sparse_coding.encode(
            x, dictionary, l1_penalty=l1_penalty, solver=solver, **settings
        )
        if k is None and not refits:
            return got
        return got._replace(codes=sparse_coding.refit(x, dictionary, got.codes, k=k))

    return jax.jit(solve)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_rows_that_are_not_finite_are_named(value):
    x, dictionary = _problem()
    x[4, 2] = x[7, 0] = value
    with pytest.raises(errors.InputError, match=r"2 of 9 rows, first in row 4"):
        sparse_coding.encode(x, dictionary, l1_penalty=0.2)
    with pytest.raises(errors.InputError, match=r"1 of 1 factors, first in factor 0"):
        sparse_coding.encode(dictionary, x[4:5], l1_penalty=0.2)


@pytest.mark.parametrize("solver", _SOLVERS)
def test_traced_bad_rows_are_flagged_and_change_no_other(solver):
    x, dictionary = _problem()
    solve = _jitted(solver, k=5)
    x[[1, 3, 8]] = 0
    clean = solve(x, dictionary, 0.2)
    x[1, 3], x[3, 1], x[8, 0] = np.nan, np.inf, 3e30
    got = solve(x, dictionary, 0.2)
    bad = np.isin(np.arange(9), [1, 3, 8])
    assert np.all(np.isnan(got.gap[bad]))
    assert not np.any(got.converged[bad])
    for name in got._fields:
        np.testing.assert_array_equal(
            getattr(got, name)[~bad], getattr(clean, name)[~bad]
        )
    assert np.all(got.converged[~bad])


@pytest.mark.parametrize("solver", ["spectral", "working_set"])
def test_traced_penalties_that_are_none_are_flagged(solver):
    x, dictionary = _problem()
    solve = _jitted(solver)
    by_row = np.float32([0.2, 0, -0.1, np.nan, 0.2, 0.2, 0.2, 0.2, 0.2])
    got = solve(x, dictionary, by_row)
    bad = ~(by_row > 0)
    np.testing.assert_array_equal(np.isnan(got.gap), bad)
    np.testing.assert_array_equal(got.converged, ~bad)
    by_factor = np.full((1, 70), 0.2, np.float32)
    by_factor[0, 3] = 0
    assert not np.any(solve(x, dictionary, by_factor).converged)


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan])
@pytest.mark.parametrize("shape", [(), (9,), (1, 70), (9, 70)])
def test_penalties_that_are_none_are_refused(shape, value):
    x, dictionary = _problem()
    penalty = np.full(shape, 0.2, np.float32)
    penalty[(-1,) * len(shape)] = value
    with pytest.raises(errors.InputError, match="`l1_penalty` to be positive"):
        sparse_coding.encode(x, dictionary, l1_penalty=penalty)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tolerance": -1e-3}, "`tolerance` of 0 or more"),
        ({"tolerance": float("nan")}, "`tolerance` of 0 or more"),
        ({"tolerance": np.full(9, 1e-4)}, "`tolerance` to be a scalar"),
        ({"tolerance": "small"}, "`tolerance` to be a number"),
        ({"max_steps": 0}, "`max_steps` to be a whole number"),
        ({"max_steps": 100.0}, "`max_steps` to be a whole number"),
        ({"lipschitz": 0}, "`lipschitz` to be positive"),
        ({"lipschitz": np.ones(9)}, "`lipschitz` to be a scalar"),
        ({"l1_penalty": np.inf}, "`l1_penalty` to be finite"),
        ({"l1_penalty": "auto"}, "`l1_penalty` to be a number"),
        ({"l2_penalty": None}, "`l2_penalty` to be finite and 0 or more"),
        ({"codes0": np.full((9, 70), np.nan, np.float32)}, "codes0"),
    ],
)
def test_impossible_effort_is_refused(change, message):
    x, dictionary = _problem()
    with pytest.raises(errors.InputError, match=message):
        sparse_coding.encode(x, dictionary, **({"l1_penalty": 0.2} | change))
    with pytest.raises(errors.InputError, match="`block_steps` to be a whole number"):
        sparse_coding.Spectral(block_steps=10**12)
    with pytest.raises(errors.InputError, match="factors of some length"):
        sparse_coding.encode(x, dictionary[:0], l1_penalty=0.2)


@pytest.mark.parametrize("wrong", [list, lambda a: a + 1j, lambda a: a.astype(str)])
def test_what_is_no_array_of_real_numbers_is_refused(wrong):
    x, dictionary = _problem()
    codes = np.zeros((9, 70), np.float32)
    for name, arguments in (
        ("x", (wrong(x), dictionary, None)),
        ("dictionary", (x, wrong(dictionary), None)),
        ("codes0", (x, dictionary, wrong(codes))),
    ):
        *arrays, codes0 = arguments
        with pytest.raises(errors.InputError, match=f"`{name}` to be an array of real"):
            sparse_coding.encode(*arrays, l1_penalty=0.2, codes0=codes0)


@pytest.mark.parametrize("solver", _KINDS)
def test_non_negative_codes_never_start_below_zero(solver):
    x, dictionary = _problem()
    signed = sparse_coding.encode(
        x, dictionary, l1_penalty=0.2, tolerance=1e-5, non_negative=False
    )
    assert signed.codes.min() < 0
    settings = {"l1_penalty": 0.2, "solver": solver, "max_steps": 2000}
    got = sparse_coding.encode(x, dictionary, codes0=signed.codes, **settings)
    assert got.codes.min() >= 0
    assert np.all(got.converged)
    expected = _jitted("fista")(x, dictionary, 0.2)
    values = [
        sparse_coding.lasso_objective(x, dictionary, codes, l1_penalty=0.2)
        for codes in (got.codes, expected.codes)
    ]
    # Two answers within a gap of 1e-4 each.
    energy = 0.5 * np.sum(x**2, axis=1)
    assert np.all(np.abs(values[0] - values[1]) <= 2e-4 * energy)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, np.float64, np.int32])
def test_codes_to_start_from_may_be_of_any_type(dtype):
    x, dictionary = _problem()
    codes0 = np.zeros((9, 70)).astype(dtype)
    got = sparse_coding.encode(
        x, dictionary, l1_penalty=0.2, codes0=codes0, solver="fista", max_steps=2000
    )
    assert got.codes.dtype == jnp.float32
    assert np.all(got.converged)


@pytest.mark.parametrize("prohibitive", [1e6, 1e20])
def test_factors_may_be_kept_out_of_use_by_their_penalties(prohibitive):
    x, dictionary = _problem()
    out = np.arange(70) % 7 == 0
    penalty = np.where(out, prohibitive, 0.2).astype(np.float32)[None]
    got = _jitted("working_set")(x, dictionary, penalty)
    assert np.all(got.converged)
    np.testing.assert_array_equal(got.codes[:, out], 0)
    assert got.codes.max() > 0


@pytest.mark.parametrize("tolerance", [0.0, 1e-9, 0.99 * objective.GAP_FLOOR])
def test_below_the_floor_nothing_is_certain_but_zero(tolerance):
    x, dictionary = _problem()
    x[2] = 0
    got = _jitted("spectral", tolerance=tolerance, max_steps=300)(x, dictionary, 0.2)
    assert float(jnp.max(got.gap)) < objective.GAP_FLOOR
    np.testing.assert_array_equal(got.converged, np.asarray(got.gap) == 0)
    assert bool(got.converged[2]) and int(got.num_steps[2]) == 0


@pytest.mark.parametrize("solver", _KINDS)
@pytest.mark.parametrize("batch", [0, 1])
def test_no_row_and_one_row(solver, batch):
    x, dictionary = _problem(batch=batch)
    got = _jitted(solver, refits=True)(x, dictionary, 0.2)
    assert got.codes.shape == (batch, 70)
    assert np.all(got.converged)


@pytest.mark.parametrize("solver", _KINDS)
def test_factors_that_are_zero_or_the_same(solver):
    x, dictionary = _problem()
    dictionary[1] = 0
    dictionary[40:] = dictionary[10:40]
    got = _jitted(solver)(x, dictionary, 0.2)
    assert np.all(got.converged)
    np.testing.assert_array_equal(got.codes[:, 1], 0)
    # Copies of factors cannot lower the optimum.
    alone = _jitted(solver)(x, dictionary[:40], 0.2)
    energy = 0.5 * np.sum(x**2, axis=1)
    values = [
        sparse_coding.lasso_objective(x, factors, codes, l1_penalty=0.2)
        for factors, codes in ((dictionary, got.codes), (dictionary[:40], alone.codes))
    ]
    assert np.all(np.abs(values[0] - values[1]) <= 1.1e-4 * energy)


@pytest.mark.parametrize("solver", _KINDS)
def test_a_dictionary_of_zeros_is_of_no_use(solver):
    x, dictionary = _problem()
    got = _jitted(solver, refits=True)(x, 0 * dictionary, 0.2)
    np.testing.assert_array_equal(got.codes, 0)
    np.testing.assert_array_equal(got.gap, 0)


@pytest.mark.parametrize("solver", _SOLVERS)
def test_one_factor_of_one_dimension_has_a_closed_form(solver):
    x = np.float32([[2.0], [-1.0], [0.0], [0.05]])
    got = _jitted(solver)(x, np.float32([[0.5]]), 0.1)
    # α = max(0, ⟨d, x⟩ − λ) / ‖d‖².
    np.testing.assert_allclose(got.codes, [[3.6], [0], [0], [0]], rtol=1e-4)
    assert np.all(got.converged)


@pytest.mark.parametrize("solver", _KINDS)
def test_rows_too_small_for_a_certificate_get_none(solver):
    x, dictionary = _problem(batch=3)
    scale = np.float32([[1e-12], [1e-18], [1e-25]])
    got = _jitted(solver)(scale * x, dictionary, scale * 0.2)
    assert got.converged.tolist() == [True, False, False]
    assert np.isnan(got.gap[1:]).all()


def _uses(x, dictionary, codes):
    """Calls of every function that takes arrays, by name."""
    penalty = {"l1_penalty": 0.2}
    return {
        "encode": lambda: sparse_coding.encode(x, dictionary, **penalty),
        "refit": lambda: sparse_coding.refit(x, dictionary, codes),
        "pursue": lambda: sparse_coding.pursue(x, dictionary, k=2),
        "decode": lambda: sparse_coding.decode(codes, dictionary),
        "correlate": lambda: sparse_coding.correlate(x, dictionary),
        "gap": lambda: sparse_coding.duality_gap(x, dictionary, codes, **penalty),
        "kkt": lambda: sparse_coding.kkt_residual(x, dictionary, codes, **penalty),
        "objective": lambda: sparse_coding.lasso_objective(
            x, dictionary, codes, **penalty
        ),
    }


@pytest.mark.parametrize("use", ["decode", "correlate", "objective", "encode"])
def test_numbers_in_another_byte_order_are_not_misread(use):
    x, dictionary = _problem()
    codes = np.ones((9, 70), np.float32)
    # A program compiled for the machine's order would run on the other's bytes.
    assert jnp.isfinite(jax.tree.leaves(_uses(x, dictionary, codes)[use]())[0]).all()
    swapped = (array.astype(">f4") for array in (x, dictionary, codes))
    with pytest.raises(errors.InputError, match=r"byte order.*>f4.*astype"):
        _uses(*swapped)[use]()


@pytest.mark.parametrize("use", list(_uses(None, None, None)))
def test_sparse_matrices_are_refused(use):
    arrays = *_problem(), np.ones((9, 70), np.float32)
    sparse = (scipy.sparse.csr_array(array) for array in arrays)
    with pytest.raises(errors.InputError, match=r"dense array, got csr_array"):
        _uses(*sparse)[use]()
