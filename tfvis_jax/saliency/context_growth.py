"""Grow the context of a word outward from it: does α return, and from which words?

Two directions reach the same context from opposite sides. *Keeping* hides every word
beyond a radius: the word ± r words are all that there is. *Replacing* puts the words of
another passage in their place: the word ± r words stand in a foreign text. What α is at
a radius in both is owed to the words within it. Words are altered as a whole, never a
piece of one, and special tokens stay.

Two more alterations tell what of the context counts: its words in random order, and the
context without the word, the mask token in its place. A model without a mask token gets
other words there, from another passage.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tfvis_jax.data import windows as windows_lib
from tfvis_jax.saliency import target as target_lib
from tfvis_jax.saliency import variants


class Donor(NamedTuple):
    """The passage that words are taken from.

    Attributes:
      token_ids: [n] int32, without special tokens.
      starts_word: [n] bool.
    """

    token_ids: np.ndarray
    starts_word: np.ndarray


def distances(target: target_lib.Place) -> np.ndarray:
    """Returns how many words each token is away from the target's word, [length].

    Tokens of the word itself, and special tokens, are at 0.
    """
    away = np.abs(target.word - target.word[target.position])
    return np.where(target.is_text, away, 0)


def keeping(target: target_lib.Place, radii: Sequence[int]) -> variants.Variants:
    """Returns the window with the words beyond each radius hidden from attention."""
    seen = distances(target) <= np.asarray(radii)[:, None]
    token_ids = np.broadcast_to(target.token_ids, seen.shape)
    return variants.Variants(token_ids, seen, target)


def replacing(
    target: target_lib.Place, donor: Donor, radii: Sequence[int]
) -> variants.Variants:
    """Returns the window with the words beyond each radius replaced.

    The number of tokens stays the same on either side. Before the word, the donor's
    tokens end where one of its words ends; behind it, they begin where one begins. So
    no foreign piece attaches to a word that was kept.

    Args:
      target: the token in its window.
      donor: passage to take words from.
      radii: numbers of words that are kept on either side.
    """
    away = distances(target)
    rows = [_in_passage(target, donor, away <= radius) for radius in radii]
    token_ids = np.stack(rows)
    return variants.Variants(token_ids, np.ones(token_ids.shape, bool), target)


def shuffled(
    target: target_lib.Place, rng: np.random.Generator, *, count: int = 1
) -> variants.Variants:
    """Returns the window with all other words in random order, ``count`` times.

    The target's word keeps its place. Words change sides, unless their lengths do not
    add up to the tokens before it: then those before it and those behind it are
    shuffled apart.
    """
    token_ids = np.stack([_in_random_order(target, rng) for _ in range(count)])
    return variants.Variants(token_ids, np.ones(token_ids.shape, bool), target)


def without_word(target: target_lib.Place, *, by: int) -> variants.Variants:
    """Returns the window with every token of the target's word replaced.

    Args:
      target: the token in its window.
      by: id of the token to put in their place, such as [MASK].
    """
    is_word = target.is_text & (target.word == target.word[target.position])
    token_ids = np.where(is_word, np.int32(by), target.token_ids)[None]
    return variants.Variants(token_ids, np.ones(token_ids.shape, bool), target)


def other_word(target: target_lib.Place, donor: Donor) -> variants.Variants:
    """Returns the window with the target's word replaced by words of another passage.

    They begin where a word of the donor begins, and have as many tokens.

    Args:
      target: the token in its window.
      donor: passage to take words from.
    """
    is_word = target.is_text & (target.word == target.word[target.position])
    starts = np.flatnonzero(donor.starts_word)
    # In the middle, where words are used as in running text.
    start = int(starts[len(starts) // 2])
    n = len(donor.token_ids)
    places = np.arange(start, start + int(is_word.sum())) % n
    token_ids = target.token_ids.copy()
    token_ids[is_word] = donor.token_ids[places]
    return variants.Variants(
        token_ids[None], np.ones((1, len(token_ids)), bool), target
    )


def compact(
    requests: variants.Variants, *, lengths: Sequence[int]
) -> list[variants.Variants]:
    """Moves the visible tokens together, so that short rows are computed as such.

    A token that nothing attends to changes no other hidden state, and every token keeps
    its position id. So α stays the same.

    Args:
      requests: variants with hidden tokens.
      lengths: lengths of rows to choose from, ascending.

    Returns:
      Variants that begin with those of the first length, then those of the next ones;
      within a length in their order. Together they are all of ``requests``, in this
      order where later rows have no fewer visible tokens than earlier ones.
    """
    visible = requests.attention.sum(axis=1)
    whole = requests.attention.shape[1]
    limits = [length for length in lengths if length < whole] + [whole]
    size = np.searchsorted(limits, visible)
    found = []
    for index in np.unique(size).tolist():
        attention = requests.attention[size == index]
        # The visible tokens of each row come first, in their order.
        places = np.argsort(~attention, axis=1, kind="stable")[:, : limits[index]]
        ids = requests.token_ids[size == index]
        found.append(
            variants.Variants(
                np.take_along_axis(ids, places, axis=1),
                np.take_along_axis(attention, places, axis=1),
                requests.target,
                places.astype(np.int32),
            )
        )
    return found


def donor_of_window(windows: windows_lib.Windows, window: int) -> Donor:
    """Returns the text of a window of the corpus as a passage to take words from."""
    of_position = windows.word_of_position(window)
    token_ids = windows.unpadded_ids(window)
    of_position = of_position[: len(token_ids)]
    is_text = of_position >= 0
    word = of_position[is_text]
    return Donor(token_ids[is_text], np.diff(word, prepend=-1) > 0)


def _in_passage(target: target_lib.Place, donor: Donor, kept: np.ndarray) -> np.ndarray:
    """Returns the token ids with those not kept taken from the donor, [length]."""
    places = np.flatnonzero(~kept)
    before, behind = places[places < target.position], places[places > target.position]
    starts = np.flatnonzero(donor.starts_word)
    # Between the two parts, in the middle, is the word start where the kept words
    # stand; a short passage is read in a circle.
    late_enough = starts[starts >= len(before)]
    middle = int((late_enough if len(late_enough) else starts)[0])
    token_ids = target.token_ids.copy()
    n = len(donor.token_ids)
    token_ids[before] = donor.token_ids[np.arange(middle - len(before), middle) % n]
    token_ids[behind] = donor.token_ids[np.arange(middle, middle + len(behind)) % n]
    return token_ids


def _in_random_order(target: target_lib.Place, rng: np.random.Generator) -> np.ndarray:
    """Returns the token ids of one order, [length]."""
    own = target.word[target.position]
    places = target.places
    the_word = places[target.word[places] == own]
    n_before = int(np.searchsorted(places, the_word[0]))
    others = [places[target.word[places] == w] for w in np.unique(target.word[places])]
    others = [word for word in others if target.word[word[0]] != own]
    others = [others[i] for i in rng.permutation(len(others))]
    before, behind, room = [], [], n_before
    for word in others:
        (before if len(word) <= room else behind).append(word)
        room -= len(word) if len(word) <= room else 0
    if room:
        before = [word for word in others if word[0] < the_word[0]]
        behind = [word for word in others if word[0] > the_word[0]]
    token_ids = target.token_ids.copy()
    token_ids[places] = target.token_ids[np.concatenate([*before, the_word, *behind])]
    return token_ids
