"""Lasso codes, and what they become when they are refitted without the penalty.

`LASSO` are the codes as inferred; the penalty that finds their support also shrinks
them. `DEBIASED` are least-squares codes (non-negative) on the same support, and
`K_LARGEST` those on the k largest codes of each row: for comparison at a fixed L0.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax import config as config_lib
from tfvis_jax.sparse_coding import objective, refit
from tfvis_jax.training import dictionary_file, inference

LASSO, DEBIASED, K_LARGEST = "lasso", "debiased", "k_largest"

# Bounds the memory of a refit, which needs [rows, k, d_model] at a time.
_BLOCK_ROWS = 256
_SMALLEST_SUPPORT = 16


def refitted(
    x: jax.Array, dictionary: jax.Array, codes: jax.Array, *, k: int | None = None
) -> dict[str, jax.Array]:
    """Returns the codes by name, as given and refitted.

    Args:
      x: [rows, d_model].
      dictionary: [n_factors, d_model].
      codes: [rows, n_factors], of the lasso.
      k: codes kept in a row of `K_LARGEST`, which is left out where k is None.

    Returns:
      [rows, n_factors] for each name.
    """
    found = {
        LASSO: codes,
        DEBIASED: _refit(x, dictionary, codes, max_active=_support_size(codes)),
    }
    if k is not None:
        found[K_LARGEST] = _refit(x, dictionary, codes, max_active=k)
    return found


def reconstructions(
    x: jax.Array, dictionary: jax.Array, codes: jax.Array, *, k: int | None = None
) -> dict[str, jax.Array]:
    """Returns x̂ [rows, d_model] of all codes of `refitted`; arguments as there."""
    return {
        name: objective.decode(values, dictionary, like=x)
        for name, values in refitted(x, dictionary, codes, k=k).items()
    }


def reconstructor(
    trained: dictionary_file.TrainedDictionary,
    *,
    solver: config_lib.SolverConfig,
    k: int | None = None,
) -> Callable[[int, jax.Array], dict[str, jax.Array]]:
    """Returns what `loss_recovered.measure` asks of a way to reconstruct.

    Args:
      trained: the dictionary, the same for every layer.
      solver: how codes are inferred.
      k: as in `refitted`.
    """
    dictionary = jnp.asarray(trained.factors)

    def reconstruct(layer_index: int, x: jax.Array) -> dict[str, jax.Array]:
        codes = _infer(x, dictionary, solver=solver).codes
        return reconstructions(x, dictionary, codes, k=k)

    return reconstruct


_infer = jax.jit(inference.infer, static_argnames=("solver",))


def _support_size(codes: jax.Array) -> int:
    """The largest L0, rounded up: one compilation serves many batches."""
    largest = int(np.max(jnp.count_nonzero(codes, axis=1), initial=1))
    rounded = 2 ** (largest - 1).bit_length()
    return min(max(rounded, _SMALLEST_SUPPORT), codes.shape[1])


@functools.partial(jax.jit, static_argnames=("max_active",))
def _refit(x, dictionary, codes, *, max_active: int):
    """`refit.refit` in blocks of rows of like L0, each as wide as its rows need."""
    sizes = [max_active]
    while sizes[0] > _SMALLEST_SUPPORT:
        sizes.insert(0, -(-sizes[0] // 2))
    branches = [
        functools.partial(_refit_block, dictionary=dictionary, max_active=size)
        for size in sizes
    ]
    l0 = jnp.count_nonzero(codes, axis=1)
    # Filled up with the last row, which is written again with the same codes.
    order = jnp.argsort(l0)
    order = jnp.pad(order, (0, -len(x) % _BLOCK_ROWS), mode="edge")

    def refit_block(rows):
        widest = jnp.minimum(jnp.max(l0[rows]), max_active)
        branch = jnp.searchsorted(jnp.asarray(sizes), widest)
        return jax.lax.switch(branch, branches, x[rows], codes[rows])

    found = jax.lax.map(refit_block, order.reshape(-1, _BLOCK_ROWS))
    return codes.at[order].set(found.reshape(-1, codes.shape[1]))


def _refit_block(x, codes, *, dictionary, max_active: int):
    return refit.refit(x, dictionary, codes, max_active=max_active)
