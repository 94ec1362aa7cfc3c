"""Find words and n-grams that are over-represented where a factor fires.

A document that repeats itself must not dominate. Contexts with the same words count
once, and the contexts of one document weigh as much together as those of any other. The
count of an n-gram is its effective number of documents, (Σs)² / Σs² over its weights s
in the documents; its share of all n-grams is the weighted share. In a corpus of few
documents, each window counts as a document.
"""

import collections
import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfvis_jax.data import windows as windows_lib
from tfvis_jax.data import words as words_lib
from tfvis_jax.description import log_odds, word_counts
from tfvis_jax.errors import InputError

if TYPE_CHECKING:
    from tfvis_jax.examples import results as results_lib

# Number of words on either side that belong to a context.
RADIUS = 10
# Fewer documents than this, and windows are counted instead.
_MIN_DOCUMENTS = 20
# An n-gram from a single document tells what the document is about, not the factor.
_MIN_EFFECTIVE = 2
# Of the thousands of n-grams near a factor, many exceed z = 2 by chance.
_MIN_Z = 3.0
# A longer n-gram replaces a shorter one if it has at least this share of its weight.
_SAME = 0.8
# Tagging is slow, and the shares of tags converge early.
_MAX_TAGGED = 200

# Returns a part-of-speech tag for each word of a window.
Tagger = Callable[[list[str]], list[str]]


@dataclasses.dataclass(frozen=True, eq=False)
class FiringContext:
    """A word that fires a factor, in its window.

    Attributes:
      words: words of the window, spelled as in the corpus.
      is_spaced: [n] bool, True if white space precedes the word.
      place: index of the word that fires the factor.
      document: index of the document, or of the window in a corpus of few documents.
    """

    words: Sequence[str]
    is_spaced: np.ndarray
    place: int
    document: int

    @property
    def nearby(self) -> range:
        """Indices of the words within `RADIUS`, including the firing word."""
        first = max(self.place - RADIUS, 0)
        return range(first, min(self.place + RADIUS + 1, len(self.words)))


@dataclasses.dataclass(frozen=True)
class Term:
    """A word or n-gram that is over-represented where a factor fires.

    Attributes:
      text: spelling in its strongest context.
      n: number of words.
      z: log-odds ratio in standard deviations.
      log_odds: log-odds ratio, natural logarithm.
      documents: number of documents in whose contexts it occurs.
      share: share of the n-grams of its length in the contexts, with documents weighted
        equally.
      corpus_share: share of the n-grams of its length in the corpus.
    """

    text: str
    n: int
    z: float
    log_odds: float
    documents: int
    share: float
    corpus_share: float


@dataclasses.dataclass(frozen=True)
class Terms:
    """The terms that are over-represented where a factor fires.

    Attributes:
      at: terms that contain the firing word, by descending z.
      around: terms nearby that do not contain it, by descending z.
      n_contexts: number of distinct contexts.
      n_documents: number of documents that they come from.
      counted_by: "document", or "window" in a corpus of few documents.
    """

    at: tuple[Term, ...]
    around: tuple[Term, ...]
    n_contexts: int
    n_documents: int
    counted_by: str


# The words of an n-gram, without regard to case; its weight; the term.
_Ranked = tuple[tuple[str, ...], float, Term]


def contexts(
    results: "results_lib.Results", *, factor: int, layer: int
) -> list[FiringContext]:
    """Returns the distinct contexts of a factor's stored examples, strongest first.

    Args:
      results: results of the run, with examples.
      factor: index of the factor.
      layer: layer of the dictionary.
    """
    found = results.examples
    index = results.trained.layers.index(layer)
    top = found.top(index, factor)
    windows = results.windows
    document_of = windows.document if by_document(windows) else int
    seen: set[tuple[int, tuple[str, ...]]] = set()
    kept = []
    for window, position in zip(
        top.window.tolist(), top.position.tolist(), strict=True
    ):
        words = windows.words(window)
        context = FiringContext(
            words=words.texts,
            is_spaced=words.is_spaced,
            place=int(words.of_position[position]),
            document=document_of(window),
        )
        # Examples come strongest first: of a word's tokens, the strongest counts.
        nearby = context.nearby
        text = tuple(words_lib.fold(words.texts[i]) for i in nearby)
        if (context.place - nearby.start, text) not in seen:
            seen.add((context.place - nearby.start, text))
            kept.append(context)
    return kept


def by_document(windows: windows_lib.Windows) -> bool:
    """Returns whether a corpus has enough documents to count by document."""
    return windows.index["num_documents"] >= _MIN_DOCUMENTS


def find(
    found: Sequence[FiringContext],
    corpus: word_counts.WordCounts,
    *,
    counted_by: str,
    limit: int,
) -> Terms:
    """Returns the terms that are over-represented in contexts relative to the corpus.

    Args:
      found: contexts of the factor.
      corpus: n-gram counts of the corpus.
      counted_by: "document" or "window"; what ``document`` of the contexts refers to.
      limit: maximum number of terms of either kind.
    """
    documents = {context.document for context in found}
    return Terms(
        at=_over_represented(found, corpus, at=True, limit=limit),
        around=_over_represented(found, corpus, at=False, limit=limit),
        n_contexts=len(found),
        n_documents=len(documents),
        counted_by=counted_by,
    )


def part_of_speech(found: Sequence[FiringContext], tagger: Tagger) -> dict[str, float]:
    """Returns the share of each tag among the firing words, largest first.

    All documents weigh the same. Only the 200 strongest contexts are tagged.

    Args:
      found: contexts, strongest first.
      tagger: returns a tag for each word of a window.

    Raises:
      InputError: if the tagger returns more or fewer tags than words.
    """
    found = found[:_MAX_TAGGED]
    shares: dict[str, float] = collections.defaultdict(float)
    for context, weight in zip(found, weights(found), strict=True):
        tags = tagger(list(context.words))
        if len(tags) != len(context.words):
            raise InputError(
                f"Expected the tagger to give each of {len(context.words)} words a "
                f"tag, got {len(tags)} tags."
            )
        shares[tags[context.place]] += weight
    total = sum(shares.values())
    by_share = sorted(shares.items(), key=lambda entry: entry[1], reverse=True)
    return {tag: share / total for tag, share in by_share}


def weights(found: Sequence[FiringContext]) -> list[float]:
    """Returns the weight of each context; the weights of one document sum to 1."""
    of_document = collections.Counter(context.document for context in found)
    return [1 / of_document[context.document] for context in found]


def _over_represented(
    found: Sequence[FiringContext],
    corpus: word_counts.WordCounts,
    *,
    at: bool,
    limit: int,
) -> tuple[Term, ...]:
    """Returns terms that contain the firing word if ``at``, else terms around it."""
    ranked: list[_Ranked] = []
    # Of a single document, its own n-grams are all there is.
    enough = min(_MIN_EFFECTIVE, len({context.document for context in found}))
    for n in range(1, word_counts.LONGEST + 1):
        shares, first_seen = _shares(found, n=n, at=at)
        share = {key: sum(each.values()) for key, each in shares.items()}
        total = sum(share.values())
        count = {key: _effective(each.values()) for key, each in shares.items()}
        keys = [key for key in shares if count[key] >= enough]
        if not keys:
            continue
        y = np.array([count[key] for key in keys])
        rate = np.array([share[key] for key in keys]) / total
        # A sampled corpus may miss n-grams that the contexts contain.
        background = np.maximum(corpus.count(keys), [len(shares[key]) for key in keys])
        delta, z = log_odds.compare(
            y, background, total=y / rate, background_total=corpus.totals[n - 1]
        )
        for i in np.flatnonzero(z >= _MIN_Z):
            context, first = first_seen[keys[i]]
            term = Term(
                text=_spelt(context, range(first, first + n)),
                n=n,
                z=float(z[i]),
                log_odds=float(delta[i]),
                documents=len(shares[keys[i]]),
                share=float(rate[i]),
                corpus_share=float(background[i] / max(corpus.totals[n - 1], 1)),
            )
            ranked.append((keys[i], share[keys[i]], term))
    ranked.sort(key=lambda entry: (-entry[2].z, entry[0]))
    return tuple(_without_nested(ranked, limit=limit))


def _shares(
    found: Sequence[FiringContext], *, n: int, at: bool
) -> tuple[
    dict[tuple[str, ...], dict[int, float]],
    dict[tuple[str, ...], tuple[FiringContext, int]],
]:
    """Returns the weight of each n-gram per document, and its first occurrence.

    Args:
      found: contexts, strongest first.
      n: length of the n-grams.
      at: If True, take the n-grams that contain the firing word, else the others.
    """
    shares: dict[tuple[str, ...], dict[int, float]] = {}
    first_seen: dict[tuple[str, ...], tuple[FiringContext, int]] = {}
    for context, weight in zip(found, weights(found), strict=True):
        nearby, place, document = context.nearby, context.place, context.document
        words = [words_lib.fold(context.words[i]) for i in nearby]
        for i in range(len(words) - n + 1):
            first = nearby.start + i
            if (first <= place < first + n) != at:
                continue
            key = tuple(words[i : i + n])
            if key not in shares:
                shares[key] = {}
                first_seen[key] = (context, first)
            of_key = shares[key]
            of_key[document] = of_key.get(document, 0.0) + weight
    return shares, first_seen


def _spelt(context: FiringContext, places: Iterable[int]) -> str:
    parts = (" " * bool(context.is_spaced[i]) + context.words[i] for i in places)
    return "".join(parts).strip()


def _effective(shares: Collection[float]) -> float:
    """Returns the effective number of shares, (Σs)² / Σs²."""
    return sum(shares) ** 2 / sum(share**2 for share in shares)


def _without_nested(ranked: Sequence[_Ranked], *, limit: int) -> Iterator[Term]:
    """Yields the best terms without nested ones.

    Of two terms of which one contains the other, the better one is kept, except that a
    longer term with nearly the same weight replaces the shorter one.
    """
    kept: list[_Ranked] = []
    for key, weight, term in ranked:
        for i, (other, other_weight, _) in enumerate(kept):
            if _lies_in(key, other):
                break
            if _lies_in(other, key):
                if weight >= _SAME * other_weight:
                    kept[i] = (key, weight, term)
                break
        else:
            kept.append((key, weight, term))
    kept.sort(key=lambda entry: (-entry[2].z, entry[0]))
    yield from (term for _, _, term in kept[:limit])


def _lies_in(short: tuple[str, ...], long: tuple[str, ...]) -> bool:
    starts = range(len(long) - len(short) + 1)
    return any(long[i : i + len(short)] == short for i in starts)
