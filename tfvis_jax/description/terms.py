"""Words and n-grams that occur at a factor, or around it, more than in the corpus.

One document that repeats itself must not decide. Contexts of the same words count once,
and the contexts of one document weigh together as much as those of any other. What is
counted of an n-gram is the number of documents that effectively hold it, (Σs)² / Σs²
over its weights s in the documents; its share of all n-grams is the weighted one. In a
corpus of few documents each window is taken for one.
"""

import collections
import dataclasses
from collections.abc import Callable, Collection, Iterator, Sequence

import numpy as np

from tfvis_jax.data import windows as windows_lib
from tfvis_jax.description import log_odds, word_counts
from tfvis_jax.errors import InputError
from tfvis_jax.examples import results as results_lib

# Words on either side that belong to a context.
RADIUS = 10
_MIN_DOCUMENTS = 20
# An n-gram of one document says what the document is about.
_MIN_EFFECTIVE = 2
# In standard deviations: of the thousands of n-grams round a factor, many are above
# two by chance.
_MIN_Z = 3.0
# A longer n-gram takes the place of a shorter one that hardly stands without it.
_SAME = 0.8
# A tagger is slow, and shares of tags are soon known.
_MAX_TAGGED = 200

Tagger = Callable[[list[str]], list[str]]


@dataclasses.dataclass(frozen=True, eq=False)
class FiringContext:
    """A word that fires a factor, in its window.

    Attributes:
      words: of the window, in the corpus's spelling.
      is_spaced: [n] bool, whether white space stands before each.
      place: of the word that fires.
      document: number of the document, or of the window in a corpus of few documents.
    """

    words: Sequence[str]
    is_spaced: np.ndarray
    place: int
    document: int

    @property
    def nearby(self) -> range:
        """Places of the words that count, the firing one included."""
        first = max(self.place - RADIUS, 0)
        return range(first, min(self.place + RADIUS + 1, len(self.words)))


@dataclasses.dataclass(frozen=True)
class Term:
    """A word or n-gram that stands at a factor more than elsewhere.

    Attributes:
      text: as its strongest context spells it.
      n: words in it.
      z: log-odds ratio in standard deviations.
      log_odds: the ratio itself, a natural logarithm.
      documents: in how many documents it stands there.
      share: of the n-grams of its length there, each document weighing the same.
      corpus_share: of all n-grams of the corpus of its length.
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
    """What is over-represented where a factor fires.

    Attributes:
      at: terms that hold the firing word, by falling z.
      around: terms of the words nearby that do not.
      n_contexts: contexts of different words.
      n_documents: that they are from.
      counted_by: "document", or "window" in a corpus of few documents.
    """

    at: tuple[Term, ...]
    around: tuple[Term, ...]
    n_contexts: int
    n_documents: int
    counted_by: str


def contexts(
    results: results_lib.Results, *, factor: int, layer: int
) -> list[FiringContext]:
    """Returns the strongest contexts of a factor that differ, the strongest first.

    Args:
      results: of the run, with its examples.
      factor, layer: of the dictionary.
    """
    found = results.examples
    index = results.trained.layers.index(layer)
    firing = found.activation[index, factor] > 0
    windows = results.windows
    document_of = windows.document if by_document(windows) else int
    seen: set[tuple[int, tuple[str, ...]]] = set()
    kept = []
    for window, position in zip(
        found.window[index, factor][firing].tolist(),
        found.position[index, factor][firing].tolist(),
        strict=True,
    ):
        words = windows.words(window)
        context = FiringContext(
            words=words.texts,
            is_spaced=words.is_spaced,
            place=int(words.of_position[position]),
            document=document_of(window),
        )
        # Of a word's several tokens the strongest counts.
        nearby = context.nearby
        text = tuple(word_counts.fold(words.texts[i]) for i in nearby)
        if (context.place - nearby.start, text) not in seen:
            seen.add((context.place - nearby.start, text))
            kept.append(context)
    return kept


def by_document(windows: windows_lib.Windows) -> bool:
    """Whether a corpus has enough documents to count by them."""
    shards = windows.index["shards"]
    return sum(shard["num_documents"] for shard in shards) >= _MIN_DOCUMENTS


def find(
    found: Sequence[FiringContext],
    corpus: word_counts.WordCounts,
    *,
    counted_by: str,
    limit: int,
) -> Terms:
    """Returns what is over-represented in contexts against their corpus.

    Args:
      found: the contexts.
      corpus: its n-grams.
      counted_by: "document" or "window", what ``document`` of the contexts numbers.
      limit: terms of either kind, at most.
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
    """Returns the share of each tag among the firing words, the largest first.

    Each document weighs the same. At most the 200 strongest contexts are tagged.

    Args:
      found: contexts, the strongest first.
      tagger: returns a tag for each word of a window.

    Raises:
      InputError: it returns another number of tags than it gets words.
    """
    found = found[:_MAX_TAGGED]
    shares = collections.Counter[str]()
    for context, weight in zip(found, weights(found), strict=True):
        tags = tagger(list(context.words))
        if len(tags) != len(context.words):
            raise InputError(
                f"Expected a tagger that gives each of {len(context.words)} words a "
                f"tag, got {len(tags)} tags."
            )
        shares[tags[context.place]] += weight
    total = shares.total()
    return {tag: share / total for tag, share in shares.most_common()}


def weights(found: Sequence[FiringContext]) -> list[float]:
    """Returns the weight of each context: those of one document add up to one."""
    of_document = collections.Counter(context.document for context in found)
    return [1 / of_document[context.document] for context in found]


def _over_represented(found, corpus, *, at, limit) -> tuple[Term, ...]:
    ranked = []
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
        # Of a sampled corpus: it holds what its contexts hold.
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


def _shares(found, *, n, at):
    """Returns the weight of each n-gram in each document, and where it stands first.

    Args:
      found: contexts.
      n: length.
      at: whether to take the n-grams that hold the firing word, or the others.
    """
    shares: dict[tuple[str, ...], dict[int, float]] = {}
    first_seen: dict[tuple[str, ...], tuple[FiringContext, int]] = {}
    for context, weight in zip(found, weights(found), strict=True):
        nearby, place, document = context.nearby, context.place, context.document
        words = [word_counts.fold(context.words[i]) for i in nearby]
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


def _spelt(context, places) -> str:
    parts = (" " * bool(context.is_spaced[i]) + context.words[i] for i in places)
    return "".join(parts).strip()


def _effective(shares: Collection[float]) -> float:
    """Returns how many equal shares would be as uneven as these: (Σs)² / Σs²."""
    return sum(shares) ** 2 / sum(share**2 for share in shares)


def _without_nested(ranked, *, limit) -> Iterator[Term]:
    """Yields the best terms, of any that lie in one another the best.

    But a longer one that has nearly all of its weight takes its place.
    """
    kept: list[tuple[tuple[str, ...], float, Term]] = []
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


def _lies_in(short, long) -> bool:
    starts = range(len(long) - len(short) + 1)
    return any(long[i : i + len(short)] == short for i in starts)
