"""Word families: the forms of one word, by rules of spelling.

Words are of one family when cutting an ending leaves the same stem of at least four
letters, or when a list says so: forms of irregular verbs, of pronouns, of numbers.
"""

import itertools
from collections.abc import Sequence

import numpy as np

_LISTED = (
    "be is are was were been being am",
    "have has had having",
    "do does did done doing",
    "go goes went gone going",
    "say says said saying",
    "make makes made making",
    "take takes took taken taking",
    "come comes came coming",
    "see sees saw seen seeing",
    "know knows knew known",
    "think thinks thought thinking",
    "leave leaves left leaving",
    "give gives gave given giving",
    "find finds found finding",
    "write writes wrote written writing writer writers",
    "i me my mine myself",
    "you your yours yourself",
    "he him his himself",
    "she her hers herself",
    "we us our ours ourselves",
    "they them their theirs themselves",
    "it its itself",
    "a an",
    "good better best",
    "bad worse worst",
    "man men",
    "woman women",
    "child children",
    "war wars",
    "king kings",
    "law laws",
    "car cars",
    "1 one first 1st once",
    "2 two second 2nd twice",
    "3 three third 3rd",
    "4 four fourth 4th",
    "5 five fifth 5th",
    "6 six sixth 6th",
    "7 seven seventh 7th",
    "8 eight eighth 8th",
    "9 nine ninth 9th",
    "10 ten tenth 10th",
)
_ENDINGS = ("ations", "ation", "ments", "ment", "ings", "ing", "ies", "ied", "ers")
_ENDINGS += ("ions", "ion", "ily", "ed", "er", "es", "or", "ly", "al", "s", "e", "y")
_MIN_STEM = 4


def of_vocabulary(pieces: Sequence[str]) -> np.ndarray:
    """Returns the number of each piece's family, [vocab_size] int64.

    Args:
      pieces: the vocabulary; what begins with ## stands for itself.
    """
    listed = {word: line.split()[0] for line in _LISTED for word in line.split()}
    numbers: dict[str, int] = {}
    counter = itertools.count()
    families = []
    for piece in pieces:
        stem = listed.get(piece) or _stem(piece)
        if stem not in numbers:
            numbers[stem] = next(counter)
        families.append(numbers[stem])
    return np.array(families, np.int64)


def _stem(piece: str) -> str:
    if piece.startswith("##") or not piece.isalpha():
        return piece
    for ending in _ENDINGS:
        if piece.endswith(ending) and len(piece) - len(ending) >= _MIN_STEM:
            return piece.removesuffix(ending)
    return piece
