"""Gather lists and counts for all factors at one layer from a stream of codes."""

import dataclasses

import numpy as np

from tfvis_jax.examples import firing_statistics, ranked_lists, sampling


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How much is kept per layer and factor.

    Attributes:
      n_factors: number of factors in the dictionary.
      n: number of top-activating examples.
      n_contexts: how many of these keep their contexts.
      n_random: number of random examples; all keep their contexts.
      context_length: number of tokens in a context.
      pairs: If True, count co-firing pairs of factors.
      seed: random seed for the random examples.
    """

    n_factors: int
    n: int
    n_contexts: int
    n_random: int
    context_length: int
    pairs: bool
    seed: int


def context_start(
    position: np.ndarray | int, *, window_length: int, context_length: int
) -> np.ndarray:
    """Returns the position in the window at which a token's context begins.

    The context is centred on the token and shifted to lie inside the window. In a
    window no longer than ``context_length`` it is the whole window.
    """
    first = np.asarray(position) - context_length // 2
    # As `np.clip`, which takes three times as long for the few of a page.
    return np.minimum(np.maximum(first, 0), window_length - context_length)


class LayerStatistics:
    """Ranked lists and counts of all factors at one layer."""

    def __init__(self, sizes: Sizes, *, layer: int):
        """Initialises statistics of zero tokens for the layer with this number."""

        def lists(n: int, context_length: int = 0) -> ranked_lists.RankedLists:
            return ranked_lists.RankedLists(
                n_factors=sizes.n_factors, n=n, context_length=context_length
            )

        self._sizes = sizes
        self._streams = sampling.streams(
            seed=sizes.seed, layer=layer, n_factors=sizes.n_factors
        )
        # "context" repeats the head of "top", with the activations of the contexts.
        self._lists = {
            "top": lists(sizes.n),
            "context": lists(sizes.n_contexts, sizes.context_length),
            "random": lists(sizes.n_random, sizes.context_length),
        }
        self.counts = firing_statistics.LayerCounts.zeros(
            n_factors=sizes.n_factors, pairs=sizes.pairs
        )

    def add_windows(
        self,
        codes: np.ndarray,
        norms: np.ndarray,
        *,
        row_mask: np.ndarray,
        first_places: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Adds the codes of windows.

        Args:
          codes: [windows * length, n_factors] float32.
          norms: [windows * length], ‖x‖ of each token.
          row_mask: [windows, length] bool, False for padding and special tokens.
          first_places: [windows] int64, corpus position of each window's first token.

        Returns:
          Rows, factors and activations of the positive codes, each [m].
        """
        length = row_mask.shape[1]
        valid = row_mask.reshape(-1)
        row, factor, activation = _positive(codes, valid)
        window, position = np.divmod(row, length)
        place = first_places[window] + position

        # [window, factor, position], so that a context is one slice: reading it from
        # the codes takes ten times as long. Half precision, since contexts are only
        # displayed: half the bytes of the codes.
        around = np.zeros((len(row_mask), codes.shape[1], length), np.float16)
        around[window, factor, position] = activation
        contexts = np.lib.stride_tricks.sliding_window_view(
            around, self._sizes.context_length, axis=-1
        )

        # Called only for entries that may be kept: most of the codes are not.
        def context(chosen: np.ndarray) -> np.ndarray:
            start = context_start(
                position[chosen],
                window_length=length,
                context_length=self._sizes.context_length,
            )
            return contexts[window[chosen], factor[chosen], start]

        falling = ranked_lists.rank_by_activation(activation)
        chance = sampling.ranks(self._streams[factor], place)
        self._lists["top"].offer(factor, falling, place, activation)
        self._lists["context"].offer(
            factor, falling, place, activation, context=context
        )
        self._lists["random"].offer(factor, chance, place, activation, context=context)
        self.counts.add_rows(
            norms[valid], row=row, factor=factor, activation=activation
        )
        return row, factor, activation

    def finish(self, name: str) -> ranked_lists.Entries:
        """Returns the lists named "top", "context" or "random", padded."""
        return self._lists[name].finish()

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns the state for `add_arrays`."""
        result = {
            f"{name}.{part}": array
            for name, lists in self._lists.items()
            for part, array in lists.entries()._asdict().items()
        }
        for field in dataclasses.fields(self.counts):
            if (value := getattr(self.counts, field.name)) is not None:
                result[f"counts.{field.name}"] = value
        return result

    def add_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Adds the state of the same layer over other tokens.

        Raises:
          ValueError: the state is of other sizes or types.
        """
        self._check(arrays)
        for name, lists in self._lists.items():
            parts = ranked_lists.Entries._fields
            lists.add(
                ranked_lists.Entries(*(arrays[f"{name}.{part}"] for part in parts))
            )
        self.counts.add(
            firing_statistics.LayerCounts(
                histogram=arrays["counts.histogram"],
                pairs=arrays.get("counts.pairs"),
                norm=arrays["counts.norm"],
                n_tokens=arrays["counts.n_tokens"],
            )
        )

    def _check(self, arrays: dict[str, np.ndarray]) -> None:
        for name, own in self.arrays().items():
            # Lists have any number of entries; counts have one shape.
            first = 0 if name.startswith("counts.") else 1
            found = arrays.get(name, np.zeros(0, np.str_))
            shape = own.shape[first:]
            if (found.dtype, found.shape[first:]) != (own.dtype, shape) or (
                found.ndim != own.ndim
            ):
                raise ValueError(f"{name} is {found.dtype} of shape {found.shape}")
        for name in self._lists:
            parts = [arrays[f"{name}.{part}"] for part in ranked_lists.Entries._fields]
            factor = int(parts[0].max(initial=0)) >> ranked_lists.RANK_BITS
            if len(set(map(len, parts))) > 1 or factor >= self._sizes.n_factors:
                raise ValueError(f"the list {name} is of another dictionary")


def _positive(
    codes: np.ndarray, valid: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns row, factor and value of the positive codes in valid rows."""
    flat = np.flatnonzero(codes > 0)
    row, factor = np.divmod(flat, codes.shape[1])
    # Usually all are valid: the codes of masked rows are 0.
    if not valid[row].all():
        kept = valid[row]
        row, factor, flat = row[kept], factor[kept], flat[kept]
    return row, factor, codes.reshape(-1)[flat]
