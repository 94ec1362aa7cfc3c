"""Excerpts of a factor: some for whoever names it, and others to score the name.

An excerpt has at most 12 words on either side of one word. Where the factor fires, α
of that word is at least a tenth of the largest at the layer: the many firings below it,
which codes of a lasso have, count neither as firing nor as silent. Some are of the
strongest tokens, the others of each quartile of α above the tenth. Where the factor is
silent, the word is any, and no token of the excerpt fires at all. No window is in two
excerpts of a factor.
"""

import dataclasses
import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import numpy as np

from tfvis_jax.examples import firing_statistics, passages, stored
from tfvis_jax.examples import results as results_lib
from tfvis_jax.labelling import word_codes

QUARTILES = 4
# Of a factor's largest α: the least that counts as firing.
LEAST = 0.1
_REACH = 12
# Silent excerpts are of these windows, which are encoded for all factors together.
_POOL = 128
# Fewer words say nothing.
_LEAST_WORDS = 5
# A passage and the kind of its excerpt.
_Drawn = tuple[passages.Passage, str]


@dataclasses.dataclass(frozen=True)
class Counts:
    """How many excerpts there are of a factor, at most.

    Attributes:
      top: of the strongest firings, to read.
      per_quartile: of each quartile, to read.
      silent: in which the factor is silent, to read.
      tested: to score; as many of each quartile.
      tested_silent: in which the factor is silent, to score.
    """

    top: int = 10
    per_quartile: int = 2
    silent: int = 8
    tested: int = 20
    tested_silent: int = 15


@dataclasses.dataclass(frozen=True)
class Excerpt:
    """A piece of a window.

    Attributes:
      window: number of the window.
      words: with the space before each; joined they are the text.
      alpha: the largest α of each word's tokens; 0 where it is below a tenth of the
        factor's largest.
      kind: "top", "q1" (the strongest quartile) to "q4", or "silent".
    """

    window: int
    words: tuple[str, ...]
    alpha: tuple[float, ...]
    kind: str

    @property
    def firing(self) -> frozenset[int]:
        """The places of the words on which the factor fires."""
        return frozenset(i for i, alpha in enumerate(self.alpha) if alpha > 0)

    def text(self, marked: Collection[int] = ()) -> str:
        """Returns the text on one line, with <<marks>> around some of its words."""
        return "".join(
            f"{word[: len(word) - len(word.lstrip())]}<<{word.strip()}>>"
            if place in marked
            else word
            for place, word in enumerate(self.words)
        ).strip()


@dataclasses.dataclass(frozen=True)
class Material:
    """The excerpts of a factor at a layer.

    Attributes:
      factor: its number.
      layer: where it peaks.
      read: in which it fires, for whoever names it: the strongest first.
      read_silent: in which it is silent, likewise.
      tested: in which it fires, for scores; in random order.
      tested_silent: in which it is silent, likewise.
    """

    factor: int
    layer: int
    read: tuple[Excerpt, ...]
    read_silent: tuple[Excerpt, ...]
    tested: tuple[Excerpt, ...]
    tested_silent: tuple[Excerpt, ...]

    @property
    def tested_windows(self) -> frozenset[int]:
        """The windows whose excerpts score a label."""
        return frozenset(each.window for each in (*self.tested, *self.tested_silent))


def gather(
    results: results_lib.Results,
    factors: Sequence[int],
    *,
    counts: Counts | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Material]:
    """Yields the excerpts of each factor, in order, at the layer where it peaks.

    Windows in which the examples do not hold α of all words of an excerpt are encoded.

    Args:
      results: of the run, with examples and its model.
      factors: that fire anywhere.
      counts: of excerpts.
      seed: of what is drawn; the draws of a factor do not depend on the other factors.
      progress: called with (windows encoded, windows in total), before the first
        factor.

    Raises:
      InputError: a factor does not exist or never fires, or the run has no examples.
    """
    counts = counts or Counts()
    layers = results.trained.layers
    index_of = {f: layers.index(results.peak_layer(f)) for f in factors}
    reader = passages.Passages(results.windows, results.examples)
    drawn = {
        factor: _firing(
            *(reader, results.examples, index, factor),
            counts=counts,
            rng=np.random.default_rng([seed, factor]),
        )
        for factor, index in index_of.items()
    }
    n_windows = len(results.windows)
    rng = np.random.default_rng(seed)
    pool = np.sort(rng.choice(n_windows, min(_POOL, n_windows), replace=False))
    found = word_codes.find(
        *(results, reader),
        index_of=index_of,
        wanted=[
            word_codes.Wanted(factor, each.window, _reach_of(reader, each))
            for factor, (read, tested) in drawn.items()
            for each, _ in (*read, *tested)
            if not _is_stored(reader, each)
        ],
        pool=pool,
        reach=_REACH,
        least_words=_LEAST_WORDS,
        seed=seed,
        progress=progress or (lambda done, total: None),
    )
    for factor, index in index_of.items():
        least = LEAST * results.examples.largest(index, factor)
        read, tested = (
            [
                _excerpt(
                    *(reader, each, kind),
                    encoded=found.alpha.get((factor, each.window)),
                    least=least,
                )
                for each, kind in part
            ]
            for part in drawn.pop(factor)
        )
        used = {each.window for each in (*read, *tested)}
        silent = _silent_excerpts(
            *(reader, pool, found.silent[factor]),
            without=used,
            n=counts.silent + counts.tested_silent,
            # The draws of firings are another stream.
            rng=np.random.default_rng([seed, factor, 1]),
        )
        # To score with few is better than to name with all.
        n_read = min(counts.silent, len(silent) // 2)
        yield Material(
            factor,
            layers[index],
            tuple(read),
            tuple(silent[:n_read]),
            tuple(tested),
            tuple(silent[n_read:][: counts.tested_silent]),
        )


def _share_counted(found: stored.Examples, index: int, factor: int) -> float:
    """Returns the share of firing tokens whose α counts, by bins of the histogram."""
    edges = firing_statistics.HISTOGRAM_EDGES[:-1]
    histogram = found.histogram[index, factor]
    least = LEAST * found.largest(index, factor)
    return float(histogram[edges >= least].sum() / max(histogram.sum(), 1))


def _firing(
    reader: passages.Passages,
    found: stored.Examples,
    index: int,
    factor: int,
    *,
    counts: Counts,
    rng: np.random.Generator,
) -> tuple[list[_Drawn], list[_Drawn]]:
    """Returns passages with their kinds: to read, and to score in random order."""
    least = LEAST * found.largest(index, factor)
    top = _one_a_window(
        [
            each
            for each in reader.strongest(index, factor, n=3 * counts.top)
            if each.activation >= least
        ]
    )
    read = [(each, "top") for each in top[: counts.top]]
    used = {each.window for each, _ in read}
    tested: list[_Drawn] = []
    n_tested = counts.tested // QUARTILES
    quantiles = np.linspace(1, 1 - _share_counted(found, index, factor), QUARTILES + 1)
    for number, (high, low) in enumerate(itertools.pairwise(quantiles.tolist())):
        some = 3 * (counts.per_quartile + n_tested)
        drawn = [
            each
            for each in reader.in_band(index, factor, band=(low, high), n=some)
            if each.window not in used and each.activation >= least
        ]
        drawn = _one_a_window([drawn[i] for i in rng.permutation(len(drawn)).tolist()])
        used |= {each.window for each in drawn}
        shuffled = [(each, f"q{number + 1}") for each in drawn]
        # Where there are few, half are for scores.
        n_read = min(counts.per_quartile, len(shuffled) // 2)
        read += shuffled[:n_read]
        tested += shuffled[n_read:][:n_tested]
    return read, [tested[place] for place in rng.permutation(len(tested)).tolist()]


def _one_a_window(found: Sequence[passages.Passage]) -> list[passages.Passage]:
    first: dict[int, passages.Passage] = {}
    for passage in found:
        first.setdefault(passage.window, passage)
    return list(first.values())


def _reach_of(reader: passages.Passages, passage: passages.Passage) -> range:
    return _reach(passage.word, len(reader.window(passage.window).ends))


def _is_stored(reader: passages.Passages, passage: passages.Passage) -> bool:
    """Returns whether the examples hold α of all tokens of an excerpt's words."""
    of_position = reader.window(passage.window).of_position
    words, known = _reach_of(reader, passage), passage.context
    return not any(
        word in words and position not in known
        for position, word in enumerate(of_position)
    )


def _excerpt(
    reader: passages.Passages,
    passage: passages.Passage,
    kind: str,
    *,
    encoded: Mapping[int, float] | None,
    least: float,
) -> Excerpt:
    others = passage.others if encoded is None else encoded
    alpha = {word: alpha for word, alpha in others.items() if alpha >= least}
    # Of a word's tokens, another one may be stronger than the one drawn.
    alpha[passage.word] = max(passage.activation, others.get(passage.word, 0.0))
    return _around(reader, passage.window, passage.word, alpha, kind)


def _around(
    reader: passages.Passages,
    window: int,
    word: int,
    alpha: Mapping[int, float],
    kind: str,
) -> Excerpt:
    shown = reader.window(window)
    places = _reach(word, len(shown.ends))
    # A word begins where the last one ends, with the space before it.
    begins = [0, *shown.ends]
    return Excerpt(
        window,
        tuple(shown.text[begins[i] : shown.ends[i]] for i in places),
        tuple(alpha.get(i, 0.0) for i in places),
        kind,
    )


def _reach(word: int, n_words: int) -> range:
    return range(max(word - _REACH, 0), min(word + _REACH + 1, n_words))


def _silent_excerpts(
    reader: passages.Passages,
    pool: np.ndarray,
    silent: np.ndarray,
    *,
    without: Collection[int],
    n: int,
    rng: np.random.Generator,
) -> list[Excerpt]:
    """Returns excerpts without a firing token, each of another window of the pool.

    Args:
      reader: of the windows.
      pool: [m] numbers of windows.
      silent: [m] words around which the factor is silent; −1 for none.
      without: windows that are left out.
      n: how many at most.
      rng: of their order.
    """
    usable = [
        (window, word)
        for window, word in zip(pool.tolist(), silent.tolist(), strict=True)
        if word >= 0 and window not in without
    ]
    chosen = [usable[place] for place in rng.permutation(len(usable))[:n].tolist()]
    return [_around(reader, window, word, {}, "silent") for window, word in chosen]
