"""The model run on from a layer whose rows were replaced by others.

Layer l's hidden states (or its outputs at the site of the encoder) at all tokens but
special ones and padding become others, and the layers above read these.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax import models, sharding, sites
from tfvis_jax.data import loader
from tfvis_jax.data import tokenizer as tokenizer_lib
from tfvis_jax.evaluation import masking
from tfvis_jax.models import heads


@dataclasses.dataclass(frozen=True)
class Subject:
    """The model to measure, and the scale in which its hidden states are replaced.

    Attributes:
      pretrained: with its language model head, where there is one.
      tokenizer: the model's own.
      layers: hidden states to replace, one at a time; 0 is the embedding output. At
        the site of the encoder, the outputs of these layers.
      layer_scale: [n_layers]; a reconstruction sees hidden states divided by it.
      windows_per_batch: windows that are run at once on a device.
      seed: of the masking.
      mesh: from `sharding.side_by_side`, over which windows are split, and whose
        devices have a copy of the model; None where the model is.
    """

    pretrained: models.Pretrained
    tokenizer: tokenizer_lib.Tokenizer
    layers: tuple[int, ...]
    layer_scale: np.ndarray
    windows_per_batch: int = 64
    seed: int = 0
    mesh: jax.sharding.Mesh | None = None

    def on(self, devices: sharding.Devices) -> "Subject":
        """Returns the same model with copies on devices, which share the windows."""
        mesh = sharding.side_by_side(devices)
        model = self.pretrained.language_model
        if model is None:
            encoder = sharding.place_copies(mesh, self.pretrained.encoder)
        else:
            # With it its encoder, of which one copy is enough.
            model = sharding.place_copies(mesh, model)
            encoder = model.encoder
        return dataclasses.replace(
            self,
            pretrained=dataclasses.replace(
                self.pretrained, encoder=encoder, language_model=model
            ),
            mesh=mesh,
        )

    def share(self, array: np.ndarray) -> Any:
        """Places an array that all windows need."""
        if self.mesh is None:
            return array
        return sharding.place_copies(self.mesh, array)

    def place(self, array: np.ndarray) -> Any:
        """Places an array [windows, ...] of a batch where it is computed with."""
        if self.mesh is None:
            return array
        return sharding.place_rows(self.mesh, array, size=len(array))


class ReadText(NamedTuple):
    """A batch as the model has read it.

    Attributes:
      batch: its masks.
      states: [batch, length, d_model] of each of the subject's layers, not scaled, at
        the site of the encoder.
      below: the hidden states that each of these layers reads; empty where `states` are
        the hidden states themselves.
      final: the same of the last layer.
      tokens: what is predicted, for a model with a head.
      counted: [batch, n] bool, over which losses are summed.
    """

    batch: loader.Batch
    states: list[jax.Array]
    below: list[jax.Array]
    final: jax.Array
    tokens: masking.MaskedTokens | None
    counted: np.ndarray


def hide(subject: Subject, batch: loader.Batch) -> masking.MaskedTokens | None:
    """Returns what the model has to predict; None for a model without a head."""
    model = subject.pretrained.language_model
    if model is None:
        return None
    if model.objective == heads.CAUSAL_LM:
        return masking.next_tokens(batch)
    return masking.mask_tokens(batch, tokenizer=subject.tokenizer, seed=subject.seed)


def read(
    subject: Subject, batch: loader.Batch, tokens: masking.MaskedTokens | None
) -> ReadText:
    """Runs the model on a batch, with some of its tokens hidden.

    Args:
      subject: the model and its layers.
      batch: windows of tokens.
      tokens: what is predicted, as from `hide`; None hides nothing.
    """
    token_ids, counted = batch.token_ids, batch.row_mask
    if tokens is not None:
        token_ids, counted = tokens.token_ids, tokens.counted
    encoder = subject.pretrained.encoder
    # Made by the very calls that `run_on` makes: what is not altered ends the same.
    states = [_embed(encoder.embeddings, subject.place(token_ids))]
    seen = _seen(encoder, subject.place(batch.token_mask))
    for number in range(1, encoder.config.n_layers + 1):
        states.append(_run_layer(encoder.layer(number), states[-1], seen))
    if encoder.site == sites.HIDDEN:
        chosen, below = [states[layer] for layer in subject.layers], []
    else:
        below = [states[layer - 1] for layer in subject.layers]
        chosen = [
            _output(encoder.layer(layer), hidden, seen, site=encoder.site)
            for layer, hidden in zip(subject.layers, below, strict=True)
        ]
    return ReadText(batch, chosen, below, states[-1], tokens, counted)


def scaled_rows(subject: Subject, text: ReadText, index: int) -> jax.Array:
    """Returns the rows of one layer as a dictionary sees them.

    Args:
      subject: the model and its layers.
      text: a batch, read.
      index: place of the layer in ``subject.layers``.

    Returns:
      [batch · length, d_model]; zero for padding and special tokens.
    """
    mask = subject.place(text.batch.row_mask)
    return _rows(text.states[index], mask, subject.share(subject.layer_scale[index]))


def run_on(
    subject: Subject, text: ReadText, index: int, x: jax.Array, x_hat: jax.Array
) -> jax.Array:
    """Returns the last hidden states where a layer's rows x are x̂ instead.

    Args:
      subject: the model and its layers.
      text: a batch, read.
      index: place of the layer in ``subject.layers``.
      x: [batch · length, d_model], from `scaled_rows`.
      x_hat: [batch · length, d_model]; where it equals x, every bit of hidden states
        stays, and outputs of attention or MLP up to rounding.

    Returns:
      [batch, length, d_model].
    """
    mask = subject.place(text.batch.row_mask)
    hidden = _replace(
        text.states[index], x, x_hat, mask, subject.share(subject.layer_scale[index])
    )
    encoder = subject.pretrained.encoder
    seen = _seen(encoder, subject.place(text.batch.token_mask))
    if text.below:
        layer = encoder.layer(subject.layers[index])
        hidden = _run_layer(layer, text.below[index], seen, {encoder.site: hidden})
    # One at a time: all layers are alike, so that one compilation serves them all.
    for number in range(subject.layers[index] + 1, encoder.config.n_layers + 1):
        hidden = _run_layer(encoder.layer(number), hidden, seen)
    return hidden


@jax.jit
def _embed(embeddings: Any, token_ids: jax.Array) -> jax.Array:
    return embeddings(token_ids)


@jax.jit
def _rows(states: jax.Array, row_mask: jax.Array, scale: jax.Array) -> jax.Array:
    """The scaled rows [batch · length, d_model] of one layer, zero where masked."""
    x = jnp.where(row_mask[:, :, None], states / scale, 0)
    return x.reshape(-1, x.shape[-1])


@jax.jit
def _replace(
    states: jax.Array,
    x: jax.Array,
    x_hat: jax.Array,
    row_mask: jax.Array,
    scale: jax.Array,
) -> jax.Array:
    # As a difference, so that x̂ = x leaves every bit of the states alone.
    change = ((x_hat - x) * scale).reshape(states.shape)
    return states + jnp.where(row_mask[:, :, None], change, 0)


@jax.jit
def _seen(encoder: Any, token_mask: jax.Array) -> Any:
    positions = jnp.arange(token_mask.shape[1], dtype=jnp.int32)[None]
    return encoder.seen(token_mask, positions)


@jax.jit
def _run_layer(
    layer: Any,
    hidden: jax.Array,
    seen: Any,
    replaced: dict[str, jax.Array] | None = None,
) -> jax.Array:
    return layer.outputs(hidden, seen, replaced).hidden


@functools.partial(jax.jit, static_argnames=("site",))
def _output(layer: Any, hidden: jax.Array, seen: Any, *, site: str) -> jax.Array:
    return getattr(layer.outputs(hidden, seen), site)
