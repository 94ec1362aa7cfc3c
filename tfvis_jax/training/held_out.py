"""Measures the held-out error during training, on a small, fixed sample of windows."""

import dataclasses
import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax import config as config_lib
from tfvis_jax import sharding
from tfvis_jax.data import hidden_states as hidden_states_lib
from tfvis_jax.data import loader
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.learning import inference
from tfvis_jax.learning import state as state_lib
from tfvis_jax.learning import whitening as whitening_lib
from tfvis_jax.models import encoder as encoder_lib
from tfvis_jax.runs import setup
from tfvis_jax.sparse_coding import metrics, objective

# Costs as much as one or two dictionary steps on all layers of a small BERT.
_WINDOWS = 8
# Fraction by which the error must fall to count as lower.
_LEAST_FALL = 1e-3


class HeldOut:
    """Hidden states of held-out windows, spread over the mesh."""

    def __init__(
        self,
        opened: setup.Setup,
        windows: windows_lib.Windows,
        *,
        encoder: encoder_lib.Encoder,
        mesh: jax.sharding.Mesh,
    ) -> None:
        """Reads the sample and runs the encoder over it.

        Args:
          opened: model and settings.
          windows: tokens of the corpus.
          encoder: the model's encoder, on the mesh.
          mesh: the mesh in whose context all methods are called.
        """
        self._solver = opened.config.solver.of_training
        # The same windows on every mesh, so that errors can be compared. Empty windows
        # are added until the number is a multiple of the devices.
        data = mesh.shape[sharding.DATA]
        size = -(-_WINDOWS // data) * data
        chosen = windows.held_out
        if len(chosen) > _WINDOWS:
            chosen = chosen[np.linspace(0, len(chosen) - 1, _WINDOWS).astype(int)]
        batch = next(
            loader.batches(
                windows,
                chosen,
                batch_size=size,
                shuffle=False,
                places=sharding.local_rows(mesh, size=size),
            ),
            None,
        )
        self._is_empty = batch is None
        if batch is None:
            return
        token_ids, token_mask, self._row_mask = sharding.place_rows(
            mesh, (batch.token_ids, batch.token_mask, batch.row_mask), size=size
        )
        self._states = hidden_states_lib.scaled_hidden_states(
            encoder,
            token_ids,
            token_mask,
            # Unscaled, since the scale may change during training.
            jnp.ones((len(opened.layers),)),
            layers=opened.layers,
        )

    def fvu(self, state: state_lib.TrainState) -> float | None:
        """Returns the fraction of variance unexplained; None without held-out text."""
        if self._is_empty:
            return None
        sums = _layer_sums(
            self._states,
            (state.layer_scale, state.whitening),
            self._row_mask,
            state.dictionary,
            state.l1_penalty,
            solver=self._solver,
        )
        return metrics.figures(_totals(*sums, n_factors=len(state.dictionary))).fvu


def has_settled(errors: Sequence[float], *, patience: int | None) -> bool:
    """Returns whether the error has stopped falling.

    It has if none of the last ``patience`` errors is at least 0.1 % below the lowest
    error before them.

    Args:
      errors: held-out errors at equally spaced checkpoints, in order.
      patience: number of checkpoints to wait; None never stops.
    """
    if patience is None or len(errors) <= patience:
        return False
    return min(errors[-patience:]) > (1 - _LEAST_FALL) * min(errors[:-patience])


@functools.partial(jax.jit, static_argnames=("solver",))
def _layer_sums(
    hidden_states: jax.Array,
    scaling: whitening_lib.Scaling,
    row_mask: jax.Array,
    dictionary: jax.Array,
    l1_penalty: jax.Array,
    *,
    solver: config_lib.SolverConfig,
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Returns what the FVU needs of `metrics.RowSums`, for each layer.

    Rows are summed on the devices, so that every process holds the whole result.

    Returns:
      Number of rows [n_layers], Σ x [n_layers, d_model], Σ‖x‖² and Σ‖x − αD‖²
      [n_layers].
    """
    valid = row_mask.reshape(-1)

    _, whitening = scaling

    def of_layer(states: jax.Array) -> tuple[jax.Array, ...]:
        x = states.reshape(-1, states.shape[-1])
        x = jnp.where(valid[:, None], x, 0)
        codes = inference.infer(
            x, dictionary, solver=solver, l1_penalty=l1_penalty
        ).codes
        residual = x - objective.decode(codes, dictionary, like=x)
        # The error of hidden states, not of what was whitened.
        x, residual = (whitening_lib.unwhiten(a, whitening) for a in (x, residual))
        sums = metrics.row_sums(x, codes, residual, valid=valid)
        return (
            sums.n_rows,
            sums.x,
            jnp.sum(sums.squared_norm),
            jnp.sum(sums.squared_error),
        )

    # Layer by layer, which bounds the memory that the codes take.
    return jax.lax.map(of_layer, whitening_lib.standardise(hidden_states, *scaling))


def _totals(
    n_rows: jax.Array,
    x: jax.Array,
    squared_norm: jax.Array,
    squared_error: jax.Array,
    *,
    n_factors: int,
) -> list[metrics.ReconstructionTotals]:
    """Returns the totals of each layer, as far as the FVU needs them."""
    zeros = metrics.ReconstructionTotals.zeros(d_model=x.shape[1], n_factors=n_factors)
    return [
        dataclasses.replace(
            zeros,
            n_rows=float(n),
            x=np.asarray(total, np.float64),
            squared_norm=float(norm),
            squared_error=float(error),
        )
        for n, total, norm, error in zip(
            *map(np.asarray, (n_rows, x, squared_norm, squared_error)), strict=True
        )
    ]
