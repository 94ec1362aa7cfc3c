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
from tfvis_jax.training import dictionary_file, encoding

LASSO, DEBIASED, K_LARGEST = "lasso", "debiased", "k_largest"

# Bounds the memory of a refit, which needs [rows, k, d_model] at a time.
_BLOCK_ROWS = 256
_SMALLEST_SUPPORT, _USUAL_SUPPORT = 16, 256


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
    l0 = jnp.count_nonzero(codes, axis=1)
    debiased = _refit(x, dictionary, codes, codes, wanted=l0, sizes=_sizes(l0))
    found = {LASSO: codes, DEBIASED: debiased}
    if k is not None:
        # Where no more than k factors are in use, all of them are kept.
        wanted = jnp.where(l0 > k, k, 0)
        found[K_LARGEST] = _refit(
            x, dictionary, codes, debiased, wanted=wanted, sizes=(k,)
        )
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
    windows_per_batch: int,
    k: int | None = None,
) -> Callable[[int, jax.Array], dict[str, jax.Array]]:
    """Returns what `loss_recovered.measure` asks of a way to reconstruct.

    Args:
      trained: the dictionary, the same for every layer.
      solver: how codes are inferred.
      windows_per_batch: of the `loss_recovered.Subject`.
      k: as in `refitted`.
    """
    dictionary = jnp.asarray(trained.factors)

    def reconstruct(layer_index: int, x: jax.Array) -> dict[str, jax.Array]:
        # In the shape of windows, for which the solver is compiled already.
        states = x.reshape(windows_per_batch, -1, x.shape[1])
        every = np.ones(states.shape[:2], bool)
        rows = encoding.encode_layer(states, every, dictionary, solver=solver)
        return reconstructions(x, dictionary, rows.codes, k=k)

    return reconstruct


def _sizes(l0: jax.Array) -> tuple[int, ...]:
    """Numbers of factors, doubling, that suit every L0; the same for most batches."""
    largest = max(int(np.max(l0, initial=0)), _USUAL_SUPPORT)
    sizes = [_SMALLEST_SUPPORT]
    while sizes[-1] < largest:
        sizes.append(2 * sizes[-1])
    return tuple(sizes)


@functools.partial(jax.jit, static_argnames=("sizes",))
def _refit(x, dictionary, codes, done, *, wanted, sizes: tuple[int, ...]):
    """`refit.refit` in blocks of rows with like needs; `done` where there are none."""

    def refit_at(size, x, codes, done):
        return refit.refit(x, dictionary, codes, max_active=size)

    branches = [lambda x, codes, done: done]
    branches += [functools.partial(refit_at, size) for size in sizes]
    # Filled up with the last row, which is written again with the same codes.
    order = jnp.pad(jnp.argsort(wanted), (0, -len(x) % _BLOCK_ROWS), mode="edge")

    def refit_block(rows):
        widest = jnp.max(wanted[rows])
        branch = jnp.searchsorted(jnp.asarray((0, *sizes)), widest)
        return jax.lax.switch(branch, branches, x[rows], codes[rows], done[rows])

    found = jax.lax.map(refit_block, order.reshape(-1, _BLOCK_ROWS))
    return codes.at[order].set(found.reshape(-1, codes.shape[1]))
