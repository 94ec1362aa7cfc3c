"""How much of a model's quality is kept when one layer is reconstructed.

Layer l's hidden states h at all tokens but special ones and padding are replaced by
reconstructions ĥ, the upper layers run on, and a loss is taken at the end:

    recovered = (loss(μ) − loss(ĥ)) / (loss(μ) − loss(h))

1 is the original, 0 is mean ablation: every token gets μ, the layer's mean hidden
state over training windows. It is negative for anything worse. The loss is

- for a model with a masked-LM head, the cross-entropy in nats at the tokens, 15 % of
  all, that are hidden as in BERT's training (`masking.mask_tokens`); μ is taken under
  the same masking;
- for others, the squared distance of the last hidden states from the original's, over
  the same tokens that are replaced; loss(h) is 0 then.

Over all layers, losses are summed before the quotient is taken.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax import models
from tfvis_jax.data import loader
from tfvis_jax.data import tokenizer as tokenizer_lib
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.errors import InputError
from tfvis_jax.evaluation import masking

MASKED_LM = "masked-LM cross-entropy"
LAST_HIDDEN_STATE = "squared error of the last hidden state"

# (index into `layers`, scaled rows [rows, d_model]; zero where nothing is replaced) to
# x̂ [rows, d_model], or any pytree of several such, measured side by side.
Reconstruct = Callable[[int, jax.Array], Any]


@dataclasses.dataclass(frozen=True)
class Recovered:
    """Losses under one kind of reconstruction: means over tokens, one for each layer.

    Attributes:
      loss: `MASKED_LM` or `LAST_HIDDEN_STATE`.
      n_tokens: tokens over which a loss is a mean.
      original: loss(h), the same for every layer.
      reconstructed: loss(ĥ).
      mean_ablated: loss(μ).
    """

    loss: str
    n_tokens: int
    original: tuple[float, ...]
    reconstructed: tuple[float, ...]
    mean_ablated: tuple[float, ...]

    @property
    def per_layer(self) -> list[float]:
        """The share that is recovered at each layer; NaN where no token was seen."""
        return [
            _share(*losses)
            for losses in zip(
                self.original, self.reconstructed, self.mean_ablated, strict=True
            )
        ]

    @property
    def all(self) -> float:
        """The share recovered over all layers, losses summed first."""
        return _share(
            sum(self.original), sum(self.reconstructed), sum(self.mean_ablated)
        )


def _share(original: float, reconstructed: float, mean_ablated: float) -> float:
    range_ = mean_ablated - original
    return (mean_ablated - reconstructed) / range_ if range_ else float("nan")


@dataclasses.dataclass(frozen=True)
class Subject:
    """The model to measure, and the scale in which its hidden states are replaced.

    Attributes:
      pretrained: with its masked-LM head, where there is one.
      tokenizer: the model's own.
      layers: hidden states to replace, one at a time; 0 is the embedding output.
      layer_scale: [n_layers]; a reconstruction sees hidden states divided by it.
      windows_per_batch: windows that are run at once.
      seed: of the masking.
    """

    pretrained: models.PretrainedBert
    tokenizer: tokenizer_lib.Tokenizer
    layers: tuple[int, ...]
    layer_scale: np.ndarray
    windows_per_batch: int = 64
    seed: int = 0


def measure(
    subject: Subject,
    windows: windows_lib.Windows,
    chosen: np.ndarray,
    reconstruct: Reconstruct,
    *,
    mean_windows: np.ndarray,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Any:
    """Measures reconstructions in the model.

    Args:
      subject: the model and the layers.
      windows: the tokens.
      chosen: [n] numbers of the windows to measure on, held out.
      reconstruct: see `Reconstruct`; called once for each layer and batch.
      mean_windows: [m] numbers of the windows over which μ is taken, held in.
      progress: called with (windows done, windows in all).

    Returns:
      `Recovered`, or the pytree of `reconstruct` with one in the place of each x̂.

    Raises:
      InputError: no windows to measure on or to take the mean over.
    """
    if not len(chosen) or not len(mean_windows):
        raise InputError(
            f"Expected windows to measure on and to take the mean over, got "
            f"{len(chosen)} and {len(mean_windows)}. A longer text has more."
        )
    means = jnp.asarray(mean_states(subject, windows, mean_windows))
    # [layer][variant], the variants being the original, mean ablation and each x̂.
    losses, n_tokens, done = np.zeros(()), 0, 0
    structure: Any = None
    for batch in _batches(subject, windows, chosen):
        text = _read(subject, batch)
        found = []
        for index in range(len(subject.layers)):
            x = _rows(text.states[index], batch.row_mask, subject.layer_scale[index])
            x_hats, structure = jax.tree.flatten(reconstruct(index, x))
            altered = (jnp.broadcast_to(means[index], x.shape), *x_hats)
            finals = [
                text.final,
                *(_run_on(subject, text, index, x, x_hat) for x_hat in altered),
            ]
            found.append([_total_loss(subject, text, final) for final in finals])
        losses = losses + np.asarray(found)
        n_tokens += int(text.counted.sum())
        done += int(np.sum(batch.window_ids >= 0))
        progress(done, len(chosen))
    original, ablated, *reconstructed = (losses / n_tokens).T.tolist()
    head = subject.pretrained.masked_lm is not None
    return jax.tree.unflatten(
        structure,
        [
            Recovered(
                loss=MASKED_LM if head else LAST_HIDDEN_STATE,
                n_tokens=n_tokens,
                original=tuple(original),
                reconstructed=tuple(of_one),
                mean_ablated=tuple(ablated),
            )
            for of_one in reconstructed
        ],
    )


def mean_states(
    subject: Subject, windows: windows_lib.Windows, chosen: np.ndarray
) -> np.ndarray:
    """Returns μ, the mean scaled hidden state of each layer.

    Args:
      subject: the model and the layers; tokens are hidden as in `measure`.
      windows: the tokens.
      chosen: [n] window numbers.

    Returns:
      [n_layers, d_model] float32, of float64 sums over the batches.
    """
    total, n_rows = np.zeros(()), 0
    for batch in _batches(subject, windows, chosen):
        states = _read(subject, batch).states
        sums = [np.float64(_sum_rows(layer, batch.row_mask)) for layer in states]
        total = total + np.stack(sums)
        n_rows += int(batch.row_mask.sum())
    mean = total / n_rows / np.asarray(subject.layer_scale)[:, None]
    return np.asarray(mean, np.float32)


def spread(windows: np.ndarray, *, n: int) -> np.ndarray:
    """Returns n of the window numbers, evenly spaced, or all where there are fewer."""
    places = np.linspace(0, len(windows) - 1, min(n, len(windows)))
    return windows[np.rint(places).astype(np.int64)]


class _Text(NamedTuple):
    """A batch as the model has read it.

    Attributes:
      batch: its masks.
      states: [batch, length, d_model] of each of the subject's layers, not scaled.
      final: the same of the last layer.
      tokens: what is hidden, for a model with a head.
      counted: [batch, n] bool, over which losses are summed.
    """

    batch: loader.Batch
    states: list[jax.Array]
    final: jax.Array
    tokens: masking.MaskedTokens | None
    counted: np.ndarray


def _batches(
    subject: Subject, windows: windows_lib.Windows, chosen: np.ndarray
) -> Iterator[loader.Batch]:
    return loader.batches(
        windows, chosen, batch_size=subject.windows_per_batch, shuffle=False
    )


def _read(subject: Subject, batch: loader.Batch) -> _Text:
    tokens, token_ids, counted = None, batch.token_ids, batch.row_mask
    if subject.pretrained.masked_lm is not None:
        tokens = masking.mask_tokens(
            batch, tokenizer=subject.tokenizer, seed=subject.seed
        )
        token_ids, counted = tokens.token_ids, tokens.counted
    encoder = subject.pretrained.encoder
    # Made by the very calls that `_run_on` makes: what is not altered ends the same.
    states = [_embed(encoder.embeddings, token_ids)]
    for layer in encoder.layers:
        states.append(_run_layer(layer, states[-1], batch.token_mask))
    chosen = [states[layer] for layer in subject.layers]
    return _Text(batch, chosen, states[-1], tokens, counted)


def _run_on(
    subject: Subject, text: _Text, index: int, x: jax.Array, x_hat: jax.Array
) -> jax.Array:
    """The last hidden states where a layer's rows x are x̂ instead."""
    hidden = _replace(
        text.states[index], x, x_hat, text.batch.row_mask, subject.layer_scale[index]
    )
    # One at a time: all layers are alike, so that one compilation serves them all.
    for layer in subject.pretrained.encoder.layers[subject.layers[index] :]:
        hidden = _run_layer(layer, hidden, text.batch.token_mask)
    return hidden


def _total_loss(subject: Subject, text: _Text, final: jax.Array) -> float:
    if text.tokens is None:
        losses = _squared_errors(final, text.final)
    else:
        losses = _cross_entropies(
            subject.pretrained.masked_lm,
            final,
            text.tokens.positions,
            text.tokens.labels,
        )
    return float(np.sum(np.asarray(losses, np.float64)[text.counted]))


@jax.jit
def _embed(embeddings: Any, token_ids: jax.Array) -> jax.Array:
    return embeddings(token_ids)


@jax.jit
def _sum_rows(states: jax.Array, row_mask: jax.Array) -> jax.Array:
    return jnp.sum(jnp.where(row_mask[:, :, None], states, 0), axis=(0, 1))


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
def _run_layer(layer: Any, hidden: jax.Array, token_mask: jax.Array) -> jax.Array:
    return layer(hidden, token_mask)


@jax.jit
def _squared_errors(final: jax.Array, original: jax.Array) -> jax.Array:
    return jnp.sum((final - original) ** 2, axis=-1)


@jax.jit
def _cross_entropies(
    masked_lm: Any, final: jax.Array, positions: jax.Array, labels: jax.Array
) -> jax.Array:
    """−log p of each label, [batch, n]; logits of all positions would be gigabytes."""
    chosen = jnp.take_along_axis(final, positions[:, :, None], axis=1)
    log_shares = jax.nn.log_softmax(masked_lm.logits(chosen), axis=-1)
    return -jnp.take_along_axis(log_shares, labels[:, :, None], axis=-1)[:, :, 0]
