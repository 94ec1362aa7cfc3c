"""Derivatives of codes against float64 differences of another solver."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import problems
import pytest

from tfvis_jax.sparse_coding import implicit

_problem = functools.partial(
    problems.sums_of_factors,
    batch=5,
    d_model=14,
    n_factors=24,
    n_active=4,
    dtype=np.float64,
)


def _solve_in_float64(x, dictionary, l1_penalty, l2_penalty, *, non_negative):
    """Coordinate descent until nothing moves."""
    penalty = np.asarray(l1_penalty, np.float64)
    penalty = penalty[:, None] if penalty.ndim == 1 else penalty
    penalty = np.broadcast_to(penalty, (len(x), len(dictionary)))
    codes = np.zeros((len(x), len(dictionary)))
    residual = np.array(x, np.float64)
    lengths = np.sum(dictionary**2, axis=1)
    for _ in range(3000):
        most = 0.0
        for f, factor in enumerate(dictionary):
            target = residual @ factor + lengths[f] * codes[:, f]
            size = np.maximum(
                (target if non_negative else np.abs(target)) - penalty[:, f], 0
            )
            code = np.sign(target) * size / (lengths[f] + l2_penalty)
            residual -= (code - codes[:, f])[:, None] * factor
            most = max(most, np.max(np.abs(code - codes[:, f])))
            codes[:, f] = code
        if most < 1e-13:
            return codes
    raise AssertionError("coordinate descent did not end")


def _inputs(penalty_of, l2_penalty):
    """Returns x, D, λ and μ in float64, with a direction to move each along."""
    x, dictionary = _problem()
    rng = np.random.default_rng(1)
    shape = {"scalar": (), "row": (5,), "factor": (1, 24), "both": (5, 24)}[penalty_of]
    values = (x, dictionary, 0.15 + 0.1 * rng.random(shape), np.float64(l2_penalty))
    return values, tuple(np.asarray(rng.normal(size=np.shape(v))) for v in values)


def _in_float32(values):
    return tuple(jnp.asarray(value, jnp.float32) for value in values)


def _codes_of(codes, x, dictionary, l1_penalty, l2_penalty):
    return implicit.differentiable(
        jnp.asarray(codes, jnp.float32),
        x,
        dictionary,
        l1_penalty=l1_penalty,
        l2_penalty=l2_penalty,
    )


@pytest.mark.parametrize("non_negative", [True, False])
@pytest.mark.parametrize(
    ("penalty_of", "l2_penalty"),
    [("scalar", 0.0), ("row", 0.0), ("factor", 0.3), ("both", 0.3)],
)
def test_derivatives_are_those_of_float64_differences(
    penalty_of, l2_penalty, non_negative
):
    values, directions = _inputs(penalty_of, l2_penalty)
    solve = functools.partial(_solve_in_float64, non_negative=non_negative)
    codes = solve(*values)
    at = _in_float32(values)
    function = functools.partial(_codes_of, codes)
    cotangent = np.float32(np.random.default_rng(2).normal(size=codes.shape))
    _, pull = jax.vjp(function, *at)
    gradients = pull(jnp.asarray(cotangent))
    step = 1e-6
    for i, direction in enumerate(directions):
        if i == 3 and l2_penalty == 0:
            continue  # No penalty below 0 to difference with.
        ends = []
        for sign in (1, -1):
            moved = list(values)
            moved[i] = values[i] + sign * step * direction
            ends.append(solve(*moved))
        assert np.array_equal(ends[0] != 0, ends[1] != 0)  # The support stays.
        expected = (ends[0] - ends[1]) / (2 * step)
        assert np.max(np.abs(expected)) > 0.05
        tangents = [np.zeros(np.shape(value), np.float32) for value in values]
        tangents[i] = np.float32(direction)
        primal, got = jax.jvp(function, at, _in_float32(tangents))
        np.testing.assert_array_equal(primal, np.float32(codes))
        # Float32 products and solves on supports of condition up to a hundred.
        np.testing.assert_allclose(got, expected, atol=5e-5)
        assert np.sum(gradients[i] * direction) == pytest.approx(
            np.sum(cotangent * expected), rel=1e-4, abs=1e-4
        )


def test_second_derivatives_are_those_of_float64_differences():
    values, directions = _inputs("scalar", 0.3)
    solve = functools.partial(_solve_in_float64, non_negative=True)
    codes = solve(*values)
    at, along = _in_float32(values), _in_float32(directions)
    function = functools.partial(_codes_of, codes)

    def slope(*values):
        return jax.jvp(function, values, along)[1]

    step = 1e-4
    after, before = (
        solve(*(v + sign * step * w for v, w in zip(values, directions, strict=True)))
        for sign in (1, -1)
    )
    assert np.array_equal(after != 0, before != 0)
    expected = (after - 2 * codes + before) / step**2
    _, got = jax.jvp(slope, at, along)
    # Of size 100; second differences of 1e-4 are good to about as many digits.
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-2)
    _, pull = jax.vjp(slope, *at)
    cotangent = np.float32(np.random.default_rng(2).normal(size=codes.shape))
    total = sum(
        float(jnp.sum(a * b)) for a, b in zip(pull(cotangent), along, strict=True)
    )
    assert total == pytest.approx(np.sum(cotangent * expected), rel=2e-3)


def test_derivative_with_respect_to_rows_is_the_inverse_gram_matrix():
    x, dictionary = _problem(batch=30, d_model=40, n_factors=90)
    codes = _solve_in_float64(x, dictionary, 0.1, 0.0, non_negative=True)
    change = np.random.default_rng(3).normal(size=x.shape)
    at, along = _in_float32((x, dictionary)), _in_float32((change, 0 * dictionary))
    _, got = jax.jvp(
        lambda x, dictionary: _codes_of(codes, x, dictionary, 0.1, 0.0), at, along
    )
    expected = np.zeros_like(codes)
    for row, code in enumerate(codes):
        used = dictionary[code > 0]
        expected[row, code > 0] = np.linalg.solve(used @ used.T, used @ change[row])
    np.testing.assert_allclose(got, expected, atol=2e-5)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_derivatives_hold_at_every_scale(scale):
    x, dictionary = _problem()
    codes = _solve_in_float64(x, dictionary, 0.1, 0.0, non_negative=True)
    dictionary = np.float32(dictionary)

    def penalty_slope(codes, x, l1_penalty):
        function = lambda penalty: _codes_of(codes, x, dictionary, penalty, 0.0)  # noqa: E731
        return jax.jvp(function, (jnp.float32(l1_penalty),), (jnp.float32(1),))[1]

    expected = penalty_slope(codes, x, 0.1)
    got = penalty_slope(scale * codes, scale * x, scale * 0.1)
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_rows_without_codes_have_no_derivatives():
    x, dictionary = _in_float32(_problem())
    x = x.at[0].set(0)

    def loss(x, dictionary, l1_penalty, l2_penalty):
        codes = _codes_of(jnp.zeros((5, 24)), x, dictionary, l1_penalty, l2_penalty)
        return jnp.sum(codes * codes + codes)

    gradients = jax.grad(loss, argnums=(0, 1, 2, 3))(
        x, dictionary, jnp.float32(9), jnp.float32(1)
    )
    for gradient in gradients:
        np.testing.assert_array_equal(gradient, 0)


def test_dependent_factors_have_the_derivatives_of_the_pseudo_inverse():
    rng = np.random.default_rng(4)
    dictionary = rng.normal(size=(6, 8))
    dictionary /= np.linalg.norm(dictionary, axis=1, keepdims=True)
    dictionary = np.concatenate([dictionary, dictionary[:2]])
    codes = np.concatenate([rng.random((3, 7)) + 0.1, np.zeros((3, 1))], axis=1)
    x, penalty = rng.normal(size=(3, 8)), rng.random((3, 8)) + 0.1
    at = _in_float32((x, dictionary, penalty, 0.0))
    along = rng.normal(size=(3, 8))
    # Penalties that differ between equal factors: no codes satisfy the conditions.
    tangents = _in_float32((0 * x, 0 * dictionary, along, 0.0))
    _, got = jax.jvp(functools.partial(_codes_of, codes), at, tangents)
    used = dictionary[:7]
    inverse = np.linalg.pinv(used @ used.T, rcond=1e-9)
    np.testing.assert_allclose(got[:, :7], -along[:, :7] @ inverse, atol=1e-4)
    np.testing.assert_array_equal(got[:, 7], 0)
    _, pull = jax.vjp(functools.partial(_codes_of, codes), *at)
    gradients = pull(jnp.asarray(along, jnp.float32))
    np.testing.assert_allclose(gradients[0], along[:, :7] @ inverse @ used, atol=1e-4)
    for gradient in gradients:
        assert np.all(np.isfinite(gradient))


def test_nearly_dependent_factors_give_finite_derivatives():
    rng = np.random.default_rng(5)
    dictionary = rng.normal(size=(40, 12)) + 20 * rng.normal(size=12)
    dictionary[20:] = dictionary[:20] + 1e-4 * rng.normal(size=(20, 12))
    dictionary /= np.linalg.norm(dictionary, axis=1, keepdims=True)
    codes, x = rng.random((4, 40)), rng.normal(size=(4, 12))
    at = _in_float32((x, dictionary, 0.1, 0.0))
    _, pull = jax.vjp(functools.partial(_codes_of, codes), *at)
    for gradient in pull(jnp.asarray(rng.normal(size=(4, 40)), jnp.float32)):
        assert np.all(np.isfinite(gradient))


def _gradients(codes, x, dictionary, l1_penalty):
    def loss(x, dictionary, l1_penalty):
        got = _codes_of(codes, x, dictionary, l1_penalty, 0.0)
        return jnp.sum(jnp.sin(3 * got))

    return jax.grad(loss, argnums=(0, 1, 2))(x, dictionary, l1_penalty)


def _sharded_problem():
    x, dictionary = _problem(batch=16, n_factors=32)
    codes = _solve_in_float64(x, dictionary, 0.1, 0.0, non_negative=True)
    return _in_float32((codes, x, dictionary, np.full(16, 0.1)))


@pytest.mark.parametrize("shape", [(8, 1), (4, 2), (1, 8)])
def test_derivatives_are_the_same_on_every_mesh(shape):
    codes, x, dictionary, penalty = _sharded_problem()
    expected = _gradients(codes, x, dictionary, penalty)
    with jax.set_mesh(jax.make_mesh(shape, ("rows", "columns"))):
        got = jax.jit(_gradients)(
            jax.device_put(codes, jax.P("rows", "columns")),
            jax.device_put(x, jax.P("rows")),
            jax.device_put(dictionary, jax.P("columns")),
            jax.device_put(penalty, jax.P("rows")),
        )
    for a, b in zip(got, expected, strict=True):
        # Entries up to 6 that have gone through an inverse Gram matrix: a mesh sums in
        # another order, and so do programs that XLA has not optimised.
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=5e-5)


def test_vmap_pmap_and_shard_map_agree_with_one_device():
    codes, x, dictionary, penalty = _sharded_problem()
    expected = _gradients(codes, x, dictionary, penalty)
    by_rows = [a.reshape(8, 2, *a.shape[1:]) for a in (codes, x, penalty)]

    def of_rows(codes, x, penalty):
        return _gradients(codes, x, dictionary, penalty)

    for mapped in (jax.vmap(of_rows), jax.pmap(of_rows)):
        of_x, of_dictionary, of_penalty = mapped(*by_rows)
        np.testing.assert_allclose(of_x.reshape(16, -1), expected[0], atol=2e-5)
        np.testing.assert_allclose(of_dictionary.sum(0), expected[1], atol=2e-5)
        np.testing.assert_allclose(of_penalty.reshape(16), expected[2], atol=2e-5)
    with jax.set_mesh(jax.make_mesh((8,), ("rows",))):
        # The dictionary is the same on all devices, so its gradients are summed.
        out_specs = (jax.P("rows"), jax.P(), jax.P("rows"))
        split = jax.jit(jax.shard_map(of_rows, out_specs=out_specs))
        got = split(*(jax.device_put(a, jax.P("rows")) for a in (codes, x, penalty)))
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


def test_a_program_without_derivatives_is_not_changed():
    codes, x, dictionary, penalty = _sharded_problem()

    def plain(codes, x, dictionary, penalty):
        return 2 * codes + jnp.einsum("bd,fd->bf", x, dictionary) * penalty[:, None]

    def attached(codes, x, dictionary, penalty):
        codes = _codes_of(codes, x, dictionary, penalty, 0.0)
        return plain(codes, x, dictionary, penalty)

    flops = [
        jax.jit(f).lower(codes, x, dictionary, penalty).compile().cost_analysis()
        for f in (plain, attached)
    ]
    assert flops[0] == flops[1]
