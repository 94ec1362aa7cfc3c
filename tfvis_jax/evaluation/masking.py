"""What a language model has to predict, the same for a window in any batch.

An encoder has to find tokens that are hidden from it, as in BERT's own training; a
decoder the next token at every place.
"""

from typing import NamedTuple

import numpy as np

from tfvis_jax.data import loader
from tfvis_jax.data import tokenizer as tokenizer_lib

_SHARE = 0.15
# Of the chosen tokens; the rest keep their id.
_SHARE_MASK, _SHARE_RANDOM = 0.8, 0.1


class MaskedTokens(NamedTuple):
    """A batch with some tokens to predict.

    Attributes:
      token_ids: [batch, length] int32, as the model reads them.
      positions: [batch, n] int32, places whose logits predict; 0 where not counted.
      labels: [batch, n] int32, the true ids.
      counted: [batch, n] bool; windows with fewer tokens have fewer to predict.
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
      tokenizer: knows [MASK], however it is called, and the vocabulary.
      seed: together with the number of a window it decides what is hidden there.

    Raises:
      InputError: the tokenizer has no mask token.
    """
    mask_id = tokenizer.required_mask_id()
    ordinary = np.setdiff1d(
        np.arange(tokenizer.vocab_size),
        [
            *(tokenizer.pad_id, mask_id, *tokenizer.prefix, *tokenizer.suffix),
            *([] if tokenizer.unk_id is None else [tokenizer.unk_id]),
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
        masked.token_ids[row, chosen] = np.where(fate < _SHARE_MASK, mask_id, read)
        masked.positions[row, :n] = chosen
        masked.labels[row, :n] = true
        masked.counted[row, :n] = True
    return masked


def next_tokens(batch: loader.Batch) -> MaskedTokens:
    """Has every token predicted that is not a special one, from those before it.

    Nothing is hidden: a decoder sees no later token. The first of a window, which no
    other precedes, is not predicted.

    Args:
      batch: windows of tokens.
    """
    n_windows, length = batch.token_ids.shape
    places = np.arange(length - 1, dtype=np.int32)
    counted = batch.row_mask[:, 1:] & batch.token_mask[:, :-1]
    return MaskedTokens(
        batch.token_ids,
        np.where(counted, np.broadcast_to(places, (n_windows, length - 1)), 0),
        np.where(counted, batch.token_ids[:, 1:], 0),
        counted,
    )
