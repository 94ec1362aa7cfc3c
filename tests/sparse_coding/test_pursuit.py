"""Greedy codes by the entry."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import problems
import pytest

from tfvis_jax import config, errors, sparse_coding

_VALUES = {
    "omp": sparse_coding.Omp(),
    "gradient_pursuit": sparse_coding.GradientPursuit(),
    "top_k": sparse_coding.TopK(),
}


@pytest.mark.parametrize("name", config.PURSUITS)
def test_a_name_stands_for_a_value(name):
    x, dictionary = problems.sums_of_factors()
    got = sparse_coding.pursue(x, dictionary, k=5, method=name)
    expected = _VALUES[name].codes(
        jnp.asarray(x), jnp.asarray(dictionary), k=5, non_negative=True
    )
    np.testing.assert_allclose(got, expected, atol=1e-6)
    np.testing.assert_array_equal(
        got, sparse_coding.pursue(x, dictionary, k=5, method=_VALUES[name])
    )
    assert np.all(np.sum(got != 0, axis=1) <= 5)
    # They minimise something else than the lasso.
    gap = sparse_coding.duality_gap(x, dictionary, got, l1_penalty=0.2)
    assert float(jnp.min(gap)) > 1e-4


def test_refit_mends_what_was_picked():
    x, dictionary = problems.sums_of_factors()
    picked = sparse_coding.pursue(x, dictionary, k=5, method="top_k")
    got = sparse_coding.refit(x, dictionary, picked)
    assert np.max(np.abs(got - picked)) > 0.1
    assert np.all(got[picked == 0] == 0)
    before, after = (
        np.sum((x - codes @ dictionary) ** 2, axis=1) for codes in (picked, got)
    )
    assert np.all(after < before)


@pytest.mark.parametrize("name", config.PURSUITS)
def test_rows_split_over_devices_give_the_same_and_no_traffic(name):
    x, dictionary = problems.sums_of_factors()

    def solve(x, dictionary):
        return sparse_coding.pursue(x, dictionary, k=5, method=name)

    expected = solve(x, dictionary)
    with jax.set_mesh(jax.make_mesh((8,), ("rows",))):
        x, dictionary = jax.device_put(x, jax.P("rows")), jnp.asarray(dictionary)
        compiled = jax.jit(solve).lower(x, dictionary).compile()
        got = compiled(x, dictionary)
        with pytest.raises(errors.InputError, match="whole factors"):
            solve(x, jax.device_put(dictionary, jax.P("rows")))
    np.testing.assert_allclose(got, expected, atol=1e-5)
    assert not re.search("all-(reduce|gather|to-all)", compiled.as_text())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 0}, "`k` to be a whole number, at least 1"),
        ({"k": 2.5}, "`k` to be a whole number, at least 1"),
        ({"method": "spectral"}, "`method` to be one of"),
        ({"x": np.full((16, 24), np.nan, np.float32)}, "16 of 16 rows"),
        ({"x": np.zeros((16, 4), np.float32)}, "`x` of shape"),
    ],
)
def test_mistakes_are_refused(change, message):
    x, dictionary = problems.sums_of_factors()
    given = {"x": x, "dictionary": dictionary, "k": 5} | change
    arrays = given.pop("x"), given.pop("dictionary")
    with pytest.raises(errors.InputError, match=message):
        sparse_coding.pursue(*arrays, **given)


@pytest.mark.parametrize("name", config.PURSUITS)
def test_neither_the_lasso_nor_training_takes_a_pursuit(name):
    x, dictionary = problems.sums_of_factors()
    with pytest.raises(errors.InputError, match=f"'{name}'; `pursue` takes that"):
        sparse_coding.encode(x, dictionary, l1_penalty=0.2, solver=name)
    with pytest.raises(errors.InputError, match=name):
        config.SolverConfig(solver=name)
