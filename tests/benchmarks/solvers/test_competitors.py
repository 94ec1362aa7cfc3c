"""Every competitor solves the problem that we solve, and is measured fairly."""

import concurrent.futures
import functools
import multiprocessing

import jax.numpy as jnp
import numpy as np
import pytest
import reference

from benchmarks.solvers import competitor_processes, competitors
from tfvis_jax.sparse_coding import encode, lasso_objective

L1_PENALTY = 0.1
COMPETITORS = {
    "published": ("torch", functools.partial(competitors.published, num_steps=200)),
    "SPAMS": ("spams", competitors.spams_lasso),
    "LARS": (
        "sklearn",
        functools.partial(competitors.sklearn_lasso, algorithm="lasso_lars"),
    ),
    "CD": (
        "sklearn",
        functools.partial(
            competitors.sklearn_lasso, algorithm="lasso_cd", dtype=np.float64
        ),
    ),
}


@pytest.mark.parametrize("name", COMPETITORS)
def test_competitors_reach_our_objective(name, small_problem):
    library, solve = COMPETITORS[name]
    pytest.importorskip(library)
    rows, factors = small_problem
    # More than one of the published batches of 100, and the last one ragged.
    x = rows[:110] if name == "published" else rows[:12]
    solved = solve(x, factors, l1_penalty=L1_PENALTY)
    ours = encode(x, factors, l1_penalty=L1_PENALTY, tolerance=1e-6, max_steps=5000)
    theirs, best = (
        lasso_objective(x, factors, jnp.float32(codes), l1_penalty=L1_PENALTY)
        for codes in (solved.codes, ours.codes)
    )
    assert solved.codes.shape == ours.codes.shape
    assert np.all(solved.codes >= 0)
    assert solved.seconds > 0
    # scikit-learn's coordinate descent stops at a gap of 1e-4 of ‖x‖².
    assert np.max(np.abs(theirs - best) / np.sum(x**2, axis=1)) < 1e-4


def test_published_algorithm_step_for_step(small_problem):
    pytest.importorskip("torch")
    rows, factors = small_problem
    solved = competitors.published(
        rows[:8], factors, l1_penalty=L1_PENALTY, num_steps=25
    )
    expected, _ = reference.fista(
        rows[:8].T.astype(np.float64), factors.T.astype(np.float64), L1_PENALTY, 25
    )
    # 25 steps in float32 against float64.
    np.testing.assert_allclose(solved.codes, expected.T, atol=2e-5)
    assert np.all(solved.num_steps == 25)


def _growth_mb(size_mb: int) -> tuple[float, float]:
    """Returns what `_clock` says of a call that takes so much, and of an idle one."""
    ones = size_mb * 10**6 // 8
    result, _, taken = competitors._clock(lambda: float(np.sum(np.ones(ones))))
    assert result == ones
    return taken, competitors._clock(lambda: None)[2]


def test_memory_is_that_of_the_call():
    if not competitors._forget_peak():
        pytest.skip("the system does not count peak memory")
    size_mb = 60
    # In a process of its own, as the benchmarks clock theirs: here, what earlier tests
    # left may be freed during the call, and its pages would count against it.
    with concurrent.futures.ProcessPoolExecutor(
        1, mp_context=multiprocessing.get_context("spawn")
    ) as process:
        taken, idle = process.submit(_growth_mb, size_mb).result()
    assert size_mb * 0.9 < taken < size_mb * 2
    assert idle < size_mb / 2


def test_more_steps_where_the_published_ones_do_not_reach_the_gap(small_problem):
    rows, factors = small_problem
    x = rows[:16]
    asked = []

    def solve(x, dictionary, *, l1_penalty, num_steps):
        asked.append(num_steps)
        codes = jnp.zeros((len(x), len(dictionary)))
        if num_steps >= 1000:
            codes = encode(
                x, dictionary, l1_penalty=l1_penalty, tolerance=1e-5, max_steps=5000
            ).codes
        return competitors.timing.Solved(np.asarray(codes), None, 1.0, None)

    steps = competitor_processes._steps_to_gap(
        solve, x, factors, l1_penalty=L1_PENALTY, gap=2e-5
    )
    assert steps == 1000
    assert asked == [500, 750, 1000]
