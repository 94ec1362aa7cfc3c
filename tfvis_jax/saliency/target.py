"""Define the target of a saliency map: one token of a window, and one factor.

A window is the token ids that were encoded. It is never decoded and tokenised again,
since that could shift the target token.
"""

import dataclasses
import itertools

import numpy as np

from tfvis_jax.data import cutting
from tfvis_jax.data import hidden_states as hidden_states_lib
from tfvis_jax.data import tokenizer as tokenizer_lib
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.data import words as words_lib
from tfvis_jax.errors import InputError
from tfvis_jax.runs import encoding, setup, trained_dictionary

# Windows are padded to a multiple of this, so that few lengths are compiled.
LENGTH_STEP = 16


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Place:
    """A token of a window, and a factor: all that activations are computed from.

    Attributes:
      token_ids: [length] int32, with special tokens, without padding.
      is_text: [length] bool, False for special tokens, which are never altered.
      word: [length] int64, index of the word that each token belongs to; −1 for special
        tokens.
      position: index of the target token.
      factor: index of the factor.
    """

    token_ids: np.ndarray
    is_text: np.ndarray
    word: np.ndarray
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


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Target(Place):
    """A token at which the activation of one factor is to be explained.

    Attributes:
      texts: [length] text of each token, composed (NFC); "" for special tokens.
      shown: [length] parts of the text, one for each token: of tokens that share a
        character, such as those of a Hangul syllable, only the first has it.
      is_spaced: [length] bool, True if white space precedes the token.
    """

    texts: tuple[str, ...]
    shown: tuple[str, ...]
    is_spaced: np.ndarray


def place_in_window(
    windows: windows_lib.Windows, *, window: int, position: int, factor: int
) -> Place:
    """Returns a token of the corpus, without the texts that only people need.

    Args:
      windows: token windows of the run.
      window: index of the window.
      position: index of the token in the window.
      factor: index of the factor.
    """
    # Without padding, which would only lengthen the window.
    token_ids = windows.unpadded_ids(window)
    word = windows.word_of_position(window)[: len(token_ids)]
    return Place(
        token_ids=token_ids,
        is_text=word >= 0,
        word=word,
        position=position,
        factor=factor,
    )


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
    place = place_in_window(windows, window=window, position=position, factor=factor)
    length = len(place.token_ids)
    spaced = windows.spaced_texts(window)[:length]
    return Target(
        token_ids=place.token_ids,
        texts=tuple(windows.token_texts(window)[:length]),
        shown=tuple(words_lib.composed(text.lstrip()) for text in spaced),
        is_spaced=np.array([words_lib.has_space(text[:1]) for text in spaced]),
        is_text=place.is_text,
        word=place.word,
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
    trained: trained_dictionary.TrainedDictionary,
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
    unknown = tokenizer.unk_id
    if unknown is not None and np.all(encoded.ids == unknown):
        raise InputError(
            f"Expected a text with words that {opened.pretrained.name} knows; all "
            f"{len(encoded.ids)} tokens of this text are {tokenizer.pieces[unknown]}."
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


def of_text(opened: setup.Setup, text: str, *, position: int, factor: int) -> Target:
    """Returns a token of a text as a target.

    Args:
      opened: model, tokeniser and settings of the run.
      text: text with at most as many tokens as the model has positions.
      position: index of the token in the text, without special tokens.
      factor: index of the factor.

    Raises:
      InputError: if the text is too long or has no such token.
    """
    text = text.encode("utf-8", "replace").decode()
    encoded = opened.tokenizer.encode(text)
    if not 0 <= position < len(encoded.ids):
        raise InputError(
            f"Expected a token in 0 … {len(encoded.ids) - 1}, got {position}."
        )
    windows = _cut(opened, text, encoded, factor=factor)
    if len(windows) > 1:
        raise InputError(
            f"Expected a text that fits {opened.pretrained.name}, got one of "
            f"{len(encoded.ids)} tokens; explain it in parts."
        )
    first = int(np.argmax(windows[0].is_text))
    return dataclasses.replace(windows[0], position=first + position)


def _cut(
    opened: setup.Setup, text: str, encoded: tokenizer_lib.TokenizedText, *, factor: int
) -> list[Target]:
    """Returns the windows of a text, each with its first text token as the target."""
    tokenizer = opened.tokenizer
    special = opened.config.corpus.special_tokens
    before, after = (
        np.array(ids if special else (), np.int32)
        for ids in (tokenizer.prefix, tokenizer.suffix)
    )
    boundaries = cutting.window_boundaries(
        encoded,
        capacity=opened.pretrained.config.max_positions - len(before) - len(after),
    )
    # Texts come from the offsets, and so keep the spelling that the tokeniser changes.
    ends = encoded.ends
    texts = [
        words_lib.shown(text[a:b]) for a, b in zip(encoded.starts, ends, strict=True)
    ]
    spaced = words_lib.spaced(text, encoded.starts, ends)
    shown = [words_lib.composed(part.lstrip()) for part in spaced]
    is_spaced = words_lib.follow_space(text, encoded.starts, ends)
    around = len(before), len(after)
    return [
        Target(
            token_ids=np.concatenate([before, encoded.ids[start:stop], after]),
            texts=(*[""] * len(before), *texts[start:stop], *[""] * len(after)),
            shown=(*[""] * len(before), *shown[start:stop], *[""] * len(after)),
            is_spaced=np.pad(is_spaced[start:stop], around),
            is_text=np.pad(np.ones(stop - start, bool), around),
            word=np.pad(
                np.cumsum(encoded.starts_word[start:stop]) - 1,
                around,
                constant_values=-1,
            ),
            position=len(before),
            factor=factor,
        )
        for start, stop in itertools.pairwise(boundaries)
    ]


def _codes_of(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
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
        *trained.of_layers([layer]).scaling,
        layers=(layer,),
    )
    rows = encoding.encode_layer(
        states[0],
        np.pad(target.is_text, (0, padding))[None],
        trained.coder(opened.config.solver),
    )
    return np.asarray(rows.codes[:length, target.factor])
