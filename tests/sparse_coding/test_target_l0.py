"""λ for a wanted number of active factors."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tfvis_jax import sparse_coding
from tfvis_jax.errors import InputError
from tfvis_jax.sparse_coding import dictionary as dictionary_lib
from tfvis_jax.sparse_coding import target_l0 as target_l0_lib

RNG = np.random.default_rng(0)


def _problem(rows=200, n_factors=40, d_model=16):
    x = jnp.asarray(RNG.normal(size=(rows, d_model)), jnp.float32)
    factors = jnp.asarray(RNG.normal(size=(n_factors, d_model)), jnp.float32)
    return x, dictionary_lib.project_unit_norm(factors)


@pytest.mark.parametrize("scale", [1e-2, 1.0, 1e2])
@pytest.mark.parametrize("target_l0", [1.5, 8.0])
def test_the_penalty_found_gives_the_target(scale, target_l0):
    x, dictionary = _problem()
    l1_penalty = target_l0_lib.for_l0(scale * x, dictionary, target_l0=target_l0)
    codes = sparse_coding.encode(scale * x, dictionary, l1_penalty=l1_penalty).codes
    l0 = float(jnp.mean(jnp.sum(codes != 0, axis=1)))
    assert abs(l0 / target_l0 - 1) < 0.03


def test_where_a_loose_tolerance_leads_astray_a_tighter_one_follows(monkeypatch):
    asked = []

    def encode(x, dictionary, *, l1_penalty, tolerance):
        asked.append(tolerance)
        got = sparse_coding.encode(
            x, dictionary, l1_penalty=l1_penalty, tolerance=tolerance
        )
        # What a solver may leave at a loose tolerance, at its worst: nothing at all.
        return got if tolerance < 1e-4 else got._replace(codes=0 * got.codes)

    monkeypatch.setattr(target_l0_lib.encoding, "encode", encode)
    x, dictionary = _problem()
    l1_penalty = target_l0_lib.for_l0(x, dictionary, target_l0=8.0)
    codes = sparse_coding.encode(
        x, dictionary, l1_penalty=l1_penalty, tolerance=1e-5
    ).codes
    assert abs(float(jnp.mean(jnp.sum(codes != 0, axis=1))) / 8 - 1) < 0.03
    assert sorted(set(asked)) == [1e-5, 1e-3]


def test_a_target_out_of_reach_names_what_is():
    one_sided = jnp.array([[1.0, -1.0, -1.0]])
    with pytest.raises(InputError, match=r"uses only 1\.0 of 3"):
        target_l0_lib.for_l0(one_sided, jnp.eye(3), target_l0=2.5)
    with pytest.raises(InputError, match="correlate"):
        target_l0_lib.for_l0(jnp.zeros((3, 3)), jnp.eye(3), target_l0=2)


def test_tracking_moves_lambda_towards_the_target_only():
    kept = target_l0_lib.track(jnp.float32(0.1), jnp.float32(5), target_l0=5)
    np.testing.assert_allclose(kept, 0.1, rtol=1e-6)
    assert target_l0_lib.track(jnp.float32(0.1), jnp.float32(6), target_l0=5) > 0.1
    assert target_l0_lib.track(jnp.float32(0.1), jnp.float32(4), target_l0=5) < 0.1
    # However wrong L0 is, a step changes λ by a few percent.
    assert target_l0_lib.track(jnp.float32(0.1), jnp.float32(500), target_l0=5) < 0.106


@pytest.mark.parametrize("target_l0", [0, -1.0, float("nan")])
def test_a_target_that_is_none_is_refused(target_l0):
    with pytest.raises(InputError, match="`target_l0` above 0"):
        target_l0_lib.for_l0(*_problem(), target_l0=target_l0)
    x, dictionary = _problem()
    with pytest.raises(InputError, match="some rows"):
        target_l0_lib.for_l0(x[:0], dictionary, target_l0=3.0)


def test_arrays_without_an_answer_are_refused():
    x, dictionary = _problem()
    find = functools.partial(target_l0_lib.for_l0, target_l0=3.0)
    with pytest.raises(InputError, match=r"finite numbers in `x`.*first in row 2"):
        find(x.at[2, 1].set(jnp.nan), dictionary)
    with pytest.raises(InputError, match=r"got \(200, 7\) and \(40, 16\)"):
        find(x[:, :7], dictionary)
    with pytest.raises(InputError, match="above 0, got 'a'"):
        find(x, dictionary, target_l0="a")
    with pytest.raises(InputError, match="outside `jit`"):
        jax.jit(find)(x, dictionary)


@pytest.mark.parametrize("power", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("target_l0", [2.0, 30.0, 300.0])
def test_few_guesses_find_the_penalty_of_a_power_law(power, target_l0):
    asked = []

    def l0_at(penalty):
        asked.append(penalty)
        return 40 * (0.05 / penalty) ** power

    found, l0 = target_l0_lib.search(l0_at, target_l0=target_l0, highest=1.0)
    exact = 0.05 * (40 / target_l0) ** (1 / power)
    if 1e-4 < exact < 1:
        assert abs(l0 / target_l0 - 1) <= 0.01
        np.testing.assert_allclose(found, exact, rtol=0.01 / power + 1e-3)
        assert len(asked) <= 4
    assert len(asked) <= 12 and all(1e-4 < each < 1 for each in asked)


def test_a_staircase_ends_at_its_nearest_step():
    def l0_at(penalty):
        return float(np.floor(8 * (1 - penalty)))

    found, l0 = target_l0_lib.search(l0_at, target_l0=4.4, highest=1.0)
    assert l0 == 4 and l0_at(found) == 4
    # No λ at all gives as many: the densest codes come nearest.
    _, l0 = target_l0_lib.search(l0_at, target_l0=50.0, highest=1.0)
    assert l0 == 7
