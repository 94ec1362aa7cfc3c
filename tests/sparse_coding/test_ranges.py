"""Finite rows whose squares float32 cannot hold give an error, never a NaN."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tfvis_jax import config, estimators, sparse_coding
from tfvis_jax.errors import InputError
from tfvis_jax.learning import learn

SHAPE, N_FACTORS = (6, 16), 24


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    dictionary = rng.standard_normal((N_FACTORS, SHAPE[1]))
    dictionary /= np.linalg.norm(dictionary, axis=1, keepdims=True)
    return rng.standard_normal(SHAPE).astype(np.float32), dictionary.astype(np.float32)


def _answers(x, dictionary, l1_penalty):
    """What every entry gives, by name; InputError in the place of an answer."""
    support = np.zeros((len(x), len(dictionary)), np.float32)
    support[:, :3] = 1
    entries = {
        "encode": lambda: sparse_coding.encode(
            x, dictionary, l1_penalty=l1_penalty, max_steps=50
        )[:2],
        "refit": lambda: sparse_coding.refit(x, dictionary, support),
        "pursue": lambda: sparse_coding.pursue(x, dictionary, k=3),
        "gap": lambda: sparse_coding.duality_gap(
            x, dictionary, support, l1_penalty=l1_penalty
        ),
        "kkt": lambda: sparse_coding.kkt_residual(
            x, dictionary, support, l1_penalty=l1_penalty
        ),
        "rows": lambda: estimators.encode_rows(
            x, dictionary, l1_penalty=l1_penalty, max_steps=50
        )[:2],
    }
    found = {}
    for name, entry in entries.items():
        try:
            found[name] = jax.tree.map(np.asarray, entry())
        except InputError as error:
            found[name] = error
    return found


@pytest.mark.parametrize("of_dictionary", [1e-6, 1.0, 1e4, 1e10, 1e-10])
@pytest.mark.parametrize(
    "of_rows", [1e-30, 1e-20, 1e-15, 1e-13, 1e-6, 1.0, 1e10, 1e14, 1e17, 1e20, 1e25]
)
def test_no_scale_gives_a_nan_without_an_error(problem, of_rows, of_dictionary):
    x, dictionary = problem[0] * of_rows, problem[1] * np.float32(of_dictionary)
    x = x.astype(np.float32)
    for l1_penalty in (1e-3 * of_rows * of_dictionary, 0.1):
        if not 1e-37 < l1_penalty < 1e37:
            continue
        for name, answer in _answers(x, dictionary, l1_penalty).items():
            if isinstance(answer, InputError):
                assert "float32" in str(answer) or "divide" in str(answer), name
                continue
            for array in jax.tree.leaves(answer):
                assert np.isfinite(array).all(), (name, l1_penalty)
    # The range that the messages name works.
    if of_dictionary == 1 and 1e-12 <= of_rows <= 1e14:
        assert not any(
            isinstance(answer, InputError)
            for answer in _answers(x, dictionary, 1e-3 * of_rows).values()
        )


@pytest.mark.parametrize("where", [np.asarray, jnp.asarray])
@pytest.mark.parametrize(
    ("value", "message"),
    [(1e20, "within ±1e\\+15, got 1e\\+20"), (1e-20, "1e-13 and 1e\\+15, got 1e-20")],
)
def test_one_row_out_of_range_is_refused_with_the_range(problem, where, value, message):
    x, dictionary = np.array(problem[0]), problem[1]
    x[3] = value
    arrays = where(x), where(dictionary)
    with pytest.raises(InputError, match=message):
        sparse_coding.encode(*arrays, l1_penalty=1e-22)
    with pytest.raises(InputError, match=message):
        sparse_coding.duality_gap(
            *arrays, where(np.zeros((len(x), N_FACTORS))), l1_penalty=1e-22
        )
    with pytest.raises(InputError, match="in row 3"):
        estimators.encode_rows(x, dictionary, l1_penalty=1e-22)


def test_a_tiny_row_beside_others_has_codes_of_zero_which_are_optimal(problem):
    x, dictionary = np.array(problem[0]), problem[1]
    x[3] = 1e-25
    found = sparse_coding.encode(x, dictionary, l1_penalty=0.1)
    assert not np.asarray(found.codes[3]).any() and found.gap[3] == 0
    assert np.asarray(found.converged).all()
    assert estimators.encode_rows(x, dictionary, l1_penalty=0.1).n_not_converged == 0


SOLVER = config.SolverConfig(max_steps=20)
DICTIONARY = config.DictionaryConfig(n_factors=8)


def test_learning_refuses_what_its_gradients_cannot_hold(problem):
    rows = np.tile(problem[0], (4, 1))
    for scale in (1e20, 1e12, 1e9):
        with pytest.raises(InputError, match=r"within ±1e\+08 when divided by `scale`"):
            learn(rows * np.float32(scale), solver=SOLVER, dictionary=DICTIONARY)
    plain = learn(rows, solver=SOLVER, dictionary=DICTIONARY)
    scaled = learn(
        rows * np.float32(2.0**60),
        solver=SOLVER,
        dictionary=DICTIONARY,
        scale=2.0**60,
    )
    assert np.isfinite(plain.dictionary).all()
    # A power of two changes no digit.
    np.testing.assert_array_equal(plain.dictionary, scaled.dictionary)
    found = estimators.DictionaryLearning(n_factors=8, num_passes=1)
    codes = found.fit_transform(rows * np.float32(1e20))
    assert np.isfinite(codes).all() and np.isfinite(found.components_).all()
    assert 0 < found.score(rows * np.float32(1e20)) <= 1


def test_fewer_rows_than_factors_are_said():
    rows = np.random.default_rng(0).standard_normal((51, 16)).astype(np.float32)
    many = config.DictionaryConfig(n_factors=64)
    with pytest.warns(UserWarning, match="^Got 51 rows for 64 factors"):
        learn(rows, solver=SOLVER, dictionary=many)


def test_masked_numbers_are_refused_everywhere(problem):
    x, dictionary = problem
    masked = np.ma.masked_greater(x, 1.0)
    assert np.ma.is_masked(masked)
    codes = np.zeros((len(x), N_FACTORS), np.float32)
    for call in (
        lambda: sparse_coding.encode(masked, dictionary, l1_penalty=0.1),
        lambda: sparse_coding.encode(
            x, np.ma.masked_greater(dictionary, 0.5), l1_penalty=0.1
        ),
        lambda: sparse_coding.refit(masked, dictionary, codes),
        lambda: sparse_coding.pursue(masked, dictionary, k=2),
        lambda: sparse_coding.duality_gap(masked, dictionary, codes, l1_penalty=0.1),
        lambda: sparse_coding.for_l0(masked, dictionary, target_l0=2),
        lambda: estimators.encode_rows(masked, dictionary, l1_penalty=0.1),
        lambda: estimators.encode_rows(list(masked), dictionary, l1_penalty=0.1),
        lambda: estimators.SparseCoder(dictionary, l1_penalty=0.1).transform(masked),
        lambda: estimators.DictionaryLearning(n_factors=4).fit(masked),
        lambda: learn(masked, solver=SOLVER, dictionary=DICTIONARY),
    ):
        with pytest.raises(InputError, match="without masked numbers"):
            call()
    # A mask that hides nothing.
    plain = np.ma.masked_array(x, mask=False)
    assert estimators.encode_rows(plain, dictionary, l1_penalty=0.1).codes.shape


def test_flags_may_be_numpys_and_nothing_else(problem):
    x, dictionary = problem
    expected = sparse_coding.encode(x, dictionary, l1_penalty=0.1, non_negative=False)
    found = sparse_coding.encode(
        x, dictionary, l1_penalty=0.1, non_negative=np.bool_(False)
    )
    np.testing.assert_array_equal(found.codes, expected.codes)
    support = np.ones((len(x), N_FACTORS), np.float32)
    for call in (
        lambda flag: sparse_coding.encode(
            x, dictionary, l1_penalty=0.1, non_negative=flag
        ),
        lambda flag: sparse_coding.refit(x, dictionary, support, non_negative=flag),
        lambda flag: sparse_coding.pursue(x, dictionary, k=2, non_negative=flag),
        lambda flag: sparse_coding.duality_gap(
            x, dictionary, support, l1_penalty=0.1, non_negative=flag
        ),
        lambda flag: estimators.encode_rows(
            x, dictionary, l1_penalty=0.1, non_negative=flag
        ),
    ):
        call(np.bool_(True))
        with pytest.raises(InputError, match="`non_negative` to be True or False"):
            call("yes")


def test_a_target_that_is_missed_is_said(problem):
    x, dictionary = problem
    with pytest.warns(UserWarning, match="factors on average, not the 1.3 asked for"):
        sparse_coding.for_l0(x[:1], dictionary, target_l0=1.3)
