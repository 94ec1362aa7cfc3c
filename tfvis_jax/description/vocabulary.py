"""Find the words whose logits a factor's direction raises or lowers.

A language model head reads hidden states of the last layer. It is applied to their mean
over a sample of the corpus, with and without the factor's typical part of a hidden
state, s α φ, where s is the scale of the layer and α the importance score. The result
is the difference of the logits.

The outputs of attention and MLP are added to hidden states, and so are the factors of a
run at these sites. This has two limits. The head is nonlinear (gelu, layer norm), so
that at another hidden state the same direction changes other logits by other amounts.
And a direction of an early layer need not have the same meaning at the last layer.
"""

import dataclasses
import itertools

import jax.numpy as jnp
import numpy as np

from tfvis_jax import sites
from tfvis_jax.data import hidden_states as hidden_states_lib
from tfvis_jax.data import tokenizer as tokenizer_lib
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.models import heads
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
    """A language model head and the hidden state at which it is evaluated.

    Attributes:
      model: the model with its head.
      tokenizer: tokeniser of the model.
      state: [d_model] mean hidden state of the last layer.
    """

    model: heads.LanguageModel
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
    """Opens the language model head of a run's model; returns None if it has none.

    Args:
      opened: model, tokeniser and settings of the run.
      windows: token windows of the run.
    """
    opened = setup.with_language_model(opened)
    model = opened.pretrained.language_model
    if model is None:
        return None
    n = min(_SAMPLE, len(windows))
    # Evenly spaced, so that the mean is over the whole corpus.
    chosen = np.linspace(0, len(windows) - 1, n).astype(np.int64)
    states = hidden_states_lib.scaled_hidden_states(
        opened.pretrained.encoder.at(sites.HIDDEN),
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

    Special tokens, "[unused…]" entries and ids without a piece are left out. Pieces are
    spelled as text (`Tokenizer.spelled`).

    Args:
      change: [vocab_size] change of each logit.
      tokenizer: tokeniser of the model.
      k: number of entries of either kind.
    """
    pieces = tokenizer.pieces
    order = np.argsort(-change[: len(pieces)], kind="stable")

    def entries(ranked: np.ndarray) -> tuple[tuple[str, float], ...]:
        shown = (
            i
            for i in map(int, ranked)
            if pieces[i]
            and i not in tokenizer.special_ids
            and not (pieces[i].startswith("[") and pieces[i].endswith("]"))
        )
        return tuple(
            (tokenizer.spelled(i), float(change[i])) for i in itertools.islice(shown, k)
        )

    return Vocabulary(raised=entries(order), lowered=entries(order[::-1]))
