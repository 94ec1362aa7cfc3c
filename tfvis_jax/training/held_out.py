"""Measures the held-out error during training, on a small, fixed sample of windows."""

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np

from tfvis_jax import sharding
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.learning import state as state_lib
from tfvis_jax.runs import parallel_encoding, setup, trained_dictionary
from tfvis_jax.sparse_coding import metrics

# Of which one batch is encoded, nearly empty: about one batch of training.
_WINDOWS = 8
# Fraction by which the error must fall to count as lower.
_LEAST_FALL = 1e-3


class HeldOut:
    """A sample of held-out windows, encoded by the program of the run's report.

    To compile another takes longer than to encode the sample. With an L2 penalty, which
    training leaves out, it is another program all the same.
    """

    def __init__(
        self,
        opened: setup.Setup,
        windows: windows_lib.Windows,
        *,
        mesh: jax.sharding.Mesh,
    ) -> None:
        """Chooses the sample, the same on all devices, so that errors can be compared.

        Args:
          opened: model and settings.
          windows: tokens of the corpus.
          mesh: that trains. Each process encodes the sample on its own devices.
        """
        config = opened.config
        config = dataclasses.replace(config, solver=config.solver.of_training)
        if mesh.shape[sharding.FACTOR] > 1:
            # Codes of whole batches may not fit where the dictionary is split.
            size = min(_WINDOWS, config.windows_per_batch)
            config = dataclasses.replace(config, windows_per_batch=size)
        self._opened = dataclasses.replace(opened, config=config)
        self._windows, self._devices = windows, mesh.local_devices
        chosen = windows.held_out
        if len(chosen) > _WINDOWS:
            chosen = chosen[np.linspace(0, len(chosen) - 1, _WINDOWS).astype(int)]
        self._chosen = chosen

    def fvu(self, state: state_lib.TrainState) -> float | None:
        """Returns the fraction of variance unexplained; None without held-out text.

        All processes must call this, and get the number of the first.
        """
        if not len(self._chosen):
            return None
        trained = trained_dictionary.from_state(state, self._opened)
        d_model = trained.factors.shape[1]
        zeros = metrics.ReconstructionTotals.zeros(d_model=d_model, n_factors=1)
        totals = [zeros] * len(trained.layers)
        for index, layer in parallel_encoding.encode(
            self._opened,
            trained,
            self._windows,
            self._chosen,
            devices=self._devices,
            with_x=True,
        ):
            for rows in layer:
                assert rows.x is not None
                valid = rows.batch.row_mask.reshape(-1)
                x = rows.x[valid]
                residual = x - rows.codes[valid] @ trained.factors
                if trained.whitening is not None:
                    # The error of hidden states, not of what was whitened.
                    inverse = np.asarray(trained.whitening.inverse)
                    x, residual = x @ inverse, residual @ inverse
                totals[index] += _sums(zeros, x, residual)
        return sharding.of_first_process(metrics.figures(totals).fvu)


def _sums(
    zeros: metrics.ReconstructionTotals, x: np.ndarray, residual: np.ndarray
) -> metrics.ReconstructionTotals:
    """Returns what the error needs of rows; on the host, where nothing is compiled."""
    return dataclasses.replace(
        zeros,
        n_rows=len(x),
        x=np.sum(x, axis=0, dtype=np.float64),
        squared_norm=np.sum(x**2, dtype=np.float64),
        squared_error=np.sum(residual**2, dtype=np.float64),
    )


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
