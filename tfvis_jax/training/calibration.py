"""The λ at which unseen documents have the number of active factors that was asked for.

Training tracks λ on windows of documents that the dictionary is learning. Other
documents need more factors at the same λ: a tenth and more, the larger the dictionary
is for its text. So the last λ is found on text that was held out.
"""

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax.data import windows as windows_lib
from tfvis_jax.learning import inference
from tfvis_jax.runs import encoding, setup, trained_dictionary
from tfvis_jax.sparse_coding import certificate
from tfvis_jax.sparse_coding import target_l0 as target_l0_lib

# Rows differ in L0 by half of it, so that the mean of so many is known within 1 %.
_ROWS = 4096
# Fewer windows are no sample of the documents.
_LEAST_WINDOWS = 32


def l1_penalty(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    windows: windows_lib.Windows,
    *,
    target_l0: float,
) -> float:
    """Returns the λ that gives codes of held-out text the target L0.

    Held-out windows that no metric is measured on decide, unless there are too few.

    Args:
      opened: model and settings of the run.
      trained: what was learned; its λ, or the settings', is returned where nothing is
        held out.
      windows: tokens of the corpus.
      target_l0: mean number of active factors in a row.
    """
    chosen = np.setdiff1d(windows.held_out, windows.measured)
    if len(chosen) < _LEAST_WINDOWS:
        chosen = windows.held_out
    rows = encoding.sample_rows(
        opened, trained, windows, chosen, count=_ROWS, seed=opened.config.seed
    )
    if not len(rows):
        return trained.solver(opened.config.solver).l1_penalty
    x, dictionary = jax.device_put((rows, trained.factors))

    def l0_at(penalty: float) -> float:
        codes = inference.infer(
            x,
            dictionary,
            solver=opened.config.solver,
            l1_penalty=jax.device_put(np.float32(penalty)),
        ).codes
        return float(_mean_l0(codes))

    found, _ = target_l0_lib.search(
        l0_at,
        target_l0=target_l0,
        highest=float(jnp.max(certificate.correlate(x, dictionary))),
    )
    return found


@jax.jit
def _mean_l0(codes: jax.Array) -> jax.Array:
    return jnp.mean(jnp.sum(codes != 0, axis=1))
