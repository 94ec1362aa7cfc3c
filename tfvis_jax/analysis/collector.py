"""What is gathered over all layers, from a stream of codes, and made into examples."""

import pathlib
from collections.abc import Sequence

import numpy as np

from tfvis_jax.analysis import (
    examples,
    firing_statistics,
    layer_statistics,
    parallel_encoding,
    token_tables,
)
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.runs import dictionary_file

# Strongest tokens that are kept with their contexts.
_N_CONTEXTS = 50
_CONTEXT_LENGTH = 64
_N_TOKENS = 20
_N_PARTNERS = 10


class Collector:
    """Gathers the examples of a dictionary in bounded memory."""

    def __init__(
        self,
        trained: dictionary_file.TrainedDictionary,
        windows: windows_lib.Windows,
        *,
        tokens: token_tables.TokenTables,
        n: int,
        n_random: int,
        seed: int,
    ):
        """Starts with nothing.

        Args:
          trained: the dictionary.
          windows: tokens of the corpus.
          tokens: where token ids go.
          n: strongest tokens per layer and factor.
          n_random: tokens drawn at random.
          seed: of the random ones.
        """
        n_factors = len(trained.factors)
        self._trained, self._windows, self._tokens = trained, windows, tokens
        self._sizes = layer_statistics.Sizes(
            n_factors=n_factors,
            n=n,
            n_contexts=min(n, _N_CONTEXTS),
            n_random=n_random,
            context_length=min(windows.window_length, _CONTEXT_LENGTH),
            pairs=firing_statistics.counts_pairs(
                n_layers=len(trained.layers), n_factors=n_factors
            ),
            seed=seed,
        )
        self._layers = [
            layer_statistics.LayerStatistics(self._sizes, layer=layer)
            for layer in trained.layers
        ]

    def add(self, index: int, encoded: parallel_encoding.EncodedLayer) -> None:
        """Adds one layer of a batch; ``index`` is its place among the layers."""
        batch, windows = encoded.batch, self._windows
        row, factor, activation = self._layers[index].add_windows(
            encoded.codes,
            encoded.norms,
            row_mask=batch.row_mask,
            first_places=batch.window_ids.astype(np.int64) * windows.window_length,
        )
        group = index * self._sizes.n_factors + factor
        self._tokens.add(
            group * windows.vocab_size + batch.token_ids.reshape(-1)[row],
            firing_statistics.fixed_point(activation),
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns the whole state but the token ids, to be given to `add_arrays`."""
        return {
            f"{index}.{name}": array
            for index, layer in enumerate(self._layers)
            for name, array in layer.arrays().items()
        }

    def add_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Adds the state of a collector of the same sizes over other windows."""
        for index, layer in enumerate(self._layers):
            own = f"{index}."
            layer.add_arrays(
                {
                    name.removeprefix(own): array
                    for name, array in arrays.items()
                    if name.startswith(own)
                }
            )

    def finish(self, token_paths: Sequence[pathlib.Path]) -> examples.Examples:
        """Returns the examples; nothing can be added after.

        Args:
          token_paths: all files of token ids.
        """
        n_tokens = int(self._layers[0].counts.n_tokens)
        # One layer after the other is let go: lists and arrays are never all there.
        self._layers.reverse()
        found = [
            self._layer(self._layers.pop(), token_paths, row=row)
            for row in range(len(self._layers))
        ]
        return examples.Examples(
            layers=self._trained.layers,
            n_tokens=n_tokens,
            window_length=self._windows.window_length,
            seed=self._sizes.seed,
            dictionary_hash=self._trained.content_hash,
            **{
                name: np.stack([each.pop(name) for each in found])
                for name in examples.ARRAYS
            },
        )

    def _layer(self, layer, token_paths, *, row):
        top, chance = layer.finish("top"), layer.finish("random")
        counts = layer.counts
        firing = counts.histogram.sum(axis=1)
        partner, score = firing_statistics.partners(
            counts.pairs, firing=firing, k=_N_PARTNERS
        )
        common, strong = token_tables.top_tokens(
            token_paths,
            row=row,
            n_factors=self._sizes.n_factors,
            vocab_size=self._windows.vocab_size,
            k=_N_TOKENS,
        )
        return {
            **self._references(top),
            "context_activation": layer.finish("context").context,
            **{f"random_{k}": v for k, v in self._references(chance).items()},
            "random_context_activation": chance.context,
            "firing": firing,
            "histogram": counts.histogram,
            **vars(common),
            **{f"strong_{name}": array for name, array in vars(strong).items()},
            "partner": partner,
            "partner_score": score,
            "mean_norm": np.float64(counts.mean_norm),
        }

    def _references(self, entries):
        used = entries.place >= 0
        window, position = np.divmod(entries.place, self._windows.window_length)
        return {
            "activation": entries.activation,
            "window": window.astype(np.int32),
            "position": np.where(used, position, -1).astype(np.int32),
        }
