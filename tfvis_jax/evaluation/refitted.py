"""Lasso codes, and what they become when they are refitted without the penalty.

`LASSO` are the codes as inferred; the penalty that finds their support also shrinks
them. `DEBIASED` are least-squares codes (non-negative) on the same support, and
`K_LARGEST` those on the k largest codes of each row: for comparison at a fixed L0.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax import kept_programs, sharding
from tfvis_jax.runs import parallel_encoding, setup, trained_dictionary
from tfvis_jax.sparse_coding import objective, refit, row_blocks

LASSO, DEBIASED, K_LARGEST = "lasso", "debiased", "k_largest"
# Bits of a float32 but its sign: their order is that of magnitudes.
_BITS = 31


class Refitter:
    """Refits codes on devices that have rows of their own.

    One compiled program refits all kinds of codes, whatever k is: it is the largest
    after the solver.
    """

    def __init__(self, dictionary: np.ndarray, *, devices: sharding.Devices) -> None:
        """Places a dictionary.

        Args:
          dictionary: [n_factors, d_model].
          devices: of this process.
        """
        self.mesh = sharding.side_by_side(devices)
        self.dictionary = sharding.place_copies(self.mesh, dictionary)
        self._refit, self._largest, self._decode = _programs(self.mesh)

    def refitted(
        self, x: jax.Array, codes: jax.Array, *, k: int | None = None
    ) -> dict[str, jax.Array]:
        """Returns the codes by name, as given and refitted.

        Args:
          x: [devices, rows, d_model].
          codes: [devices, rows, n_factors], of the lasso.
          k: codes kept in a row of `K_LARGEST`, which is left out where k is None.

        Returns:
          [devices, rows, n_factors] for each name.
        """
        [debiased] = self._refit(self.dictionary, x, codes)
        found = {LASSO: codes, DEBIASED: debiased}
        if k is not None:
            kept = self._largest(np.int32(k), codes)
            [found[K_LARGEST]] = self._refit(self.dictionary, x, kept)
        return found

    def decode(self, codes: jax.Array) -> jax.Array:
        """Returns x̂ [devices, rows, d_model] of [devices, rows, n_factors]."""
        return self._decode(self.dictionary, codes)


# Cached, because jit compiles each new function object.
@functools.lru_cache(maxsize=4)
def _programs(mesh: jax.sharding.Mesh) -> tuple[Callable[..., Any], ...]:
    def refit_rows(
        dictionary: jax.Array, x: jax.Array, codes: jax.Array
    ) -> tuple[jax.Array]:
        return (refit(x, dictionary, codes),)

    def decode(dictionary: jax.Array, codes: jax.Array) -> jax.Array:
        return objective.decode(codes, dictionary, like=codes)

    return (
        kept_programs.Kept(
            sharding.on_each(mesh, refit_rows, n_shared=1), name="refit_on_each"
        ),
        sharding.on_each(mesh, largest, n_shared=1),
        sharding.on_each(mesh, decode, n_shared=1),
    )


def largest(k: jax.Array, codes: jax.Array) -> jax.Array:
    """Returns codes with all but the k of largest magnitude of a row at zero.

    Of equal ones the first are kept, as by `jax.lax.top_k`, which takes four times as
    long on a CPU. The k-th largest number is found bit by bit.

    Args:
      k: [] int32, at least 1.
      codes: [rows, n_factors] float32.
    """
    # So many rows at a time stay in a core's cache.
    return row_blocks.in_parts(
        functools.partial(_largest, k), codes, rows=row_blocks.ROWS
    )


def _largest(k: jax.Array, codes: jax.Array) -> jax.Array:
    bits = jax.lax.bitcast_convert_type(jnp.abs(codes), jnp.int32)

    def count(found: jax.Array) -> jax.Array:
        return jnp.sum(found, axis=1, keepdims=True, dtype=jnp.int32)

    def set_bit(place: jax.Array, least: jax.Array) -> jax.Array:
        higher = least | (jnp.int32(1) << (_BITS - 1 - place))
        return jnp.where(count(bits >= higher) >= k, higher, least)

    least = jax.lax.fori_loop(0, _BITS, set_bit, jnp.zeros_like(bits[:, :1]))
    above, equal = bits > least, bits == least
    is_first = jnp.cumsum(equal, axis=1, dtype=jnp.int32) <= k - count(above)
    return jnp.where(above | (equal & is_first), codes, 0)


def reconstructor(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    *,
    devices: sharding.Devices,
    k: int | None = None,
) -> Callable[[int, jax.Array], dict[str, jax.Array]]:
    """Returns the function that `loss_recovered.measure` takes.

    Args:
      opened: model and settings of the run.
      trained: the dictionary, the same for every layer.
      devices: of this process, over which rows are split, as by ``measure``.
      k: as in `Refitter.refitted`.
    """
    refitter = Refitter(trained.directions, devices=devices)
    mesh, whitening = refitter.mesh, trained.whitening
    encode_rows = parallel_encoding.row_encoder(
        trained, opened.config.solver, devices=devices
    )
    means = np.zeros((len(trained.layers), 1, 1), np.float32)
    if whitening is not None:
        means = np.asarray(whitening.mean / trained.layer_scale[:, None])[:, None]
    length = opened.config.corpus.window_length
    centre, add = _shifts(mesh, n_rows=opened.config.windows_per_batch * length)
    matrix = None
    if whitening is not None:
        matrix = sharding.place_copies(mesh, whitening.matrix)

    def reconstruct(layer_index: int, x: jax.Array) -> dict[str, jax.Array]:
        mean = sharding.place_copies(mesh, means[layer_index])
        x = sharding.apart(mesh, x)
        # In the shape of a batch of windows, for which programs are compiled already.
        centred, y = centre(mean, matrix, x)
        states = y.reshape(len(devices), -1, length, x.shape[-1])
        codes = encode_rows(states, np.ones(states.shape[:3], bool))
        return {
            name: sharding.together(mesh, add(mean, x, refitter.decode(values)))
            for name, values in refitter.refitted(centred, codes, k=k).items()
        }

    return reconstruct


@functools.lru_cache(maxsize=4)
def _shifts(
    mesh: jax.sharding.Mesh, *, n_rows: int
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Returns what takes the mean of a layer away, and adds it again.

    Between the two there are ``n_rows``, if there were fewer: others are zero, which
    costs a solver nothing.
    """

    def centre(
        mean: jax.Array, matrix: jax.Array | None, x: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        missing = max(0, n_rows - len(x))
        centred = jnp.pad(x - mean, ((0, missing), (0, 0)))
        if matrix is None:
            return centred, centred
        return centred, jnp.matmul(centred, matrix, precision="highest")

    def add(mean: jax.Array, x: jax.Array, x_hat: jax.Array) -> jax.Array:
        return x_hat[: len(x)] + mean

    return (
        sharding.on_each(mesh, centre, n_shared=2),
        sharding.on_each(mesh, add, n_shared=1),
    )
