"""Factors made of concepts: directions in which a concept's hidden states stand out.

For a word form w, mean(x | w) − mean(x). For a template or a document, the mean over
its tokens of x less the mean of all tokens of the same form, so that the direction says
where a token stands and not which it is.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import scipy.sparse

from tfvis_jax.data import windows as windows_lib
from tfvis_jax.examples import stored
from tfvis_jax.runs import encoding, setup, trained_dictionary


@dataclasses.dataclass(frozen=True, eq=False)
class Plant:
    """A concept that is made a factor.

    Attributes:
      name: in words.
      level: "low", "mid", "high" or "topic".
      rows: [n] numbers of the tokens that it holds.
      layer: index of the layer that its direction is taken from.
    """

    name: str
    level: str
    rows: np.ndarray
    layer: int


def dictionary(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    windows: windows_lib.Windows,
    *,
    form: np.ndarray,
    plants: Sequence[Plant],
) -> trained_dictionary.TrainedDictionary:
    """Returns the plants' directions in place of a run's factors.

    Args:
      opened: model and settings of the run.
      trained: its dictionary, whose layers, scales and λ are kept.
      windows: its tokens.
      form: [n_tokens] number of each token's word family, in reading order.
      plants: what to make factors of.
    """
    n_tokens, n_forms = len(form), int(form.max()) + 1
    column = np.concatenate([plant.rows for plant in plants])
    row = np.repeat(np.arange(len(plants)), [len(plant.rows) for plant in plants])
    # By columns: every batch takes some.
    of_plants = scipy.sparse.csc_array(
        (np.ones(len(column), np.float32), (row, column)),
        shape=(len(plants), n_tokens),
    )
    width = trained.factors.shape[1]
    used = sorted({plant.layer for plant in plants})
    form_sums = {index: np.zeros((n_forms, width)) for index in used}
    plant_sums = {index: np.zeros((len(plants), width)) for index in used}
    start = 0
    everything = np.arange(len(windows))
    for batch, states in encoding.scaled_windows(opened, trained, windows, everything):
        stop = start + int(batch.row_mask.sum())
        for index in used:
            x = np.asarray(states[index])[batch.row_mask]
            np.add.at(form_sums[index], form[start:stop], x)
            plant_sums[index] += of_plants[:, start:stop] @ x
        start = stop
    count = np.maximum(np.bincount(form, minlength=n_forms), 1)
    factors = []
    for number, plant in enumerate(plants):
        sums, n = form_sums[plant.layer], len(plant.rows)
        if plant.level == "low":
            expected = sums.sum(axis=0) / n_tokens
        else:
            weight = np.bincount(form[plant.rows], minlength=n_forms) / count
            expected = (weight @ sums) / n
        direction = plant_sums[plant.layer][number] / n - expected
        factors.append(direction / np.linalg.norm(direction))
    return dataclasses.replace(trained, factors=np.array(factors, np.float32))


def examples(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    windows: windows_lib.Windows,
    *,
    n: int,
    n_random: int = 100,
    seed: int = 0,
) -> stored.Examples:
    """Returns where each factor fires, at every layer: the strongest, and a sample.

    Args:
      opened: model and settings of the run.
      trained: any dictionary on its layers.
      windows: the tokens.
      n: strongest firings of each factor.
      n_random: size of the uniform sample of its firings.
      seed: of the sample.

    Returns:
      Examples with these fields alone; the others are None.
    """
    n_layers, n_factors = len(trained.layers), len(trained.factors)
    rng = np.random.default_rng(seed)
    strongest = [_Kept(n, n_factors) for _ in range(n_layers)]
    drawn = [_Kept(n_random, n_factors) for _ in range(n_layers)]
    firing = np.zeros((n_layers, n_factors), np.int64)
    n_tokens = 0
    everything = np.arange(len(windows))
    for batch, layers in encoding.encode_windows(opened, trained, windows, everything):
        window, position = np.nonzero(batch.row_mask)
        places = batch.window_ids[window].astype(np.int64) * windows.window_length
        n_tokens += len(places)
        for index, rows in enumerate(layers):
            codes = np.asarray(rows.codes)[batch.row_mask.reshape(-1)]
            firing[index] += np.count_nonzero(codes, axis=0)
            strongest[index].add(codes, codes, places + position)
            rank = np.where(codes > 0, rng.random(codes.shape, np.float32), 0)
            drawn[index].add(rank, codes, places + position)
    return stored.Examples(
        **{
            **dict.fromkeys(stored.Examples.__dataclass_fields__),
            **_arrays("", strongest, windows.window_length),
            **_arrays("random_", drawn, windows.window_length),
            "firing": firing,
            "layers": trained.layers,
            "n_tokens": n_tokens,
            "window_length": windows.window_length,
        }
    )


class _Kept:
    """The n firings of each factor that rank highest."""

    def __init__(self, n: int, n_factors: int):
        self._n = n
        self._rank = np.zeros((n, n_factors), np.float32)
        self.activation = np.zeros((n, n_factors), np.float32)
        self.place = np.full((n, n_factors), -1, np.int64)

    def add(self, rank: np.ndarray, codes: np.ndarray, place: np.ndarray) -> None:
        """Takes in the codes of more tokens, [rows, n_factors]."""
        ranks = np.concatenate([self._rank, rank])
        # Stable: of equal ones the first in the text.
        order = np.argsort(-ranks, axis=0, kind="stable")[: self._n]
        place = np.where(codes > 0, place[:, None], -1)
        self._rank, self.activation, self.place = (
            np.take_along_axis(np.concatenate([old, new]), order, axis=0)
            for old, new in (
                (self._rank, rank),
                (self.activation, codes),
                (self.place, place),
            )
        )


def _arrays(
    prefix: str, kept: Sequence[_Kept], window_length: int
) -> dict[str, np.ndarray]:
    place = np.stack([each.place.T for each in kept])
    return {
        f"{prefix}activation": np.stack([each.activation.T for each in kept]),
        f"{prefix}window": np.where(place < 0, -1, place // window_length),
        f"{prefix}position": np.where(place < 0, -1, place % window_length),
    }
