"""Which tokens of a model are the labelled spans."""

import dataclasses
from typing import NamedTuple

import numpy as np

from tfvis_jax.data import tokenizer as tokenizer_lib
from tfvis_jax.probing import labelled as labelled_lib

# Spans that a message shows.
_SHOWN = 3


class Tokens(NamedTuple):
    """The tokens of some texts, in reading order; special tokens are left out.

    Attributes:
      ids: [n_tokens] int32.
      text_of: [n_tokens] int64, the index of each token's text.
      starts, ends: [n_tokens] int64, character offsets within the text.
      starts_word: [n_tokens] bool, True for tokens that begin a word.
    """

    ids: np.ndarray
    text_of: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    starts_word: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Alignment:
    """The tokens of each span.

    A span aligns if a token begins where it begins and a token ends where it ends.

    Attributes:
      first: [n_spans] int64, the row of its first token; -1 if it does not align.
      last: [n_spans] int64, the row of its last token; -1 if it does not align.
      examples: up to three spans that do not align, as text.
    """

    first: np.ndarray
    last: np.ndarray
    examples: tuple[str, ...]

    @property
    def aligned(self) -> np.ndarray:
        """Which spans align, [n_spans] bool."""
        return self.first >= 0

    def __str__(self) -> str:
        n_spans, missing = len(self.first), int(np.sum(~self.aligned))
        several = int(np.sum(self.last > self.first))
        said = (
            f"{n_spans - missing:,} of {n_spans:,} spans align with tokens, "
            f"{several:,} of them with several"
        )
        if not missing:
            return said
        return f"{said}; {missing:,} do not, such as {', '.join(self.examples)}"


def tokenize(
    labelled: labelled_lib.LabelledText, tokenizer: tokenizer_lib.Tokenizer
) -> Tokens:
    """Returns the tokens of all texts.

    Args:
      labelled: texts.
      tokenizer: the model's.
    """
    found = [tokenizer.encode(text) for text in labelled.texts]
    counts = [len(tokens.ids) for tokens in found]
    empty = np.zeros(0, np.int64)
    return Tokens(
        ids=np.concatenate([np.zeros(0, np.int32), *(t.ids for t in found)]),
        text_of=np.repeat(np.arange(len(found)), counts),
        starts=np.concatenate([empty, *(tokens.starts for tokens in found)]),
        ends=np.concatenate([empty, *(tokens.ends for tokens in found)]),
        starts_word=np.concatenate(
            [np.zeros(0, bool), *(tokens.starts_word for tokens in found)]
        ),
    )


def align(labelled: labelled_lib.LabelledText, tokens: Tokens) -> Alignment:
    """Finds the tokens of every span.

    Args:
      labelled: texts and spans.
      tokens: all tokens of the same texts.
    """
    width = 1 + max(int(tokens.ends.max(initial=0)), int(labelled.spans.max(initial=0)))
    text = labelled.text_of * width
    starts, ends = (tokens.text_of * width + at for at in (tokens.starts, tokens.ends))
    # Several tokens may be made of one character: they begin and end together.
    first = np.searchsorted(starts, text + labelled.spans[:, 0], side="left")
    last = np.searchsorted(ends, text + labelled.spans[:, 1], side="right") - 1
    aligned = (last >= first) & (first < len(starts)) & (last >= 0)
    aligned &= _at(starts, first) == text + labelled.spans[:, 0]
    aligned &= _at(ends, last) == text + labelled.spans[:, 1]
    missing = np.flatnonzero(~aligned)[:_SHOWN].tolist()
    return Alignment(
        first=np.where(aligned, first, -1),
        last=np.where(aligned, last, -1),
        examples=tuple(_shown(labelled, span) for span in missing),
    )


def _at(keys: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Returns the key at each place, -1 outside."""
    inside = (place >= 0) & (place < len(keys))
    return np.where(inside, np.append(keys, -1)[np.where(inside, place, -1)], -1)


def _shown(labelled: labelled_lib.LabelledText, span: int) -> str:
    start, end = labelled.spans[span]
    return repr(labelled.texts[labelled.text_of[span]][start:end])
