"""Activations of masked windows as the code published by Yun et al. (2021) has them.

In PyTorch: a forward pass through all layers for batches of 8 windows, then 1,000 FISTA
steps on all factors for the 8 hidden states, with an eigenvalue solve for each batch.
Two things are done better than there, in its favour: no derivatives are recorded, and
windows are token ids already.
"""

import pathlib
from collections.abc import Callable

import numpy as np

from benchmarks.solvers import competitors
from tfvis_jax.reporting import environment

BATCH = 8
_NUM_STEPS = 1000


def open_model(folder: pathlib.Path) -> Callable[[np.ndarray], list[np.ndarray]]:
    """Returns a function from token ids to the hidden states of all layers."""
    import torch
    import transformers

    torch.set_num_threads(environment.num_cores())
    transformers.utils.logging.disable_progress_bar()
    model = transformers.BertModel.from_pretrained(folder).eval()

    def hidden_states(token_ids):
        with torch.no_grad():
            found = model(
                torch.from_numpy(token_ids.astype(np.int64)), output_hidden_states=True
            )
        return [states.numpy() for states in found.hidden_states]

    return hidden_states


def activations(
    hidden_states: Callable[[np.ndarray], list[np.ndarray]],
    token_ids: np.ndarray,
    dictionary: np.ndarray,
    *,
    layer: int,
    position: int,
    factor: int,
    layer_scale: float,
    l1_penalty: float,
) -> np.ndarray:
    """Runs the procedure on masked windows.

    Args:
      hidden_states: from `open_model`.
      token_ids: [windows, length].
      dictionary: [n_factors, d_model].
      layer, position, factor: whose activation.
      layer_scale: hidden states are divided by it.
      l1_penalty: λ.

    Returns:
      α, [windows].
    """
    alphas = []
    for first in range(0, len(token_ids), BATCH):
        states = hidden_states(token_ids[first : first + BATCH])
        x = states[layer][:, position] / layer_scale
        solved = competitors.published(
            x, dictionary, l1_penalty=l1_penalty, num_steps=_NUM_STEPS
        )
        alphas.append(solved.codes[:, factor])
    return np.concatenate(alphas)
