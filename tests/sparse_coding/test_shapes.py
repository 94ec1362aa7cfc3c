"""Public functions take and return arrays of the shapes in their signatures."""

import beartype
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import problems
import pytest

from tfvis_jax import sparse_coding
from tfvis_jax.errors import InputError

_L1_PENALTY = 0.2


def _checked(function):
    """Returns a function that checks its arguments and results at every call."""
    check = jaxtyping.jaxtyped(typechecker=beartype.beartype)
    if hasattr(
        function, "__wrapped__"
    ):  # A compiled one is checked where it is traced.
        return jax.jit(check(function.__wrapped__))
    return check(function)


encode = _checked(sparse_coding.encode)
refit = _checked(sparse_coding.refit)
pursue = _checked(sparse_coding.pursue)
decode = _checked(sparse_coding.decode)
correlate = _checked(sparse_coding.correlate)
duality_gap = _checked(sparse_coding.duality_gap)
lasso_objective = _checked(sparse_coding.lasso_objective)
kkt_residual = _checked(sparse_coding.kkt_residual)
for_l0 = _checked(sparse_coding.for_l0)


def _use_all(x, dictionary, l1_penalty):
    """Calls every function that may be traced; returns their sum."""
    codes = encode(x, dictionary, l1_penalty=l1_penalty, max_steps=10).codes
    warm = encode(x, dictionary, l1_penalty=l1_penalty, codes0=codes, max_steps=10)
    values = [
        warm.gap,
        refit(x, dictionary, codes),
        pursue(x, dictionary, k=2),
        decode(codes, dictionary),
        correlate(x, dictionary),
        duality_gap(x, dictionary, codes, l1_penalty=l1_penalty),
        lasso_objective(x, dictionary, codes, l1_penalty=l1_penalty),
        kkt_residual(x, dictionary, codes, l1_penalty=l1_penalty),
    ]
    return sum(jnp.sum(value) for value in values)


def _problem():
    x, dictionary = problems.sums_of_factors()
    return np.asarray(x, np.float32)[:16], np.asarray(dictionary, np.float32)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64, jnp.bfloat16])
def test_arrays_of_any_real_type_fit(dtype):
    x, dictionary = _problem()
    got = _use_all(x.astype(dtype), dictionary.astype(dtype), _L1_PENALTY)
    assert np.isfinite(got)


def test_memory_mapped_rows_fit(tmp_path):
    x, dictionary = _problem()
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    got = _use_all(mapped, dictionary, np.full(len(x), _L1_PENALTY))
    assert np.isfinite(got)


def test_traced_arrays_fit():
    x, dictionary = (jnp.asarray(a) for a in _problem())
    eager = _use_all(x, dictionary, _L1_PENALTY)
    # Compiled as one program, sums are rounded in another order.
    np.testing.assert_allclose(
        jax.jit(_use_all)(x, dictionary, _L1_PENALTY), eager, rtol=1e-4
    )
    per_row = jax.vmap(lambda row: decode(row[None] @ dictionary.T, dictionary)[0])
    assert per_row(x).shape == x.shape
    slope = jax.grad(lambda d: jnp.sum(encode(x, d, l1_penalty=0.2).codes))(dictionary)
    assert slope.shape == dictionary.shape


def test_the_penalty_for_an_l0_is_a_scalar():
    x, dictionary = _problem()
    assert for_l0(x, dictionary, target_l0=3.0) > 0


@pytest.mark.parametrize(
    "call",
    [
        lambda x, d: encode(x, d.T, l1_penalty=_L1_PENALTY),
        lambda x, d: refit(x, d, x),
        lambda x, d: pursue(x[0], d, k=2),
        lambda x, d: decode(x[:, :-1], d),
        lambda x, d: duality_gap(x, d, d, l1_penalty=_L1_PENALTY),
    ],
    ids=["encode", "refit", "pursue", "decode", "duality_gap"],
)
def test_what_does_not_fit_is_seen(call):
    with pytest.raises(jaxtyping.TypeCheckError):
        call(*_problem())


def test_without_the_check_a_users_mistake_is_an_input_error():
    x, dictionary = _problem()
    with pytest.raises(InputError, match="Expected `x` of shape"):
        sparse_coding.encode(x, dictionary.T, l1_penalty=_L1_PENALTY)
