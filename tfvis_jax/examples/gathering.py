"""One pass over the corpus that gathers what `stored.Examples` holds."""

import pathlib
import time
from collections.abc import Callable, Sequence

import jax
import numpy as np

from tfvis_jax import sharding
from tfvis_jax.data import loader
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.examples import (
    firing_statistics,
    layer_statistics,
    parallel_encoding,
    stored,
    token_tables,
)
from tfvis_jax.examples import unfinished as unfinished_lib
from tfvis_jax.runs import dictionary_file, setup, stored_hidden_states

N_RANDOM = 100
# A killed pass loses a minute; saving takes a second or two.
SAVE_EVERY_S = 60.0
# Of the time between saves, the part that saving may take.
_SAVING_SHARE = 0.03
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
    n: int,
    progress: Callable[[int, int], None],
    n_random: int = N_RANDOM,
    seed: int = 0,
    devices: Sequence[jax.Device] | None = None,
    save_every_s: float | None = None,
) -> stored.Examples | None:
    """Encodes every window of the corpus and gathers what fires each factor.

    Goes on where an earlier call was interrupted, in `RunDirectory.examples_progress`,
    which the caller removes once the result is saved. Several processes share the
    batches; the first one puts together what they found.

    Args:
      opened: model and settings of the run.
      trained: its dictionary.
      windows: its tokens, training and held-out alike.
      n: strongest tokens per layer and factor.
      progress: called with (windows done, windows in all), by any process.
      n_random: tokens drawn at random per layer and factor.
      seed: of the random ones.
      devices: those that encode; all of this process if None.
      save_every_s: seconds between saves, `SAVE_EVERY_S` if None.

    Returns:
      The examples; None in all processes but the first.

    Raises:
      InputError: hidden states that are not finite, or an interrupted pass with other
        settings.
    """
    save_every_s = SAVE_EVERY_S if save_every_s is None else save_every_s
    size = opened.config.windows_per_batch
    n_batches = loader.num_batches(len(windows), batch_size=size)
    unfinished = unfinished_lib.Progress(opened.run.examples_progress)
    settings = settings_of(n=n, n_random=n_random, seed=seed)
    if sharding.is_first_process():
        about = {
            "dictionary": trained.content_hash,
            "tokens": stored_hidden_states.windows_hash(windows),
            "batch_size": size,
            "n_batches": n_batches,
        }
        unfinished.begin(about, settings)
    sharding.wait_for_all("examples begun")
    todo = np.setdiff1d(np.arange(n_batches), unfinished.done())
    process = jax.process_index()
    saved = unfinished.load(process)
    # Nobody saves before everybody has seen what is there.
    sharding.wait_for_all("examples to do")
    tokens = token_tables.TokenTables(
        unfinished.folder,
        prefix=str(process),
        names=() if saved is None else saved.names,
    )
    gathered = Collector(
        trained, windows, tokens=tokens, n=n, n_random=n_random, seed=seed
    )
    batches = np.zeros(0, np.int64)
    if saved is not None:
        gathered.add_arrays(saved.arrays)
        batches = saved.batches
        del saved

    def save():
        tokens.flush()
        state = unfinished_lib.Saved(batches, tokens.names, gathered.arrays())
        unfinished.save(process, state)
        tokens.remove_others()

    ours = todo[process :: jax.process_count()]
    n_before = n_batches - len(todo)
    n_done, next_save = 0, time.monotonic() + save_every_s
    for index, found in parallel_encoding.encode(
        opened,
        trained,
        windows,
        _windows_of(ours, batch_size=size, n_windows=len(windows)),
        devices=jax.local_devices() if devices is None else devices,
    ):
        for encoded in found:
            gathered.add(index, encoded)
        if index < len(trained.layers) - 1:
            continue
        batches = np.append(batches, ours[n_done : n_done + len(found)])
        n_done += len(found)
        # The others are about as far.
        n_all = n_before + n_done * jax.process_count()
        progress(min(n_all * size, len(windows)), len(windows))
        if (start := time.monotonic()) >= next_save and n_done < len(ours):
            save()
            now = time.monotonic()
            next_save = now + max(save_every_s, (now - start) / _SAVING_SHARE)
    if jax.process_count() > 1:
        save()
    tokens.flush()
    sharding.wait_for_all("examples gathered")
    if not sharding.is_first_process():
        return None
    return _together(gathered, unfinished, tokens, own=process)


def settings_of(*, n: int, n_random: int, seed: int) -> dict[str, int]:
    """Returns what a pass is asked for; arguments are those of `collect`."""
    return {"n": n, "n_random": n_random, "seed": seed}


def _together(gathered, unfinished, tokens, *, own):
    """Adds what other processes, of this or of an earlier call, have gathered."""
    names = list(tokens.names)
    for process in unfinished.processes():
        if process != own:
            other = unfinished.load(process)
            gathered.add_arrays(other.arrays)
            names += other.names
    return gathered.finish([unfinished.folder / name for name in names])


def _windows_of(batches, *, batch_size, n_windows):
    """Returns the windows of the batches; only the last of all can be short."""
    numbers = batches[:, None] * batch_size + np.arange(batch_size)
    return numbers[numbers < n_windows]


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

    def finish(self, token_paths: Sequence[pathlib.Path]) -> stored.Examples:
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
        return stored.Examples(
            layers=self._trained.layers,
            n_tokens=n_tokens,
            window_length=self._windows.window_length,
            seed=self._sizes.seed,
            dictionary_hash=self._trained.content_hash,
            **{
                name: np.stack([each.pop(name) for each in found])
                for name in stored.ARRAYS
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
