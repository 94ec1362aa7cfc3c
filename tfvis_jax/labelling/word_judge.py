"""A judge of labels without a language model: a linear function of the words in them.

The words of a label have weights w. What a set of words V fits it is

    s(V) = Σ over distinct words v of V:  w(v),

linear in the bag of words. V is the excerpt for detection and the intruder, and the
marked words for fuzzing. The answer is yes where s > t; t is the threshold of largest
balanced accuracy on the excerpts that whoever names a factor may read, so no excerpt of
a question is seen. The intruder is the excerpt of least s; of equal ones, any.

It knows nothing of meaning, so that its scores are a lower bound on how well words say
when a factor fires.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from tfvis_jax.data import words as words_lib
from tfvis_jax.description import factor_words, word_counts
from tfvis_jax.labelling import excerpts, trials
from tfvis_jax.labelling.excerpts import Excerpt

NAME = "words"
_WORD = re.compile(r"\w+")


def of_word_list(found: Sequence[factor_words.FactorWord]) -> dict[str, float]:
    """Returns the weights of a list of words: Σ α² of each, the first one's 1."""
    return {words_lib.fold(each.text): each.weight / found[0].weight for each in found}


def of_text(label: str, counts: word_counts.WordCounts) -> dict[str, float]:
    """Returns the weights of the words of a label in prose: their surprisal in bits.

    Args:
      label: any text.
      counts: of the corpus, so that "of" counts little; a word that it does not have
        counts as if it had it once.
    """
    words = [words_lib.fold(word) for word in _WORD.findall(label)]
    if not words:
        return {}
    times = np.maximum(counts.count([(word,) for word in words]), 1)
    bits = np.log2(max(counts.totals[0], 2) / times)
    return dict(zip(words, bits.tolist(), strict=True))


class WordJudge:
    """Answers the questions about one factor from the words of a label."""

    def __init__(
        self,
        weights: Mapping[str, float],
        material: excerpts.Material,
        *,
        seed: int = 0,
    ) -> None:
        """Finds the two thresholds.

        Args:
          weights: of the folded words of the label.
          material: of the factor; what it has to read is read, and no more.
          seed: of wrong marks and of ties.
        """
        self._weights = weights
        self._rng = np.random.default_rng([seed, material.factor, 1])
        self._fires = threshold(
            [self._of_excerpt(each) for each in material.read],
            [self._of_excerpt(each) for each in material.read_silent],
        )
        marked = trials.fuzzed(material.read, self._rng)
        self._is_marked = threshold(
            *(
                [self._of_marked(each) for each in marked if each.answer is answer]
                for answer in (True, False)
            )
        )

    def right(self, asked: trials.Trials) -> dict[str, tuple[int, int]]:
        """Returns right answers and questions, by the name of the score."""
        detection = [
            (self._of_excerpt(each.excerpt) > self._fires) == each.answer
            for each in asked.detection
        ]
        fuzzing = [
            (self._of_marked(each) > self._is_marked) == each.answer
            for each in asked.fuzzing
        ]
        intruder = [self._intruder(each) == each.answer for each in asked.intruder]
        return {
            name: (sum(said), len(said))
            for name, said in zip(
                trials.NAMES, (detection, fuzzing, intruder), strict=True
            )
        }

    def _intruder(self, each: trials.Intruder) -> int:
        fit = np.array([self._of_excerpt(excerpt) for excerpt in each.group])
        return int(self._rng.choice(np.flatnonzero(fit == fit.min())))

    def _of_excerpt(self, excerpt: Excerpt) -> float:
        return self._fit(excerpt.words)

    def _of_marked(self, each: trials.Fuzzing) -> float:
        return self._fit(each.excerpt.words[place] for place in each.marked)

    def _fit(self, words: Iterable[str]) -> float:
        distinct = {words_lib.fold(word.strip()) for word in words}
        return sum(self._weights.get(word, 0.0) for word in sorted(distinct))


def threshold(yes: Collection[float], no: Collection[float]) -> float:
    """Returns the t for which s > t says yes with the largest balanced accuracy.

    Args:
      yes, no: s ≥ 0 where the answer is yes, and where it is no.

    Returns:
      0 or one of the values, the smallest of equally good ones; 0, any word of the
      label, without examples of both.
    """
    if not yes or not no:
        return 0.0
    candidates = np.unique([0.0, *yes, *no])
    of_yes, of_no = np.array(sorted(yes)), np.array(sorted(no))
    accepted = 1 - np.searchsorted(of_yes, candidates, side="right") / len(of_yes)
    refused = np.searchsorted(of_no, candidates, side="right") / len(of_no)
    return float(candidates[np.argmax(accepted + refused)])
