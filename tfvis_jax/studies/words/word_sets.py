"""Words to probe, with their labelled occurrences."""

import dataclasses
import math
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfvis_jax import probing
from tfvis_jax.description import terms
from tfvis_jax.errors import InputError
from tfvis_jax.studies.words import judged

OTHER = "other"
# Senses with fewer occurrences are left out.
_LEAST_OF_SENSE = 50
# Occurrences of the word that is asked about first: all tokens of their sentences are.
_MOST = 1000


@dataclasses.dataclass(frozen=True, eq=False)
class Word:
    """Labelled occurrences of a word.

    Attributes:
      name: the word.
      labelled: its occurrences; the labels are classes.
      positive: the class that is looked for among all tokens; None asks about
        occurrences alone.
      tagged: the class that a tagger gives each occurrence; None without one.
      gold: how often labels that were read are wrong; None if none was.
      group: words whose figures are averaged.
    """

    name: str
    labelled: probing.LabelledText
    positive: str | None = None
    tagged: np.ndarray | None = None
    gold: dict[str, Any] | None = None
    group: str = "words"


def parts_of_speech(
    labelled: probing.LabelledText,
    name: str,
    *,
    positive: str,
    tagset: str,
    ambiguous: int = 0,
    sentences: int = 0,
    tagger: terms.Tagger | None = None,
    max_of_ambiguous: int = 200,
    seed: int = 0,
) -> list[Word]:
    """Returns the words of a tagged corpus that are asked about.

    Args:
      labelled: text all of whose words are labelled with a tag.
      name: the word that is asked about first: is it ``positive``, or not?
      positive: a part of speech, such as "verb".
      tagset: of the tags, as in `probing.coarse_tag`.
      ambiguous: number of the most ambiguous words that are asked about next.
      sentences: number of sentences all of whose words are asked about last.
      tagger: of Penn Treebank tags, to compare with.
      max_of_ambiguous: occurrences of an ambiguous word, at most; a random sample of
        more.
      seed: of the samples.

    Raises:
      InputError: the word or the part of speech does not occur, or there are fewer
        ambiguous words.
    """
    labelled = labelled.mapped(lambda tag: probing.coarse_tag(tag, tagset=tagset))
    asked: list[tuple[str, tuple[str, ...], str | None]] = [
        (name, (positive,), positive)
    ]
    if ambiguous:
        asked += [(*word, None) for word in ambiguous_words(labelled, ambiguous)]
    words = [
        part_of_speech(
            labelled,
            word,
            classes,
            positive=looked_for,
            tagger=tagger,
            max_occurrences=_MOST if looked_for else max_of_ambiguous,
            seed=seed,
        )
        for word, classes, looked_for in asked
    ]
    if sentences:
        words.append(all_words(labelled, n_texts=sentences, seed=seed))
    return words


def part_of_speech(
    labelled: probing.LabelledText,
    name: str,
    classes: Sequence[str],
    *,
    positive: str | None = None,
    tagger: terms.Tagger | None = None,
    max_occurrences: int = 500,
    seed: int = 0,
) -> Word:
    """Returns a word whose classes are parts of speech.

    Args:
      labelled: text all of whose words are labelled with their part of speech.
      name: the word.
      classes: two or more classes; of one class, all others are "other".
      positive: class that is looked for among all tokens, if any.
      tagger: of Penn Treebank tags, to compare with.
      max_occurrences: occurrences, at most; a random sample of more.
      seed: of the sample.

    Raises:
      InputError: the word or a class does not occur.
    """
    other = OTHER if len(classes) == 1 else None
    spans = np.flatnonzero(labelled.words == name.casefold())
    if not len(spans):
        labelled.occurrences(name)  # Raises: tells which words there are.
    wanted = np.isin(labelled.labels[spans], classes)
    spans = spans if other else spans[wanted]
    rng = np.random.default_rng(seed)
    spans = np.sort(rng.permutation(spans)[:max_occurrences])
    tagged = None
    if tagger is not None:
        found = tag_occurrences(labelled, spans, tagger)
        tagged = np.where(np.isin(found, classes), found, other or found)
    groups = {each: [each] for each in classes}
    return Word(
        name,
        labelled.select(spans).relabelled(groups, other=other),
        positive,
        tagged,
        None if positive is None else judged.check(labelled, name, positive),
        f"parts of speech in {labelled.source}",
    )


def senses(
    path: pathlib.Path | str,
    names: Sequence[str],
    *,
    max_occurrences: int = 500,
    seed: int = 0,
) -> list[Word]:
    """Returns words of Senseval-2, whose classes are senses.

    Senses with fewer than fifty occurrences are left out.

    Args:
      path: folder or archive of Senseval-2.
      names: of "hard", "interest", "line", "serve".
      max_occurrences: of each word, at most; a random sample of more.
      seed: of the sample.

    Raises:
      InputError: there is no such file or word.
    """
    words = []
    for name in names:
        labelled = probing.read_senseval(path, name)
        found, counts = np.unique(labelled.labels, return_counts=True)
        kept = found[counts >= _LEAST_OF_SENSE].tolist()
        labelled = labelled.relabelled({sense: [sense] for sense in kept})
        labelled = labelled.sample(max_occurrences, seed=seed)
        words.append(Word(name, labelled, group="senses in Senseval-2"))
    return words


def all_words(
    labelled: probing.LabelledText, *, n_texts: int = 250, seed: int = 0
) -> Word:
    """Returns all words of some sentences, whose classes are parts of speech.

    Args:
      labelled: text all of whose words are labelled with their part of speech.
      n_texts: number of sentences, drawn at random.
      seed: of the sample.
    """
    labelled = labelled.sample_texts(n_texts, seed=seed)
    kept = [
        label
        for label in np.unique(labelled.labels).tolist()
        if label != OTHER and np.sum(labelled.labels == label) >= _LEAST_OF_SENSE
    ]
    return Word(
        "parts of speech", labelled.relabelled({label: [label] for label in kept})
    )


def ambiguous_words(
    labelled: probing.LabelledText,
    n: int,
    *,
    classes: Sequence[str] = ("noun", "verb", "adjective", "adverb"),
    least_rows: int = 40,
    least_documents: int = 10,
) -> list[tuple[str, tuple[str, str]]]:
    """Returns the words whose two most frequent classes are most evenly spread.

    Args:
      labelled: words with their parts of speech.
      n: number of words.
      classes: the classes that count.
      least_rows: occurrences of the rarer class, at least.
      least_documents: documents of each class, at least.

    Returns:
      Words with their two classes, the most ambiguous first (by the entropy of the two
      classes; the more frequent of equals first).

    Raises:
      InputError: there are fewer such words; says how many.
    """
    table: dict[tuple[str, str], tuple[int, set[int]]] = {}
    for word, label, document in zip(
        labelled.words.tolist(),
        labelled.labels.tolist(),
        labelled.span_documents.tolist(),
        strict=True,
    ):
        if label in classes and word.isalpha():
            count, documents = table.get((word, label), (0, set()))
            documents.add(document)
            table[word, label] = (count + 1, documents)
    of_word: dict[str, list[tuple[int, str]]] = {}
    for (word, label), (count, documents) in table.items():
        if count >= least_rows and len(documents) >= least_documents:
            of_word.setdefault(word, []).append((count, label))
    ranked = []
    for word, counts in of_word.items():
        if len(counts) > 1:
            (more, first), (less, second) = sorted(counts, reverse=True)[:2]
            ranked.append((-_entropy(less / (more + less)), -more, word, first, second))
    if len(ranked) < n:
        raise InputError(
            f"Expected {n} ambiguous words in {labelled.source}, found {len(ranked)} "
            f"with {least_rows} occurrences of two classes."
        )
    return [(word, (first, second)) for _, _, word, first, second in sorted(ranked)[:n]]


def tag_occurrences(
    labelled: probing.LabelledText, chosen: np.ndarray, tagger: terms.Tagger
) -> np.ndarray:
    """Tags the sentences of some spans.

    Args:
      labelled: texts all of whose words are spans, in reading order.
      chosen: [n] indices of spans.
      tagger: from the words of a sentence to Penn Treebank tags.

    Returns:
      [n] str, the part of speech of each chosen span.
    """
    tags: dict[int, list[str]] = {}
    found = []
    for span in chosen.tolist():
        text = int(labelled.text_of[span])
        first, end = np.searchsorted(labelled.text_of, [text, text + 1])
        if text not in tags:
            words = [
                labelled.texts[text][a:b] for a, b in labelled.spans[first:end].tolist()
            ]
            tags[text] = tagger(words)
        found.append(probing.coarse_tag(tags[text][span - first], tagset="penn"))
    return np.array(found, str)


def _entropy(share: float) -> float:
    return -sum(p * math.log2(p) for p in (share, 1 - share) if p > 0)
