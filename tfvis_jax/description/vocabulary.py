"""The words that a factor's direction raises and lowers, by the masked-LM head.

The head of BERT reads last hidden states. It is given their mean over a sample of the
corpus, once as it is and once with the factor's own part of a hidden state where it
fires strongly, s α φ with s the scale of the layer and α the importance score; shown is
the difference of the logits. Two things bound what this says. The head has a gelu and a
layer norm: in another hidden state the same direction changes other logits by other
amounts. And a direction of an early layer need not mean in the last one what it means
in its own.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np

from tfvis_jax.data import hidden_states as hidden_states_lib
from tfvis_jax.data import tokenizer as tokenizer_lib
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.models import masked_lm as masked_lm_lib
from tfvis_jax.runs import setup

# Windows whose hidden states the mean is of, spread over the corpus.
_SAMPLE = 64


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """Entries of the vocabulary, with what the direction adds to their logits.

    Attributes:
      raised: (piece, change of its logit), the largest first.
      lowered: likewise, the smallest first.
    """

    raised: tuple[tuple[str, float], ...]
    lowered: tuple[tuple[str, float], ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Head:
    """A masked-LM head and where it is asked.

    Attributes:
      model: with its head.
      tokenizer: the model's.
      state: [d_model] mean of the last hidden states.
    """

    model: masked_lm_lib.BertForMaskedLM
    tokenizer: tokenizer_lib.Tokenizer
    state: np.ndarray

    def changes(self, direction: np.ndarray) -> np.ndarray:
        """Returns how much a direction changes each logit, [vocab_size] float32.

        Args:
          direction: [d_model], in the units of hidden states.
        """
        states = np.stack([self.state + direction, self.state])
        logits = np.asarray(self.model.logits(np.float32(states[None])))[0]
        return logits[0] - logits[1]


def open_head(opened: setup.Setup, windows: windows_lib.Windows) -> Head | None:
    """Returns the head of a run's model, None where it has none.

    Args:
      opened: the model.
      windows: the corpus.
    """
    opened = setup.with_masked_lm_head(opened)
    model = opened.pretrained.masked_lm
    if model is None:
        return None
    n = min(_SAMPLE, len(windows))
    chosen = np.linspace(0, len(windows) - 1, n).astype(np.int64)
    states = hidden_states_lib.scaled_hidden_states(
        opened.pretrained.encoder,
        windows.token_ids(chosen),
        windows.token_mask(chosen),
        jnp.ones(1),
        layers=(opened.pretrained.config.n_layers,),
    )
    rows = np.asarray(states[0])[windows.row_mask(chosen)]
    return Head(model, opened.tokenizer, rows.mean(axis=0))


def extremes(
    change: np.ndarray, tokenizer: tokenizer_lib.Tokenizer, *, k: int
) -> Vocabulary:
    """Returns the k entries that are raised most and the k that are lowered most.

    Special tokens, ids without a piece and "[unused…]" ones are left out.

    Args:
      change: [vocab_size] change of each logit.
      tokenizer: whose pieces they are.
      k: of either kind.
    """
    pieces = tokenizer.pieces
    order = [
        i
        for i in np.argsort(-change[: len(pieces)], kind="stable").tolist()
        if pieces[i] and not (pieces[i].startswith("[") and pieces[i].endswith("]"))
    ]

    def entries(chosen):
        return tuple((pieces[i], float(change[i])) for i in chosen)

    return Vocabulary(raised=entries(order[:k]), lowered=entries(order[::-1][:k]))
