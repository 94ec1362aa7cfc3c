"""Learning from rows in memory."""

import compiling
import numpy as np
import pytest

from tfvis_jax import config
from tfvis_jax.errors import InputError
from tfvis_jax.learning import from_rows, learn

SOLVER = config.SolverConfig(tolerance=1e-4)
SPARSITY = config.SparsityConfig(target_l0=3.0)
DICTIONARY = config.DictionaryConfig(n_factors=12, energy_floor=1e-4)


def _planted(rows=1500, seed=0):
    """Rows that are sums of two or three of twelve directions, and the directions."""
    rng = np.random.default_rng(seed)
    factors = np.linalg.qr(rng.normal(size=(16, 12)))[0].T
    codes = rng.uniform(0.5, 1.5, size=(rows, 12)) * (rng.random((rows, 12)) < 0.2)
    return np.float32(codes @ factors), np.float32(factors)


@pytest.mark.parametrize("initialisation", config.INITIALISATIONS)
def test_planted_directions_are_found(initialisation):
    x, factors = _planted()
    settings = config.DictionaryConfig(
        n_factors=12, initialisation=initialisation, revive_after=20
    )
    state = learn(
        x,
        solver=SOLVER,
        dictionary=settings,
        sparsity=SPARSITY,
        rows_per_step=100,
        num_passes=6,
    )
    cosine = np.abs(np.asarray(state.dictionary) @ factors.T).max(axis=0)
    assert np.mean(cosine > 0.95) >= 10 / 12


def test_the_same_seed_gives_the_same_dictionary_and_float16_is_read(tmp_path):
    x, _ = _planted(300)
    np.save(tmp_path / "x.npy", x.astype(np.float16))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    settings = {
        "solver": SOLVER,
        "dictionary": DICTIONARY,
        "sparsity": SPARSITY,
        "rows_per_step": 64,
    }
    first = learn(mapped, **settings)
    again = learn(x.astype(np.float16), **settings)
    other = learn(mapped, seed=1, **settings)
    np.testing.assert_array_equal(first.dictionary, again.dictionary)
    assert not np.array_equal(first.dictionary, other.dictionary)
    assert int(first.step) == 5


def test_every_row_is_used_once_a_pass_and_progress_is_told():
    x = np.eye(7, 5, dtype=np.float32) + 0.1
    rng = np.random.default_rng(0)
    seen = np.concatenate(
        [
            rows[valid]
            for rows, valid in from_rows._batches(x, rng, rows_per_step=3, num_passes=1)
        ]
    )
    np.testing.assert_array_equal(np.unique(seen, axis=0), np.unique(x, axis=0))
    assert len(seen) == 7
    told = []
    learn(
        x,
        solver=config.SolverConfig(l1_penalty=0.1),
        dictionary=config.DictionaryConfig(n_factors=4),
        rows_per_step=3,
        num_passes=2,
        progress=lambda *now: told.append(now),
    )
    assert told == [(n, 6) for n in range(1, 7)]


def test_bad_rows_are_refused():
    with pytest.raises(InputError, match=r"\[rows, d_model\]"):
        learn(np.zeros((0, 3)), solver=SOLVER, dictionary=DICTIONARY)
    x, _ = _planted(50)
    x[3, 2] = np.nan
    with pytest.raises(InputError, match="finite"):
        learn(x, solver=SOLVER, dictionary=DICTIONARY)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": [[1.0, 2.0]]}, "array of real rows.*got list"),
        ({"x": np.ones((4, 3), complex)}, "array of real rows.*got complex128"),
        ({"x": np.ones((4, 3)).astype(str)}, "array of real rows.*got <U"),
        ({"x": np.ones((4, 3), object)}, "array of real rows.*got object"),
        ({"rows_per_step": 0}, "`rows_per_step` to be a whole number"),
        ({"num_passes": 0}, "`num_passes` to be a whole number"),
        ({"seed": -1}, "`seed` a whole number"),
        ({"scale": -1.0}, "`scale` positive"),
    ],
)
def test_arguments_that_make_no_problem_are_refused_by_name(changes, message):
    x, _ = _planted(50)
    arguments = {"x": x, "solver": SOLVER, "dictionary": DICTIONARY} | changes
    with pytest.raises(InputError, match=message):
        learn(arguments.pop("x"), **arguments)


def test_a_bad_row_is_named_by_its_place_in_the_file():
    x, _ = _planted(300)
    x[271, 2] = np.nan
    with pytest.raises(InputError, match=r"in row 271;"):
        learn(x, solver=SOLVER, dictionary=DICTIONARY, rows_per_step=100)


def test_rows_that_no_factor_fires_on_are_told():
    x, _ = _planted(300)
    with pytest.warns(UserWarning, match="No factor fired on any row"):
        learn(x * np.float32(1e-10), solver=SOLVER, dictionary=DICTIONARY)
    with compiling.warnings_are_errors():
        learn(x, solver=SOLVER, dictionary=DICTIONARY)
