"""Masks tokens as BERT's own training does, the same for a window in any batch."""

from typing import NamedTuple

import numpy as np

from tfvis_jax.data import loader
from tfvis_jax.data import tokenizer as tokenizer_lib

_SHARE = 0.15
# Of the chosen tokens; the rest keep their id.
_SHARE_MASK, _SHARE_RANDOM = 0.8, 0.1


class MaskedTokens(NamedTuple):
    """A batch with some tokens hidden.

    Attributes:
      token_ids: [batch, length] int32, as the model reads them.
      positions: [batch, n] int32, places of the chosen tokens; 0 where not counted.
      labels: [batch, n] int32, their true ids.
      counted: [batch, n] bool; windows with fewer tokens have fewer chosen ones.
    """

    token_ids: np.ndarray
    positions: np.ndarray
    labels: np.ndarray
    counted: np.ndarray


def mask_tokens(
    batch: loader.Batch, *, tokenizer: tokenizer_lib.Tokenizer, seed: int
) -> MaskedTokens:
    """Chooses 15 % of each window's tokens, at least one, and hides them.

    Of the chosen tokens 80 % are read as [MASK], 10 % as a random token and 10 % as
    they are (Devlin et al. 2019, arXiv:1810.04805, appendix A.1). Special tokens and
    padding are never chosen, and no random token is a special one.

    Args:
      batch: windows of tokens.
      tokenizer: knows [MASK] and the vocabulary.
      seed: together with the number of a window it decides what is hidden there.
    """
    ordinary = np.setdiff1d(
        np.arange(tokenizer.vocab_size),
        [
            *(tokenizer.pad_id, tokenizer.unk_id, tokenizer.mask_id),
            *(tokenizer.cls_id, tokenizer.sep_id),
        ],
    )
    n_windows, length = batch.token_ids.shape
    n_chosen = max(1, round(_SHARE * length))
    masked = MaskedTokens(
        batch.token_ids.copy(),
        np.zeros((n_windows, n_chosen), np.int32),
        np.zeros((n_windows, n_chosen), np.int32),
        np.zeros((n_windows, n_chosen), bool),
    )
    for row, window in enumerate(batch.window_ids):
        places = np.flatnonzero(batch.row_mask[row])
        if not places.size:
            continue
        rng = np.random.default_rng((seed, int(window)))
        n = max(1, round(_SHARE * places.size))
        chosen = np.sort(rng.choice(places, size=n, replace=False))
        true = batch.token_ids[row, chosen]
        fate, other = rng.random(n), rng.choice(ordinary, size=n)
        read = np.where(fate < _SHARE_MASK + _SHARE_RANDOM, other, true)
        masked.token_ids[row, chosen] = np.where(
            fate < _SHARE_MASK, tokenizer.mask_id, read
        )
        masked.positions[row, :n] = chosen
        masked.labels[row, :n] = true
        masked.counted[row, :n] = True
    return masked
