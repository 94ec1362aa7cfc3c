"""Codes of whole windows, layer by layer: the stream behind every later question."""

import dataclasses
import functools
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax import kept_programs
from tfvis_jax.data import hidden_states as hidden_states_lib
from tfvis_jax.data import loader
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.errors import InputError
from tfvis_jax.runs import coder as coder_lib
from tfvis_jax.runs import setup, trained_dictionary
from tfvis_jax.sparse_coding import objective

# Window batches to draw a sample of rows from, at least: text of many documents.
_SAMPLED_BATCHES = 8
# Lengths of trimmed windows are multiples of it.
_TRIMMED_TO = 16


class LayerCodes(NamedTuple):
    """One layer of a batch of windows; rows are tokens in reading order.

    Attributes:
      x: [batch * length, d_model], whitened and scaled hidden states; zero where not
        valid.
      codes: [batch * length, n_factors]; zero where not valid.
      residual: [batch * length, d_model], x − αD.
      gap: [batch * length], the relative duality gap of each code; NaN where an
        encoder found it.
      num_steps: [batch * length] int32, solver steps.
      converged: [batch * length] bool, true where the gap is within the tolerance.
      valid: [batch * length] bool, false for padding and special tokens.
    """

    x: jax.Array
    codes: jax.Array
    residual: jax.Array
    gap: jax.Array
    num_steps: jax.Array
    converged: jax.Array
    valid: jax.Array


@functools.partial(kept_programs.Kept, name="encode_layer", result=LayerCodes._make)
@jax.jit
def encode_layer(
    hidden_states: jax.Array, row_mask: jax.Array, coder: coder_lib.Coder
) -> LayerCodes:
    """Infers the codes of one layer.

    Args:
      hidden_states: [batch, length, d_model], whitened and scaled.
      row_mask: [batch, length] bool.
      coder: from `TrainedDictionary.coder`.
    """
    x = jnp.where(row_mask[:, :, None], hidden_states, 0)
    x = x.reshape(-1, x.shape[-1])
    encoding = coder.infer(x)
    codes = encoding.codes
    if coder.encoder is not None:
        # A solver gives rows of zeros no codes; the bias of an encoder may.
        codes = jnp.where(row_mask.reshape(-1, 1), codes, 0)
    residual = x - objective.decode(codes, coder.dictionary, like=x)
    return LayerCodes(
        x=x,
        codes=codes,
        residual=residual,
        gap=encoding.gap,
        num_steps=encoding.num_steps,
        converged=encoding.converged,
        valid=row_mask.reshape(-1),
    )


def encode_windows(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    windows: windows_lib.Windows,
    chosen: np.ndarray,
) -> Iterator[tuple[loader.Batch, Iterator[LayerCodes]]]:
    """Encodes windows in order.

    Args:
      opened: model and settings of the run.
      trained: its dictionary.
      windows: its tokens.
      chosen: [n] window numbers.

    Yields:
      Each batch with an iterator over the layers of the dictionary.

    Raises:
      InputError: hidden states that are not finite; names layer and windows.
    """
    for batch, hidden_states in scaled_windows(opened, trained, windows, chosen):
        yield batch, encode_layers(opened, trained, batch, hidden_states)


def scaled_windows(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    windows: windows_lib.Windows,
    chosen: np.ndarray,
    *,
    trim: bool = False,
) -> Iterator[tuple[loader.Batch, jax.Array]]:
    """Yields batches of windows in order, with their scaled hidden states.

    Args:
      opened: model and settings of the run.
      trained: its dictionary.
      windows: its tokens.
      chosen: [n] window numbers.
      trim: If True, cut off what is padding in all windows of a batch, up to a multiple
        of 16 tokens.

    Yields:
      Each batch with [n_layers, batch, length, d_model].
    """
    scaling = jax.device_put(trained.scaling)
    for batch in loader.batches(
        windows, chosen, batch_size=opened.config.windows_per_batch, shuffle=False
    ):
        if trim:
            batch = _trimmed(batch)
        yield (
            batch,
            hidden_states_lib.scaled_hidden_states(
                opened.pretrained.encoder,
                batch.token_ids,
                batch.token_mask,
                *scaling,
                layers=trained.layers,
            ),
        )


def _trimmed(batch: loader.Batch) -> loader.Batch:
    used = int(batch.token_mask.sum(axis=1).max(initial=1))
    # A length for which a program is compiled already, more often than not.
    length = -(-used // _TRIMMED_TO) * _TRIMMED_TO
    return dataclasses.replace(
        batch,
        token_ids=batch.token_ids[:, :length],
        token_mask=batch.token_mask[:, :length],
        row_mask=batch.row_mask[:, :length],
    )


def sample_rows(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    windows: windows_lib.Windows,
    chosen: np.ndarray,
    *,
    count: int,
    seed: int = 0,
) -> np.ndarray:
    """Draws scaled hidden states of the chosen windows, all layers mixed.

    Args:
      opened: model and settings of the run.
      trained: its dictionary.
      windows: its tokens.
      chosen: [n] window numbers.
      count: rows, at most.
      seed: decides which, and their order.

    Returns:
      [rows, d_model] float32, shuffled; padding and special tokens left out.
    """
    rng = np.random.default_rng(seed)
    parts, found = [], 0
    batches = scaled_windows(opened, trained, windows, rng.permutation(chosen))
    for batch, states in batches if count else ():
        part = np.asarray(states)[:, batch.row_mask].reshape(-1, states.shape[-1])
        parts.append(part[rng.permutation(len(part))[:count]])
        found += len(parts[-1])
        if len(parts) >= _SAMPLED_BATCHES and found >= count:
            break
    if not parts:
        return np.zeros((0, trained.factors.shape[1]), np.float32)
    rows = np.concatenate(parts)
    return rows[rng.permutation(len(rows))[:count]]


def encode_layers(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    batch: loader.Batch,
    hidden_states: jax.Array,
) -> Iterator[LayerCodes]:
    """Encodes a batch of `scaled_windows` layer by layer.

    Raises:
      InputError: hidden states that are not finite; names layer and windows.
    """
    coder = trained.coder(opened.config.solver)
    for layer, states in zip(trained.layers, hidden_states, strict=True):
        rows = encode_layer(states, batch.row_mask, coder)
        finite = np.isfinite(_norms(rows.x)).reshape(batch.row_mask.shape).all(axis=1)
        if not finite.all():
            raise InputError(
                f"Hidden states of layer {layer} are not finite (NaN or infinity) in "
                f"windows {batch.window_ids[~finite].tolist()} of the run's tokens. "
                "Try another --dtype or model."
            )
        yield rows


@jax.jit
def _norms(x: jax.Array) -> jax.Array:
    """Returns ‖x‖ [rows]; it is finite unless a number of the row is not."""
    return jnp.linalg.norm(x, axis=-1)
