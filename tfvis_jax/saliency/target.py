"""Define the target of a saliency map: one token of a window, and one factor.

A window is the token ids that were encoded. It is never decoded and tokenised again,
since that could shift the target token.
"""

import dataclasses
import itertools

import jax.numpy as jnp
import numpy as np

from tfvis_jax.data import cutting
from tfvis_jax.data import hidden_states as hidden_states_lib
from tfvis_jax.data import tokenizer as tokenizer_lib
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.data import words as words_lib
from tfvis_jax.errors import InputError
from tfvis_jax.runs import dictionary_file, encoding, setup

# Windows are padded to a multiple of this, so that few lengths are compiled.
LENGTH_STEP = 16


@dataclasses.dataclass(frozen=True, eq=False)
class Target:
    """A token at which the activation of one factor is to be explained.

    Attributes:
      token_ids: [length] int32, with special tokens, without padding.
      texts: [length] text of each token, composed (NFC); "" for special tokens.
      shown: [length] parts of the text, one for each token: of tokens that share a
        character, such as those of a Hangul syllable, only the first has it.
      is_spaced: [length] bool, True if white space precedes the token.
      is_text: [length] bool, False for special tokens, which are never altered.
      position: index of the target token.
      factor: index of the factor.
    """

    token_ids: np.ndarray
    texts: tuple[str, ...]
    shown: tuple[str, ...]
    is_spaced: np.ndarray
    is_text: np.ndarray
    position: int
    factor: int

    @property
    def places(self) -> np.ndarray:
        """Indices of the tokens that may be altered, [n], ascending."""
        return np.flatnonzero(self.is_text)

    def replaced(self, kept: np.ndarray, *, by: int) -> np.ndarray:
        """Returns copies of the window with some tokens replaced.

        Args:
          kept: [variants, n] bool over `places`, True where a token is kept.
          by: id of the token that replaces the others.

        Returns:
          [variants, length] int32.
        """
        whole = np.ones((len(kept), len(self.token_ids)), bool)
        whole[:, self.places] = kept
        return np.where(whole, self.token_ids, np.int32(by))


def of_window(
    windows: windows_lib.Windows, *, window: int, position: int, factor: int
) -> Target:
    """Returns a token of the corpus as a target.

    Args:
      windows: token windows of the run.
      window: index of the window.
      position: index of the token in the window.
      factor: index of the factor.
    """
    # Padding is cut off: it would only lengthen the window.
    length = int(windows.lengths[window])
    spaced = windows.spaced_texts(window)[:length]
    return Target(
        token_ids=windows.token_ids(np.array([window]))[0, :length],
        texts=tuple(windows.token_texts(window)[:length]),
        shown=tuple(words_lib.composed(text.lstrip()) for text in spaced),
        is_spaced=np.array([words_lib.has_space(text[:1]) for text in spaced]),
        is_text=windows.row_mask(np.array([window]))[0, :length],
        position=position,
        factor=factor,
    )


@dataclasses.dataclass(frozen=True)
class FoundInText:
    """The token of a text at which a factor fires most.

    Attributes:
      target: the token in its window.
      n_windows: number of windows that the text was cut into; 1 if it fitted.
      window: index of the window with the target, from 0.
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

    A text with more tokens than the model has positions is cut into windows at the
    starts of words, like a document.

    Args:
      opened: model, tokeniser and settings of the run.
      trained: dictionary of the run.
      text: text of any length.
      layer: layer of the dictionary.
      factor: index of the factor.

    Raises:
      InputError: if the text is empty, if the model knows none of its tokens, if there
        is no such layer, or if the factor fires at none of the tokens.
    """
    tokenizer = opened.tokenizer
    # Command-line bytes that are not UTF-8 arrive as lone surrogates.
    text = text.encode("utf-8", "replace").decode()
    encoded = tokenizer.encode(text)
    if not len(encoded.ids):
        raise InputError("Expected a text with at least one word, got none.")
    if np.all(encoded.ids == tokenizer.unk_id):
        raise InputError(
            f"Expected a text with words that {opened.pretrained.name} knows; all "
            f"{len(encoded.ids)} tokens of this text are {_piece(tokenizer)}."
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
            f"Factor {factor} does not fire at any token of this text at layer "
            f"{layer}; `tfvis encode` shows which factors do."
        )
    return FoundInText(
        target=dataclasses.replace(candidates[window], position=position),
        n_windows=len(candidates),
        window=window,
    )


def _cut(
    opened: setup.Setup, text: str, encoded: tokenizer_lib.TokenizedText, *, factor: int
) -> list[Target]:
    """Returns the windows of a text, each with its first text token as the target."""
    tokenizer = opened.tokenizer
    special = opened.config.corpus.special_tokens
    boundaries = cutting.window_boundaries(
        encoded,
        capacity=opened.pretrained.config.max_positions - 2 * special,
    )
    # Texts come from the offsets, and so keep the spelling that the tokeniser changes.
    texts, shown = (
        [
            words_lib.composed(text[a:b])
            for a, b in zip(starts, encoded.ends, strict=True)
        ]
        for starts in (encoded.starts, words_lib.unshared(encoded.starts, encoded.ends))
    )
    before = np.array([tokenizer.cls_id] * special, np.int32)
    after = np.array([tokenizer.sep_id] * special, np.int32)
    blank = [""] * special
    is_spaced = words_lib.follow_space(text, encoded.starts, encoded.ends)
    return [
        Target(
            token_ids=np.concatenate([before, encoded.ids[start:stop], after]),
            texts=(*blank, *texts[start:stop], *blank),
            shown=(*blank, *shown[start:stop], *blank),
            is_spaced=np.pad(is_spaced[start:stop], int(special)),
            is_text=np.pad(np.ones(stop - start, bool), int(special)),
            position=int(special),
            factor=factor,
        )
        for start, stop in itertools.pairwise(boundaries)
    ]


def _codes_of(
    opened: setup.Setup,
    trained: dictionary_file.TrainedDictionary,
    target: Target,
    *,
    layer: int,
) -> np.ndarray:
    """Returns the factor's activation at every token of a window, [length]."""
    length = len(target.token_ids)
    # The last step may go beyond the positions that the model has.
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
    """Returns the piece that stands for unknown words, such as [UNK]."""
    return tokenizer.pieces[tokenizer.unk_id]
