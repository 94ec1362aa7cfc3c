"""One pass over the corpus that gathers what `examples.Examples` holds."""

import pathlib
from collections.abc import Callable, Sequence

import jax
import numpy as np

from tfvis_jax.analysis import (
    examples,
    firing_statistics,
    layer_statistics,
    parallel_encoding,
    token_tables,
)
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.training import dictionary_file, setup

N_RANDOM = 100
# Strongest tokens that are kept with their contexts.
_N_CONTEXTS = 50
_CONTEXT_LENGTH = 64
_N_TOKENS = 20
_N_PARTNERS = 10


def collect(
    opened: setup.Setup,
    trained: dictionary_file.TrainedDictionary,
    windows: windows_lib.Windows,
    *,
    folder: pathlib.Path,
    n: int,
    progress: Callable[[int, int], None],
    n_random: int = N_RANDOM,
    seed: int = 0,
    devices: Sequence[jax.Device] | None = None,
) -> examples.Examples:
    """Encodes every window of the corpus and gathers what fires each factor.

    Args:
      opened: model and settings of the run.
      trained: its dictionary.
      windows: its tokens, training and held-out alike.
      folder: for what is gathered on the way.
      n: strongest tokens per layer and factor.
      progress: called with (windows done, windows in all).
      n_random: tokens drawn at random per layer and factor.
      seed: of the random ones.
      devices: those that encode; all of this process if None.
    """
    sizes = sizes_for(trained, windows, n=n, n_random=n_random, seed=seed)
    layers = [
        layer_statistics.LayerStatistics(sizes, layer=layer) for layer in trained.layers
    ]
    folder.mkdir(parents=True, exist_ok=True)
    tokens = token_tables.TokenTables(folder, prefix="0")
    done = 0
    for index, found in parallel_encoding.encode(
        opened,
        trained,
        windows,
        np.arange(len(windows)),
        devices=jax.local_devices() if devices is None else devices,
    ):
        for encoded in found:
            _add(layers[index], tokens, encoded, index=index, windows=windows)
            if index == len(layers) - 1:
                done += int(np.sum(encoded.batch.window_ids >= 0))
                progress(done, len(windows))
    tokens.flush()
    paths = [folder / name for name in tokens.names]
    return _finish(trained, windows, layers, paths, sizes=sizes)


def sizes_for(
    trained: dictionary_file.TrainedDictionary,
    windows: windows_lib.Windows,
    *,
    n: int,
    n_random: int,
    seed: int,
) -> layer_statistics.Sizes:
    """Returns how much is kept for each layer and factor."""
    n_factors = len(trained.factors)
    return layer_statistics.Sizes(
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


def _add(layer, tokens, encoded, *, index, windows):
    batch = encoded.batch
    row, factor, activation = layer.add_windows(
        encoded.codes,
        encoded.norms,
        row_mask=batch.row_mask,
        first_places=batch.window_ids.astype(np.int64) * windows.window_length,
    )
    group = index * encoded.codes.shape[1] + factor
    tokens.add(
        group * windows.vocab_size + batch.token_ids.reshape(-1)[row],
        firing_statistics.fixed_point(activation),
    )


def _finish(trained, windows, layers, paths, *, sizes):
    """Puts the layers together; one after the other, to hold little twice."""
    found = [
        _of_layer(layer, paths, row=row, sizes=sizes, windows=windows)
        for row, layer in enumerate(layers)
    ]
    return examples.Examples(
        layers=trained.layers,
        n_tokens=int(layers[0].counts.n_tokens),
        window_length=windows.window_length,
        seed=sizes.seed,
        dictionary_hash=trained.content_hash,
        **{name: np.stack([each[name] for each in found]) for name in found[0]},
    )


def _of_layer(layer, paths, *, row, sizes, windows):
    result = {}
    for name, prefix in (("top", ""), ("random", "random_")):
        entries = layer.finish(name)
        window, position = np.divmod(entries.place, windows.window_length)
        result[f"{prefix}activation"] = entries.activation
        result[f"{prefix}window"] = window.astype(np.int32)
        result[f"{prefix}position"] = np.where(entries.place < 0, -1, position).astype(
            np.int32
        )
        if name == "random":
            result["random_context_activation"] = entries.context
    result["context_activation"] = layer.finish("context").context
    counts = layer.counts
    result["histogram"] = counts.histogram
    result["firing"] = counts.histogram.sum(axis=1)
    result["mean_norm"] = np.float64(counts.mean_norm)
    result["partner"], result["partner_score"] = firing_statistics.partners(
        counts.pairs, n_factors=sizes.n_factors, k=_N_PARTNERS
    )
    common, strong = token_tables.top_tokens(
        paths,
        row=row,
        n_factors=sizes.n_factors,
        vocab_size=windows.vocab_size,
        k=_N_TOKENS,
    )
    for prefix, top in (("", common), ("strong_", strong)):
        result |= {f"{prefix}{name}": array for name, array in vars(top).items()}
    return result
