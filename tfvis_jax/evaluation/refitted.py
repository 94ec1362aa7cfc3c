"""Lasso codes, and what they become when they are refitted without the penalty.

`LASSO` are the codes as inferred; the penalty that finds their support also shrinks
them. `DEBIASED` are least-squares codes (non-negative) on the same support, and
`K_LARGEST` those on the k largest codes of each row: for comparison at a fixed L0.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax.runs import coder as coder_lib
from tfvis_jax.runs import encoding, trained_dictionary
from tfvis_jax.sparse_coding import objective, refit

LASSO, DEBIASED, K_LARGEST = "lasso", "debiased", "k_largest"


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
    found = {LASSO: codes, DEBIASED: refit(x, dictionary, codes)}
    if k is not None:
        found[K_LARGEST] = refit(x, dictionary, codes, k=k)
    return found


def reconstructions(
    x: jax.Array, dictionary: jax.Array, codes: jax.Array, *, k: int | None = None
) -> dict[str, jax.Array]:
    """Returns x̂ [rows, d_model] of all codes of `refitted`.

    Args:
      x: [rows, d_model].
      dictionary: [n_factors, d_model].
      codes: [rows, n_factors], of the lasso.
      k: as in `refitted`.
    """
    return {
        name: objective.decode(values, dictionary, like=x)
        for name, values in refitted(x, dictionary, codes, k=k).items()
    }


def reconstructor(
    trained: trained_dictionary.TrainedDictionary,
    *,
    coder: coder_lib.Coder,
    windows_per_batch: int,
    k: int | None = None,
) -> Callable[[int, jax.Array], dict[str, jax.Array]]:
    """Returns the function that `loss_recovered.measure` takes.

    Args:
      trained: the dictionary, the same for every layer.
      coder: how codes are found.
      windows_per_batch: of the `loss_recovered.Subject`.
      k: as in `refitted`.
    """
    directions = jnp.asarray(trained.directions)
    means = jnp.zeros((len(trained.layers), 1))
    if trained.whitening is not None:
        means = jnp.asarray(trained.whitening.mean) / trained.layer_scale[:, None]

    def reconstruct(layer_index: int, x: jax.Array) -> dict[str, jax.Array]:
        centred = x - means[layer_index][None]
        y = centred
        if trained.whitening is not None:
            y = jnp.matmul(centred, trained.whitening.matrix, precision="highest")
        # In the shape of windows, for which the solver is compiled already.
        states = y.reshape(windows_per_batch, -1, x.shape[1])
        every = np.ones(states.shape[:2], bool)
        rows = encoding.encode_layer(states, every, coder)
        found = reconstructions(centred, directions, rows.codes, k=k)
        return {name: means[layer_index][None] + x_hat for name, x_hat in found.items()}

    return reconstruct
