"""Hidden states of running text in memory, and what each of them is of."""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import jax.numpy as jnp
import numpy as np

from tfvis_jax.data import windows as windows_lib
from tfvis_jax.data import words as words_lib
from tfvis_jax.errors import InputError
from tfvis_jax.learning import whitening as whitening_lib
from tfvis_jax.runs import encoding, setup, trained_dictionary


@dataclasses.dataclass(frozen=True, eq=False)
class TextRows:
    """Hidden states as codes are inferred for; without special tokens and padding.

    Attributes:
      x: [n, d_model] float32, whitened where the run whitens, and scaled.
      whitening: that of the run; None for none.
      layers: the layers, in the order of their indices.
      layer: [n] int64, index into ``layers``.
      window, position: [n] int64, where each token is.
      document: [n] int64, its document.
      word: [n] int64, number of the word that the token belongs to.
      words: the words with their case folded, by number.
    """

    x: np.ndarray
    whitening: whitening_lib.Whitening | None
    layers: tuple[int, ...]
    layer: np.ndarray
    window: np.ndarray
    position: np.ndarray
    document: np.ndarray
    word: np.ndarray
    words: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.x)

    def take(self, chosen: np.ndarray) -> "TextRows":
        """Returns some of the rows; all arguments of NumPy's indexing."""
        arrays = {
            name: getattr(self, name)[chosen]
            for name in ("x", "layer", "window", "position", "document", "word")
        }
        return dataclasses.replace(self, **arrays)

    @functools.cached_property
    def hidden(self) -> np.ndarray:
        """Hidden states less their layer's mean where the run whitens, and scaled.

        [n, d_model] float32: errors are measured here, not of what was whitened.
        """
        return np.asarray(whitening_lib.unwhiten(jnp.asarray(self.x), self.whitening))

    def variance(self) -> np.ndarray:
        """Returns ‖x − μ‖² of each hidden state, μ being its layer's mean, [n]."""
        found = np.zeros(len(self))
        for layer in np.unique(self.layer):
            rows = self.layer == layer
            mean = self.hidden[rows].mean(axis=0, dtype=np.float64)
            found[rows] = np.sum((self.hidden[rows] - mean) ** 2, axis=1)
        return found


def gather(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    windows: windows_lib.Windows,
    chosen: np.ndarray,
    *,
    count: int,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> TextRows:
    """Reads windows in random order until there are enough rows.

    A token gives a row at every layer, so that layers are compared on the same tokens.

    Args:
      opened: model and settings of the run.
      trained: whose layers and scales are used.
      windows: the tokens.
      chosen: [n] window numbers.
      count: rows, at most.
      seed: of the order.
      progress: called with (tokens read, tokens to read).

    Raises:
      InputError: there are no tokens.
    """
    order = np.random.default_rng(seed).permutation(chosen)
    n_tokens = count // len(trained.layers)
    needed = np.cumsum(windows.num_rows(order))
    order = order[: int(np.searchsorted(needed, n_tokens)) + 1]
    return read(opened, trained, windows, order, n_tokens=n_tokens, progress=progress)


def read(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    windows: windows_lib.Windows,
    order: np.ndarray,
    *,
    n_tokens: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> TextRows:
    """Reads windows in their order: all tokens of a layer, then those of the next.

    Args:
      opened: model and settings of the run.
      trained: whose layers and scales are used.
      windows: the tokens.
      order: [n] window numbers.
      n_tokens: tokens, at most; all if None.
      progress: called with (tokens read, tokens to read).

    Raises:
      InputError: there are no tokens.
    """
    total = int(windows.num_rows(order).sum()) if len(order) else 0
    total = total if n_tokens is None else min(total, n_tokens)
    if not total:
        raise InputError(
            f"Expected text to measure on, got no token in {len(order)} windows."
        )
    states, where, found = [], [], 0
    for batch, scaled in encoding.scaled_windows(opened, trained, windows, order):
        states.append(np.asarray(scaled)[:, batch.row_mask])
        rows, positions = np.nonzero(batch.row_mask)
        where.append(np.stack([batch.window_ids[rows], positions]))
        found += len(rows)
        progress(min(found, total), total)
    x = np.concatenate(states, axis=1)[:, :total]
    window, position = np.concatenate(where, axis=1)[:, :total].astype(np.int64)
    word, words = _words(windows, window, position)
    n_layers = len(trained.layers)
    return TextRows(
        x=x.reshape(-1, x.shape[-1]),
        whitening=trained.whitening,
        layers=trained.layers,
        layer=np.repeat(np.arange(n_layers), len(window)),
        window=np.tile(window, n_layers),
        position=np.tile(position, n_layers),
        document=np.tile(windows.documents[window], n_layers),
        word=np.tile(word, n_layers),
        words=words,
    )


def spread_layers(layers: Sequence[int], n: int) -> tuple[int, ...]:
    """Returns n layers, evenly spaced from the first to the last; all if fewer."""
    places = np.linspace(0, len(layers) - 1, min(n, len(layers)))
    return tuple(layers[place] for place in np.rint(places).astype(int).tolist())


def _words(
    windows: windows_lib.Windows, window: np.ndarray, position: np.ndarray
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Returns the number of each token's word, and the words."""
    numbers: dict[str, int] = {}
    found = np.zeros(len(window), np.int64)
    for each in np.unique(window).tolist():
        words = windows.words(each)
        of_text = np.array(
            [
                numbers.setdefault(words_lib.fold(text), len(numbers))
                for text in words.texts
            ],
            np.int64,
        )
        rows = window == each
        found[rows] = of_text[words.of_position[position[rows]]]
    return found, tuple(numbers)
