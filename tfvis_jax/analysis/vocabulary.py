"""The words that a factor's direction raises and lowers, by the masked-LM head.

The head of BERT reads last hidden states. It is given the factor's own part of a hidden
state where it fires strongly, s α φ with s the scale of the layer and α the importance
score, and no hidden state at all; the difference of the two is shown, so that the bias
of the head, which knows how frequent words are, falls away. Two things bound what this
says. The head's layer norm makes it nonlinear: in a whole hidden state other factors
decide how much this one counts. And a direction of an early layer need not mean in the
last one what it means in its own.
"""

import dataclasses

import numpy as np

from tfvis_jax.data import tokenizer as tokenizer_lib
from tfvis_jax.models import masked_lm as masked_lm_lib


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """Entries of the vocabulary, with what the direction adds to their logits.

    Attributes:
      raised: (piece, change of its logit), the largest first.
      lowered: likewise, the smallest first.
    """

    raised: tuple[tuple[str, float], ...]
    lowered: tuple[tuple[str, float], ...]


def changes(model: masked_lm_lib.BertForMaskedLM, direction: np.ndarray) -> np.ndarray:
    """Returns the logits of a direction less those of zero, [vocab_size] float32.

    Args:
      model: with its head.
      direction: [d_model], in the units of hidden states.
    """
    states = np.stack([direction, np.zeros_like(direction)])[None].astype(np.float32)
    logits = np.asarray(model.logits(states))[0]
    return logits[0] - logits[1]


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
