"""How much of a model's quality is kept when one layer is reconstructed.

Layer l's hidden states h (or its outputs at the site of the encoder) at all tokens but
special ones and padding are replaced by reconstructions ĥ, the model runs on from
there, and a loss is taken at the end:

    recovered = (loss(μ) − loss(ĥ)) / (loss(μ) − loss(h))

1 is the original, 0 is mean ablation: every token gets μ, the layer's mean hidden
state over training windows. It is negative for anything worse. The loss is

- for a model with a masked-LM head, the cross-entropy in nats at the tokens, 15 % of
  all, that are hidden as in BERT's training (`masking.mask_tokens`); μ is taken under
  the same masking;
- for a model with a causal-LM head, the cross-entropy at all tokens but the first of a
  window, each predicted from those before it;
- for others, the squared distance of the last hidden states from the original's, over
  the same tokens that are replaced; loss(h) is 0 then.

Over all layers, losses are summed before the quotient is taken.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax import sharding
from tfvis_jax.data import loader
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.errors import InputError
from tfvis_jax.evaluation import replacement
from tfvis_jax.models import heads

MASKED_LM = "masked-LM cross-entropy"
CAUSAL_LM = "causal-LM cross-entropy"
LAST_HIDDEN_STATE = "squared error of the last hidden state"

# (index into `layers`, scaled rows [rows, d_model]; zero where nothing is replaced) to
# x̂ [rows, d_model], or any pytree of several such, measured side by side.
Reconstruct = Callable[[int, jax.Array], Any]


@dataclasses.dataclass(frozen=True)
class Recovered:
    """Losses under one kind of reconstruction: means over tokens, one for each layer.

    Attributes:
      loss: `MASKED_LM`, `CAUSAL_LM` or `LAST_HIDDEN_STATE`.
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


def measure(
    subject: replacement.Subject,
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
    means = mean_states(subject, windows, mean_windows)
    # [layer][variant], the variants being the original, mean ablation and each x̂.
    losses, n_tokens, done = np.zeros(()), 0, 0
    structure: Any = None
    for batch in _batches(subject, windows, chosen):
        text = replacement.read(subject, batch, replacement.hide(subject, batch))
        found = []
        for index in range(len(subject.layers)):
            x = replacement.scaled_rows(subject, text, index)
            x_hats, structure = jax.tree.flatten(reconstruct(index, x))
            altered = (_all_alike(subject.share(means[index]), x), *x_hats)
            finals = [
                text.final,
                *(
                    replacement.run_on(subject, text, index, x, x_hat)
                    for x_hat in altered
                ),
            ]
            found.append([_total_loss(subject, text, final) for final in finals])
        losses = losses + np.asarray(found)
        n_tokens += int(text.counted.sum())
        done += int(np.sum(batch.window_ids >= 0))
        progress(done, len(chosen))
    original, ablated, *reconstructed = (losses / n_tokens).T.tolist()
    return jax.tree.unflatten(
        structure,
        [
            Recovered(
                loss=_kind(subject),
                n_tokens=n_tokens,
                original=tuple(original),
                reconstructed=tuple(of_one),
                mean_ablated=tuple(ablated),
            )
            for of_one in reconstructed
        ],
    )


def mean_states(
    subject: replacement.Subject, windows: windows_lib.Windows, chosen: np.ndarray
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
        states = replacement.read(
            subject, batch, replacement.hide(subject, batch)
        ).states
        mask = subject.place(batch.row_mask)
        sums = [np.float64(_sum_rows(layer, mask)) for layer in states]
        total = total + np.stack(sums)
        n_rows += int(batch.row_mask.sum())
    mean = total / n_rows / np.asarray(subject.layer_scale)[:, None]
    return np.asarray(mean, np.float32)


def spread(windows: np.ndarray, *, n: int) -> np.ndarray:
    """Returns n of the window numbers, evenly spaced, or all where there are fewer."""
    places = np.linspace(0, len(windows) - 1, min(n, len(windows)))
    return windows[np.rint(places).astype(np.int64)]


def _kind(subject: replacement.Subject) -> str:
    """Returns which loss is taken."""
    model = subject.pretrained.language_model
    if model is None:
        return LAST_HIDDEN_STATE
    return CAUSAL_LM if model.objective == heads.CAUSAL_LM else MASKED_LM


def _batches(
    subject: replacement.Subject, windows: windows_lib.Windows, chosen: np.ndarray
) -> Iterator[loader.Batch]:
    return loader.batches(
        windows,
        chosen,
        batch_size=subject.windows_per_batch
        * (1 if subject.mesh is None else subject.mesh.size),
        shuffle=False,
    )


def _total_loss(
    subject: replacement.Subject, text: replacement.ReadText, final: jax.Array
) -> float:
    if text.tokens is None:
        losses = _squared_errors(final, text.final)
    else:
        losses = _cross_entropies(subject.mesh)(
            subject.pretrained.language_model,
            final,
            subject.place(text.tokens.positions),
            subject.place(text.tokens.labels),
        )
    return float(np.sum(np.asarray(losses, np.float64)[text.counted]))


@jax.jit
def _sum_rows(states: jax.Array, row_mask: jax.Array) -> jax.Array:
    return jnp.sum(jnp.where(row_mask[:, :, None], states, 0), axis=(0, 1))


@jax.jit
def _all_alike(row: jax.Array, like: jax.Array) -> jax.Array:
    return jnp.broadcast_to(row, like.shape, out_sharding=jax.typeof(like).sharding)


@jax.jit
def _squared_errors(final: jax.Array, original: jax.Array) -> jax.Array:
    return jnp.sum((final - original) ** 2, axis=-1)


# Cached, because jit compiles each new function object.
@functools.lru_cache(maxsize=4)
def _cross_entropies(mesh: jax.sharding.Mesh | None) -> Callable[..., jax.Array]:
    """Returns the program that takes the losses, on each device of its own windows."""
    if mesh is None:
        return jax.jit(_of_labels)
    return sharding.on_own_rows(mesh, _of_labels, n_shared=1)


def _of_labels(
    model: heads.LanguageModel,
    final: jax.Array,
    positions: jax.Array,
    labels: jax.Array,
) -> jax.Array:
    """−log p of each label, [batch, n]; logits of all positions would be gigabytes."""

    def of_windows(
        final: jax.Array, positions: jax.Array, labels: jax.Array
    ) -> jax.Array:
        chosen = jnp.take_along_axis(final, positions[:, :, None], axis=1)
        log_shares = jax.nn.log_softmax(model.logits(chosen), axis=-1)
        return -jnp.take_along_axis(log_shares, labels[:, :, None], axis=-1)[:, :, 0]

    if model.objective == heads.MASKED_LM:
        return of_windows(final, positions, labels)
    # All positions are asked for: one window at a time.
    each = (final[:, None], positions[:, None], labels[:, None])
    return jax.lax.map(lambda one: of_windows(*one), each)[:, 0]
