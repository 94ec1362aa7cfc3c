"""What a saliency map is about: a token of a window, and one factor.

Windows are token ids as they were encoded. They are never decoded and tokenised again,
which may shift the token in question.
"""

import dataclasses
import itertools

import jax.numpy as jnp
import numpy as np

from tfvis_jax.data import cutting
from tfvis_jax.data import hidden_states as hidden_states_lib
from tfvis_jax.data import tokenizer as tokenizer_lib
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.errors import InputError
from tfvis_jax.runs import dictionary_file, encoding, setup

# Windows are padded to a multiple of this, so that few lengths are compiled.
LENGTH_STEP = 16


@dataclasses.dataclass(frozen=True, eq=False)
class Target:
    """A token whose activation of one factor is to be explained.

    Attributes:
      token_ids: [length] int32, special tokens included, no padding.
      texts: [length] text of each token; "" for special ones.
      is_spaced: [length] bool, whether white space stands before the token.
      is_text: [length] bool, false for special tokens, which are never altered.
      position: place of the token.
      factor: number of the factor.
    """

    token_ids: np.ndarray
    texts: tuple[str, ...]
    is_spaced: np.ndarray
    is_text: np.ndarray
    position: int
    factor: int

    @property
    def places(self) -> np.ndarray:
        """[n] places of the tokens that may be altered, increasing."""
        return np.flatnonzero(self.is_text)

    def replaced(self, kept: np.ndarray, *, by: int) -> np.ndarray:
        """Returns the window with some tokens replaced.

        Args:
          kept: [variants, n] bool, over `places`.
          by: token id.

        Returns:
          [variants, length] int32.
        """
        whole = np.ones((len(kept), len(self.token_ids)), bool)
        whole[:, self.places] = kept
        return np.where(whole, self.token_ids, np.int32(by))


def of_window(
    windows: windows_lib.Windows, *, window: int, position: int, factor: int
) -> Target:
    """Returns a token of the corpus as a target."""
    length = int(windows.lengths[window])
    texts = tuple(windows.token_texts(window)[:length])
    context = windows.context(window, position, before=length, after=length)
    return Target(
        token_ids=windows.token_ids(np.array([window]))[0, :length],
        texts=texts,
        is_spaced=_spaced(texts, context.before + context.word + context.after),
        is_text=windows.row_mask(np.array([window]))[0, :length],
        position=position,
        factor=factor,
    )


def _spaced(texts, whole):
    """Returns which of the texts have white space before them in the whole, [n]."""
    spaced, end = [], 0
    for text in texts:
        start = whole.find(text, end)
        spaced.append(whole[end:start].isspace())
        # A text with a line break in it reads otherwise in the whole.
        end = max(start, end) + len(text)
    return np.array(spaced)


@dataclasses.dataclass(frozen=True)
class FoundInText:
    """The token of a text that fires a factor most, in its window.

    Attributes:
      target: the token.
      n_windows: into how many windows the text was cut; 1 if it fitted.
      window: which of them the target is in, from 0.
    """

    target: Target
    n_windows: int
    window: int


def in_text(
    opened: setup.Setup,
    trained: dictionary_file.TrainedDictionary,
    text: str,
    *,
    layer: int,
    factor: int,
) -> FoundInText:
    """Finds the token of a text at which a factor fires most.

    A text longer than the model's positions is cut into windows at word starts, as a
    document is.

    Args:
      opened: model, tokeniser and settings of the run.
      trained: its dictionary.
      text: of any length.
      layer: one of the dictionary's.
      factor: one of the dictionary's.

    Raises:
      InputError: the text is empty or all its tokens are unknown to the model, or the
        factor fires at none of them.
    """
    tokenizer = opened.tokenizer
    # Bytes of a command line that are no UTF-8 come as lone surrogates.
    text = text.encode("utf-8", "replace").decode()
    encoded = tokenizer.encode(text)
    if not len(encoded.ids):
        raise InputError("Expected a text with at least one word, got none.")
    if np.all(encoded.ids == tokenizer.unk_id):
        raise InputError(
            f"Expected a text with words that {opened.pretrained.name} knows; all "
            f"{len(encoded.ids)} tokens of this one are {_piece(tokenizer)}."
        )
    if layer not in trained.layers:
        raise InputError(f"Expected a layer of {trained.layers}, got {layer}.")
    candidates = _cut(opened, text, encoded, factor=factor)
    strongest = [
        _codes_of(opened, trained, candidate, layer=layer) for candidate in candidates
    ]
    window = int(np.argmax([np.max(codes) for codes in strongest]))
    position = int(np.argmax(strongest[window]))
    if strongest[window][position] <= 0:
        raise InputError(
            f"Factor {factor} fires at no token of this text at layer {layer}; "
            "`tfvis encode` shows which factors do."
        )
    return FoundInText(
        target=dataclasses.replace(candidates[window], position=position),
        n_windows=len(candidates),
        window=window,
    )


def _cut(opened, text, encoded, *, factor):
    tokenizer = opened.tokenizer
    special = opened.config.corpus.special_tokens
    boundaries = cutting.window_boundaries(
        encoded,
        starts_word=cutting.word_starts(
            encoded, is_continuation=tokenizer.is_continuation
        ),
        capacity=opened.pretrained.config.max_positions - 2 * special,
    )
    texts = [text[a:b] for a, b in zip(encoded.starts, encoded.ends, strict=True)]
    before = np.array([tokenizer.cls_id] * special, np.int32)
    after = np.array([tokenizer.sep_id] * special, np.int32)
    blank = [""] * special
    is_spaced = np.zeros(len(texts), bool)
    is_spaced[1:] = encoded.starts[1:] > encoded.ends[:-1]
    return [
        Target(
            token_ids=np.concatenate([before, encoded.ids[start:stop], after]),
            texts=(*blank, *texts[start:stop], *blank),
            is_spaced=np.pad(is_spaced[start:stop], int(special)),
            is_text=np.pad(np.ones(stop - start, bool), int(special)),
            position=int(special),
            factor=factor,
        )
        for start, stop in itertools.pairwise(boundaries)
    ]


def _codes_of(opened, trained, target, *, layer):
    """Returns the factor's activation at every token of a window, [length]."""
    length = len(target.token_ids)
    padding = min(
        -length % LENGTH_STEP, opened.pretrained.config.max_positions - length
    )
    token_ids = np.pad(
        target.token_ids, (0, padding), constant_values=opened.tokenizer.pad_id
    )
    states = hidden_states_lib.scaled_hidden_states(
        opened.pretrained.encoder,
        token_ids[None],
        np.arange(length + padding)[None] < length,
        jnp.asarray(trained.layer_scale[[trained.layers.index(layer)]]),
        layers=(layer,),
    )
    rows = encoding.encode_layer(
        states[0],
        np.pad(target.is_text, (0, padding))[None],
        jnp.asarray(trained.factors),
        solver=trained.solver(opened.config.solver),
    )
    return np.asarray(rows.codes[:length, target.factor])


def _piece(tokenizer: tokenizer_lib.Tokenizer) -> str:
    return tokenizer.pieces[tokenizer.unk_id]
