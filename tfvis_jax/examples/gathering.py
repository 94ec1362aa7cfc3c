"""Gather the examples of a run, `stored.Examples`, in one pass over the corpus."""

import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from tfvis_jax import sharding
from tfvis_jax.data import loader
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.examples import (
    firing_statistics,
    layer_statistics,
    ranked_lists,
    stored,
    token_tables,
    unfinished,
)
from tfvis_jax.runs import (
    parallel_encoding,
    setup,
    stored_hidden_states,
    trained_dictionary,
)

N_RANDOM = 100
# A killed pass loses at most a minute of work; a save takes a second or two.
SAVE_EVERY_S = 60.0
# Largest fraction of the time that saving may take.
_SAVING_SHARE = 0.03
# Number of top-activating examples that keep their context's activations.
_N_CONTEXTS = 50
# Tokens in a context.
_CONTEXT_LENGTH = 64
# Token ids and co-firing factors listed per layer and factor.
_N_TOKENS = 20
_N_PARTNERS = 10


def collect(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    windows: windows_lib.Windows,
    *,
    n: int,
    progress: Callable[[int, int], None],
    n_random: int = N_RANDOM,
    seed: int = 0,
    devices: parallel_encoding.Devices | None = None,
    save_every_s: float | None = None,
) -> stored.Examples | None:
    """Encodes every window of the corpus and gathers the examples of each factor.

    An interrupted pass resumes from `RunDirectory.examples_progress`. The caller
    removes that folder once it has saved the result. Several processes share the
    batches, and the first process merges what they found.

    Args:
      opened: model and settings of the run.
      trained: dictionary of the run.
      windows: token windows of the run, both training and held-out.
      n: number of top-activating examples per layer and factor.
      progress: called in every process with (windows done, windows in total).
      n_random: number of examples drawn at random per layer and factor.
      seed: random seed for these.
      devices: devices that encode; all local devices if None.
      save_every_s: seconds between saves; `SAVE_EVERY_S` if None.

    Returns:
      The examples in the first process, None in the others.

    Raises:
      InputError: if hidden states are not finite, or if a pass with other settings was
        interrupted.
    """
    # Looked up at the call, so that tests can shorten it.
    save_every_s = SAVE_EVERY_S if save_every_s is None else save_every_s
    size = opened.config.windows_per_batch
    n_batches = loader.num_batches(len(windows), batch_size=size)
    pass_folder = unfinished.PassFolder(opened.run.examples_progress)
    settings = settings_of(n=n, n_random=n_random, seed=seed)
    if sharding.is_first_process():
        # The inputs, and how the windows are divided into batches.
        about = {
            "dictionary": trained.content_hash,
            "tokens": stored_hidden_states.windows_hash(windows),
            "batch_size": size,
            "n_batches": n_batches,
        }
        pass_folder.begin(about, settings)
    sharding.wait_for_all("examples begun")
    todo = np.setdiff1d(np.arange(n_batches), pass_folder.done())
    process = jax.process_index()
    saved = pass_folder.load(process)
    # All processes must read the same list of batches before any of them saves.
    sharding.wait_for_all("examples to do")
    tokens = token_tables.TokenTables(
        pass_folder.folder,
        prefix=str(process),
        names=() if saved is None else saved.names,
    )
    gathered = Collector(
        trained, windows, tokens=tokens, n=n, n_random=n_random, seed=seed
    )
    batches = np.zeros(0, np.int64)
    if saved is not None:
        add_state(gathered, saved, pass_folder, process)
        batches = saved.batches
        del saved

    def save() -> None:
        tokens.flush()
        state = unfinished.PassState(batches, tokens.names, gathered.arrays())
        pass_folder.save(process, state)
        # Only now: the state that was saved before needs the older files.
        tokens.remove_others()

    # Interleaved, so that all processes advance through the corpus together.
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
        # A batch is done, and may be saved as done, after its last layer.
        if index < len(trained.layers) - 1:
            continue
        batches = np.append(batches, ours[n_done : n_done + len(found)])
        n_done += len(found)
        # An estimate: the other processes are about as far as this one.
        n_all = n_before + n_done * jax.process_count()
        progress(min(n_all * size, len(windows)), len(windows))
        if (start := time.monotonic()) >= next_save and n_done < len(ours):
            save()
            # Large states take long to write: they are saved less often.
            now = time.monotonic()
            next_save = now + max(save_every_s, (now - start) / _SAVING_SHARE)
    # The first process reads the results of the others from their files.
    if jax.process_count() > 1:
        save()
    tokens.flush()
    sharding.wait_for_all("examples gathered")
    if not sharding.is_first_process():
        return None
    return _merged(gathered, pass_folder, tokens, own=process)


def settings_of(*, n: int, n_random: int, seed: int) -> dict[str, int]:
    """Returns the settings of a pass as JSON; arguments are those of `collect`."""
    return {"n": n, "n_random": n_random, "seed": seed}


def _merged(
    gathered: "Collector",
    pass_folder: unfinished.PassFolder,
    tokens: token_tables.TokenTables,
    *,
    own: int,
) -> stored.Examples:
    """Merges what the processes of this call and of earlier calls have gathered."""
    names = list(tokens.names)
    for process in pass_folder.processes():
        other = None if process == own else pass_folder.load(process)
        if other is not None:
            add_state(gathered, other, pass_folder, process)
            names += other.names
    return gathered.finish([pass_folder.folder / name for name in names])


def add_state(
    gathered: "Collector",
    saved: unfinished.PassState,
    pass_folder: unfinished.PassFolder,
    process: int,
) -> None:
    """Adds what a process has saved; InputError if it is of other sizes or types."""
    try:
        gathered.add_arrays(saved.arrays)
    except ValueError as error:
        raise pass_folder.damaged(process, str(error)) from error


def _windows_of(batches: np.ndarray, *, batch_size: int, n_windows: int) -> np.ndarray:
    """Returns the windows in the batches; only the corpus's last batch can be short."""
    numbers = batches[:, None] * batch_size + np.arange(batch_size)
    return numbers[numbers < n_windows]


class Collector:
    """Gathers the examples of a dictionary in bounded memory."""

    def __init__(
        self,
        trained: trained_dictionary.TrainedDictionary,
        windows: windows_lib.Windows,
        *,
        tokens: token_tables.TokenTables,
        n: int,
        n_random: int,
        seed: int,
    ):
        """Initialises an empty collector.

        Args:
          trained: dictionary of the run.
          windows: token windows of the run.
          tokens: collects the token ids.
          n: number of top-activating examples per layer and factor.
          n_random: number of examples drawn at random per layer and factor.
          seed: random seed for these.
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
        """Adds one layer of a batch; ``index`` is the index into the layers."""
        batch, windows = encoded.batch, self._windows
        # A token's place in the corpus does not depend on the batches, so neither do
        # ties and random samples.
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
        """Returns the state for `add_arrays`, without the token ids."""
        return {
            f"{index}.{name}": array
            for index, layer in enumerate(self._layers)
            for name, array in layer.arrays().items()
        }

    def add_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Adds the state of a collector of the same sizes that saw other windows."""
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
        """Returns the examples. Nothing can be added afterwards.

        Args:
          token_paths: all files with token ids.
        """
        n_tokens = int(self._layers[0].counts.n_tokens)
        # Each layer is freed once it is converted, so that the lists and the final
        # arrays of all layers are never in memory together.
        self._layers.reverse()
        found = [
            self._layer(self._layers.pop(), token_paths, row=row)
            for row in range(len(self._layers))
        ]
        arrays: dict[str, Any] = {
            name: np.stack([each.pop(name) for each in found]) for name in stored.ARRAYS
        }
        return stored.Examples(
            layers=self._trained.layers,
            n_tokens=n_tokens,
            window_length=self._windows.window_length,
            seed=self._sizes.seed,
            dictionary_hash=self._trained.content_hash,
            **arrays,
        )

    def _layer(
        self,
        layer: layer_statistics.LayerStatistics,
        token_paths: Sequence[pathlib.Path],
        *,
        row: int,
    ) -> dict[str, np.ndarray]:
        """Returns the arrays of one layer, by their names in `stored.ARRAYS`."""
        top, chance = layer.finish("top"), layer.finish("random")
        counts = layer.counts
        # Each firing token is in one bin.
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
            "mean_norm": np.asarray(counts.mean_norm, np.float64),
        }

    def _references(self, entries: ranked_lists.Entries) -> dict[str, np.ndarray]:
        """Returns activation, window and position of each entry."""
        used = entries.place >= 0
        window, position = np.divmod(entries.place, self._windows.window_length)
        return {
            "activation": entries.activation,
            "window": window.astype(np.int32),
            "position": np.where(used, position, -1).astype(np.int32),
        }
