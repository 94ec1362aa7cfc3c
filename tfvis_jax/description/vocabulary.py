"""Find the words whose masked-LM logits a factor's direction raises or lowers.

BERT's head reads hidden states of the last layer. It is applied to their mean over a
sample of the corpus, with and without the factor's typical part of a hidden state,
s α φ, where s is the scale of the layer and α the importance score. The result is the
difference of the logits.

This has two limits. The head is nonlinear (gelu, layer norm), so that at another hidden
state the same direction changes other logits by other amounts. And a direction of an
early layer need not have the same meaning at the last layer.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np

from tfvis_jax.data import hidden_states as hidden_states_lib
from tfvis_jax.data import tokenizer as tokenizer_lib
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.models import masked_lm as masked_lm_lib
from tfvis_jax.runs import setup

# Number of windows, spread over the corpus, whose hidden states are averaged.
_SAMPLE = 64


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """Vocabulary entries whose logits a direction changes most.

    Attributes:
      raised: (piece, change of its logit), largest change first.
      lowered: (piece, change of its logit), smallest change first.
    """

    raised: tuple[tuple[str, float], ...]
    lowered: tuple[tuple[str, float], ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Head:
    """A masked-LM head and the hidden state at which it is evaluated.

    Attributes:
      model: the model with its head.
      tokenizer: tokeniser of the model.
      state: [d_model] mean hidden state of the last layer.
    """

    model: masked_lm_lib.BertForMaskedLM
    tokenizer: tokenizer_lib.Tokenizer
    state: np.ndarray

    def changes(self, direction: np.ndarray) -> np.ndarray:
        """Returns how much a direction changes each logit, [vocab_size] float32.

        Args:
          direction: [d_model], in the units of hidden states.
        """
        states = np.stack([self.state + direction, self.state])[None]
        [logits] = np.asarray(self.model.logits(jnp.asarray(states, jnp.float32)))
        return logits[0] - logits[1]


def open_head(opened: setup.Setup, windows: windows_lib.Windows) -> Head | None:
    """Opens the masked-LM head of a run's model; returns None if it has none.

    Args:
      opened: model, tokeniser and settings of the run.
      windows: token windows of the run.
    """
    opened = setup.with_masked_lm_head(opened)
    model = opened.pretrained.masked_lm
    if model is None:
        return None
    n = min(_SAMPLE, len(windows))
    # Evenly spaced, so that the mean is over the whole corpus.
    chosen = np.linspace(0, len(windows) - 1, n).astype(np.int64)
    states = hidden_states_lib.scaled_hidden_states(
        opened.pretrained.encoder,
        windows.token_ids(chosen),
        windows.token_mask(chosen),
        # Not scaled: the head reads hidden states as the encoder gives them.
        jnp.ones(1),
        layers=(opened.pretrained.config.n_layers,),
    )
    rows = np.asarray(states[0])[windows.row_mask(chosen)]
    return Head(model, opened.tokenizer, rows.mean(axis=0))


def extremes(
    change: np.ndarray, tokenizer: tokenizer_lib.Tokenizer, *, k: int
) -> Vocabulary:
    """Returns the k entries that are raised most and the k that are lowered most.

    Special tokens, "[unused…]" entries and ids without a piece are left out.

    Args:
      change: [vocab_size] change of each logit.
      tokenizer: tokeniser of the model.
      k: number of entries of either kind.
    """
    pieces = tokenizer.pieces
    order = [
        i
        for i in np.argsort(-change[: len(pieces)], kind="stable").tolist()
        if pieces[i] and not (pieces[i].startswith("[") and pieces[i].endswith("]"))
    ]

    def entries(chosen: list[int]) -> tuple[tuple[str, float], ...]:
        return tuple((pieces[i], float(change[i])) for i in chosen)

    return Vocabulary(raised=entries(order[:k]), lowered=entries(order[::-1][:k]))
