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
from tfvis_jax.runs import dictionary_file, encoding, setup


@dataclasses.dataclass(frozen=True, eq=False)
class Plant:
    """A concept that is made a factor.

    Attributes:
      name: in words.
      level: "low", "mid" or "high".
      rows: [n] numbers of the tokens that it holds.
      layer: index of the layer that its direction is taken from.
    """

    name: str
    level: str
    rows: np.ndarray
    layer: int


@dataclasses.dataclass(frozen=True, eq=False)
class Strongest:
    """What fires each factor most: those fields of `examples.Examples`."""

    activation: np.ndarray
    window: np.ndarray
    position: np.ndarray
    firing: np.ndarray


def dictionary(
    opened: setup.Setup,
    trained: dictionary_file.TrainedDictionary,
    windows: windows_lib.Windows,
    *,
    form: np.ndarray,
    plants: Sequence[Plant],
) -> dictionary_file.TrainedDictionary:
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


def strongest(
    opened: setup.Setup,
    trained: dictionary_file.TrainedDictionary,
    windows: windows_lib.Windows,
    *,
    n: int,
) -> Strongest:
    """Returns the n tokens that fire each factor most, at every layer.

    Args:
      opened: model and settings of the run.
      trained: any dictionary on its layers.
      windows: the tokens.
      n: tokens of each factor.
    """
    n_layers, n_factors = len(trained.layers), len(trained.factors)
    activation = np.zeros((n_layers, n, n_factors), np.float32)
    place = np.full((n_layers, n, n_factors), -1, np.int64)
    firing = np.zeros((n_layers, n_factors), np.int64)
    everything = np.arange(len(windows))
    for batch, layers in encoding.encode_windows(opened, trained, windows, everything):
        window, position = np.nonzero(batch.row_mask)
        places = batch.window_ids[window].astype(np.int64) * windows.window_length
        for index, rows in enumerate(layers):
            codes = np.asarray(rows.codes)[batch.row_mask.reshape(-1)]
            firing[index] += np.count_nonzero(codes, axis=0)
            new = np.broadcast_to((places + position)[:, None], codes.shape)
            found = np.concatenate([activation[index], codes])
            found_at = np.concatenate([place[index], np.where(codes > 0, new, -1)])
            # Stable: of equal ones the first in the text.
            order = np.argsort(-found, axis=0, kind="stable")[:n]
            activation[index] = np.take_along_axis(found, order, axis=0)
            place[index] = np.take_along_axis(found_at, order, axis=0)
    activation, place = (np.swapaxes(a, 1, 2) for a in (activation, place))
    return Strongest(
        activation=activation,
        window=np.where(place < 0, -1, place // windows.window_length),
        position=np.where(place < 0, -1, place % windows.window_length),
        firing=firing,
    )
