"""The hidden states of labelled text, one row per token."""

import jax.numpy as jnp
import numpy as np

from tfvis_jax.data import cutting
from tfvis_jax.data import hidden_states as hidden_states_lib
from tfvis_jax.data import tokenizer as tokenizer_lib
from tfvis_jax.probing import alignment
from tfvis_jax.runs import dictionary_file, setup

# Windows that go through the model at once; they are padded to one length.
_BATCH = 64


def hidden_states(
    opened: setup.Setup,
    trained: dictionary_file.TrainedDictionary,
    tokens: alignment.Tokens,
) -> np.ndarray:
    """Computes the hidden states of texts, in windows as long as those of the run.

    A text is one window, or several where it is longer.

    Args:
      opened: model and settings of the run.
      trained: its dictionary, whose layers and scales are used.
      tokens: all tokens of the texts.

    Returns:
      [n_layers, n_tokens, d_model] float32, scaled; special tokens are left out.
    """
    special = int(opened.config.corpus.special_tokens)
    length = opened.config.corpus.window_length
    starts = _window_starts(tokens, capacity=length - 2 * special)
    ends = np.append(starts[1:], len(tokens.ids))
    found = np.zeros(
        (len(trained.layers), len(tokens.ids), trained.factors.shape[1]), np.float32
    )
    for first in range(0, len(starts), _BATCH):
        token_ids = np.full((_BATCH, length), opened.tokenizer.pad_id, np.int32)
        count = np.zeros(_BATCH, np.int64)
        chosen = range(first, min(first + _BATCH, len(starts)))
        for row, window in enumerate(chosen):
            ids = tokens.ids[starts[window] : ends[window]]
            count[row] = len(ids) + 2 * special
            if special:
                ids = [opened.tokenizer.cls_id, *ids, opened.tokenizer.sep_id]
            token_ids[row, : count[row]] = ids
        # A row without a token to attend to would be NaN.
        mask = np.arange(length)[None] < np.maximum(count, 1)[:, None]
        states = np.asarray(
            hidden_states_lib.scaled_hidden_states(
                opened.pretrained.encoder,
                token_ids,
                mask,
                jnp.asarray(trained.layer_scale),
                layers=trained.layers,
            )
        )
        for row, window in enumerate(chosen):
            inside = slice(special, int(count[row]) - special)
            found[:, starts[window] : ends[window]] = states[:, row, inside]
    return found


def _window_starts(tokens: alignment.Tokens, *, capacity: int) -> np.ndarray:
    """Returns the first token of every window, [n_windows] int64."""
    bounds = np.searchsorted(
        tokens.text_of, np.arange(tokens.text_of.max(initial=-1) + 2)
    )
    starts = []
    for first, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        if first == end:
            continue
        text = tokenizer_lib.TokenizedText(
            ids=tokens.ids[first:end],
            starts=tokens.starts[first:end],
            ends=tokens.ends[first:end],
            starts_word=tokens.starts_word[first:end],
        )
        cuts = cutting.window_boundaries(text, capacity=capacity)
        starts.extend((first + cuts[:-1]).tolist())
    return np.array(starts, np.int64)
