"""The entry to greedy codes: at most k factors a row, by name or by value.

Pursuits minimise no penalised objective; `greedy` has the methods.
"""

import dataclasses

import jax
import jax.numpy as jnp

from tfvis_jax.sparse_coding import checks, greedy, layout, registry
from tfvis_jax.sparse_coding import problem as problem_lib
from tfvis_jax.sparse_coding.arrays import Factors, NewCodes, Rows
from tfvis_jax.sparse_coding.compilation import compiled


def pursue(
    x: Rows,
    dictionary: Factors,
    *,
    k: int,
    method: str | greedy.Pursuit = "omp",
    non_negative: bool = True,
) -> NewCodes:
    """Returns codes that spend a budget of k factors a row.

    How far they are from the optimum of the lasso with some λ is what `duality_gap`
    says. Codes are differentiable with respect to ``x`` and ``dictionary``, forward and
    reverse, for as long as the same factors are picked. A mesh may split the rows.

    Args:
      x: [batch, d_model] rows.
      dictionary: [n_factors, d_model]; unit norm is usual, not required.
      k: number of steps and most codes of a row. Static.
      method: "omp", "gradient_pursuit" or "top_k", or a value of `greedy`.
      non_negative: If True, constrain codes to be >= 0.

    Returns:
      [batch, n_factors] codes.

    Raises:
      InputError: if shapes do not fit, ``k`` is below 1, the method is unknown, factors
        are split, or values that are not traced are not finite.
    """
    checks.check_shapes(x, dictionary)
    checks.check_count("k", k)
    pursuit = registry.pursuit(method)
    layout.check_whole(dictionary, needed_by="a pursuit")
    checks.check_values({"x": x, "dictionary": dictionary})
    return _pursue(
        x,
        dictionary,
        pursuit=pursuit,
        k=int(k),
        non_negative=checks.is_true("non_negative", non_negative),
    )


@compiled("pursuit", "k", "non_negative")
def _pursue(
    x: Rows,
    dictionary: Factors,
    *,
    pursuit: greedy.Pursuit,
    k: int,
    non_negative: bool,
) -> jax.Array:
    x, dictionary = (jnp.asarray(a, jnp.float32) for a in (x, dictionary))
    problem = problem_lib.lasso(x, dictionary, l1_penalty=1.0, lipschitz=1.0)
    return layout.on_each_device(
        lambda problem, *_: pursuit.codes(
            problem.x, problem.dictionary, k=k, non_negative=non_negative
        ),
        dataclasses.replace(problem, x=x, dictionary=dictionary),
        None,
        None,
    )
