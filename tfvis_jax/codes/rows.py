"""Rows of some tokens of texts, and their codes.

`encode_texts` encodes every token. Where a few tokens of many texts are asked about,
this is the short way: the model reads the texts, the solver sees the chosen rows alone.
"""

import math
import pathlib
import tempfile
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np
import scipy.sparse

from tfvis_jax import sharding
from tfvis_jax.data import text_windows
from tfvis_jax.errors import InputError
from tfvis_jax.estimators import csr
from tfvis_jax.runs import encoding, parallel_encoding, setup, trained_dictionary


class RowCodes(NamedTuple):
    """Codes of rows of one layer, and what they stand for among hidden states.

    Attributes:
      codes: [rows, n_factors] `csr_array` of float32.
      x: [rows, d_model] float32, the hidden states themselves, neither whitened nor
        scaled.
      reconstruction: [rows, d_model] float32, what the codes stand for.
      residual: [rows, d_model] float32, x − reconstruction.
    """

    codes: scipy.sparse.csr_array
    x: np.ndarray
    reconstruction: np.ndarray
    residual: np.ndarray


def scaled_rows(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    texts: Sequence[str],
    rows: np.ndarray | None = None,
    *,
    notify: Callable[[str], None] = warnings.warn,
) -> np.ndarray:
    """Computes the rows that are encoded, of texts cut as `encode_texts` cuts them.

    Args:
      opened: model and settings of the run.
      trained: its dictionary, whose layers are used.
      texts: the texts, each a document.
      rows: [n] int64 numbers of the tokens that are wanted, counted through all texts
        without special tokens; all if None.
      notify: told in a sentence if many tokens are unknown.

    Returns:
      [n_layers, n, d_model] float32, hidden states whitened and scaled as the run does.

    Raises:
      InputError: no text has a token, or there are fewer tokens.
    """
    with tempfile.TemporaryDirectory() as folder:
        windows = text_windows.build(
            pathlib.Path(folder),
            texts,
            opened.config.corpus,
            tokenizer=opened.tokenizer,
            notify=notify,
        )
        counts = windows.num_rows(np.arange(len(windows)))
        ends = np.cumsum(counts)
        wanted = np.arange(ends[-1]) if rows is None else np.asarray(rows)
        if len(wanted) and not 0 <= wanted.min() <= wanted.max() < ends[-1]:
            raise InputError(
                f"Expected tokens from 0 to {ends[-1] - 1}, got {wanted.min()} to "
                f"{wanted.max()}."
            )
        # By the number of the token within its window.
        window_of = np.searchsorted(ends, wanted, side="right")
        position = wanted - (ends - counts)[window_of]
        order = np.argsort(window_of, kind="stable")
        first, last = (
            np.searchsorted(window_of[order], np.arange(len(windows)), side=side)
            for side in ("left", "right")
        )
        chosen = np.unique(window_of)
        # Windows of one length together: what is padding for all is cut off.
        chosen = chosen[np.argsort(counts[chosen], kind="stable")]
        shape = (len(trained.layers), len(wanted), trained.factors.shape[1])
        found = np.zeros(shape, np.float32)
        for batch, states in encoding.scaled_windows(
            opened, trained, windows, chosen, trim=True
        ):
            states = np.asarray(states)
            for place, window in enumerate(batch.window_ids.tolist()):
                if window >= 0:
                    asked = order[first[window] : last[window]]
                    of_row = np.flatnonzero(batch.row_mask[place])
                    found[:, asked] = states[:, place, of_row[position[asked]]]
    return found


def encode_rows(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    rows: np.ndarray,
    *,
    layer: int,
    devices: sharding.Devices | None = None,
) -> RowCodes:
    """Encodes rows of one layer with the dictionary of the run.

    Args:
      opened: model and settings of the run.
      trained: its dictionary.
      rows: [rows, d_model] float32 of `scaled_rows`.
      layer: the layer of all rows.
      devices: that encode; all of this process if None. Their number changes no bit.

    Raises:
      InputError: the dictionary does not have this layer.
    """
    trained = trained.of_layers([layer])
    devices = jax.local_devices() if devices is None else devices
    encode = parallel_encoding.row_encoder(
        trained, opened.config.solver, devices=devices
    )
    # The shape of windows, for which the solver is compiled already, or will be: rows
    # of zeros cost next to nothing.
    shape = opened.config.windows_per_batch, opened.config.corpus.window_length
    size = math.prod(shape)
    codes = csr.CsrBuilder(n_rows=len(rows), n_columns=len(trained.factors))
    residual = np.zeros_like(rows)
    for start in range(0, len(rows), size * len(devices)):
        part = rows[start : start + size * len(devices)]
        # Full shares: which rows are solved together does not depend on the devices.
        shares = [part[place : place + size] for place in range(0, len(part), size)]
        states = np.zeros((len(devices), size, rows.shape[1]), np.float32)
        mask = np.zeros(states.shape[:2], bool)
        for place, share in enumerate(shares):
            states[place, : len(share)], mask[place, : len(share)] = share, True
        each = np.asarray(
            encode(
                states.reshape(len(devices), *shape, -1),
                mask.reshape(len(devices), *shape),
            )
        )
        left = []
        for place, share in enumerate(shares):
            found = csr.from_dense(each[place, : len(share)])
            codes.append(found)
            left.append(share - found @ trained.factors)
        residual[start : start + len(part)] = np.concatenate(left)
    x = trained.hidden_states(rows, layer)
    reconstruction = trained.hidden_states(rows - residual, layer)
    return RowCodes(codes.finish(), x, reconstruction, x - reconstruction)
