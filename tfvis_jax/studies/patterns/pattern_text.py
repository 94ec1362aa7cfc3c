"""Draws passages of a text in which patterns occur, and passages at random.

Patterns are rare: in running text a dozen occurrences of one may take a million tokens.
So passages with an occurrence are drawn for each pattern, and others at random. Figures
that depend on how many tokens take part, such as average precision, are those of the
drawn passages.
"""

import dataclasses
import itertools
import re
import warnings
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tfvis_jax.data import corpus as corpus_lib
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.description import terms
from tfvis_jax.errors import InputError
from tfvis_jax.runs import setup
from tfvis_jax.studies.patterns import patterns as patterns_lib

# Documents are divided: on one half features are chosen, on the other measured.
CHOSEN_ON, MEASURED_ON = 0, 1
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[\"“(]?[A-Z])")
# A passage fits a window of 64 tokens with few exceptions.
_PASSAGE_CHARACTERS = 220
_LEAST_CHARACTERS = 60
# Of a text, at most; the drawing reads all of them.
_MOST_DOCUMENTS = 5000
# Passages of one pattern from one document, at most.
_PER_DOCUMENT = 2

Spans = list[tuple[int, int]]


@dataclasses.dataclass(frozen=True, eq=False)
class DrawnText:
    """Passages of a text and the patterns in them.

    Attributes:
      source: where the text comes from, in words.
      patterns: the patterns that occur often enough in both halves.
      left_out: for each other pattern the passages found in the two halves.
      passages: the passages.
      document_of: [n_passages] int64, the number of each passage's document.
      half_of: [n_passages] int64, `CHOSEN_ON` or `MEASURED_ON`, by document.
      is_random: [n_passages] bool, False for passages drawn for a pattern.
      spans: for each passage, for each pattern, its (start, end) characters.
    """

    source: str
    patterns: tuple[patterns_lib.Pattern, ...]
    left_out: dict[str, tuple[int, int]]
    passages: tuple[str, ...]
    document_of: np.ndarray
    half_of: np.ndarray
    is_random: np.ndarray
    spans: list[list[Spans]]


def candidates_of_files(
    opened: setup.Setup,
    paths: Sequence[str],
    *,
    seed: int,
    notify: Callable[[str], None] = warnings.warn,
) -> Iterator[tuple[int, str]]:
    """Yields the passages of files by document, documents in random order.

    Args:
      opened: settings of the run, by which text is cleaned.
      paths: files, folders or globs.
      seed: decides the order.
      notify: told in a sentence what was left out of the files.

    Yields:
      The number of the document and the passage: whole sentences of one paragraph.
    """
    corpus = opened.config.corpus
    documents = corpus_lib.read_documents(
        paths,
        clean=corpus.clean,
        replace_undecodable=corpus.replace_undecodable,
        text_field=corpus.text_field,
        notify=notify,
    )
    texts = [d.text for d in itertools.islice(documents, _MOST_DOCUMENTS)]
    for document in np.random.default_rng(seed).permutation(len(texts)).tolist():
        for passage in cut(texts[document]):
            yield document, passage


def candidates_of_windows(
    windows: windows_lib.Windows, chosen: np.ndarray
) -> Iterator[tuple[int, str]]:
    """Yields the texts of windows with the number of their document.

    Args:
      windows: tokens of a run.
      chosen: numbers of the windows.
    """
    for window in chosen.tolist():
        yield windows.document(window), window_text(windows, window)


def window_text(windows: windows_lib.Windows, window: int) -> str:
    """Returns the text of a window, as spelled in its document."""
    return "".join(windows.spaced_texts(window)).lstrip()


def cut(text: str) -> Iterator[str]:
    """Yields passages of a text: whole sentences of one paragraph, up to a length."""
    for paragraph in text.splitlines():
        passage = ""
        for sentence in _SENTENCE.split(paragraph.strip()):
            if passage and len(passage) + len(sentence) > _PASSAGE_CHARACTERS:
                if len(passage) >= _LEAST_CHARACTERS:
                    yield passage
                passage = sentence
            else:
                passage = f"{passage} {sentence}".strip()
        if len(passage) >= _LEAST_CHARACTERS:
            yield passage


def draw(
    candidates: Iterator[tuple[int, str]],
    wanted: Sequence[patterns_lib.Pattern],
    tagger: terms.Tagger | None,
    *,
    source: str,
    occurrences: int,
    random_passages: int,
    least: int = 10,
    seed: int = 0,
) -> DrawnText:
    """Draws passages for each pattern and at random.

    Args:
      candidates: (document, passage), passages of a document together.
      wanted: patterns to look for.
      tagger: returns a tag for each word, for patterns that need it.
      source: where the text comes from, in words.
      occurrences: passages for each pattern, at most.
      random_passages: passages that are drawn whatever is in them.
      least: passages in each half with which a pattern is kept.
      seed: of the random passages.

    Raises:
      InputError: no pattern occurs in enough passages; says in how many.
    """
    drawing = _Drawing(wanted, tagger, occurrences=occurrences)
    everything = list(candidates)
    documents = list(dict.fromkeys(document for document, _ in everything))
    half_of = {document: place % 2 for place, document in enumerate(documents)}
    rng = np.random.default_rng(seed)
    n_random = min(random_passages, len(everything))
    at_random = set(rng.choice(len(everything), n_random, replace=False).tolist())
    kept = [
        place
        for place, (document, passage) in enumerate(everything)
        if drawing.wants(document, half_of[document], passage) or place in at_random
    ]
    found = [patterns_lib.spans(everything[p][1], wanted, tagger) for p in kept]
    half = np.array([half_of[everything[place][0]] for place in kept], np.int64)
    counts = {
        pattern.name: tuple(
            sum(bool(spans[number]) for spans in _select(found, half == side))
            for side in (CHOSEN_ON, MEASURED_ON)
        )
        for number, pattern in enumerate(wanted)
    }
    enough = [n for n, p in enumerate(wanted) if min(counts[p.name]) >= least]
    if not enough:
        said = ", ".join(f"{name} {a} and {b}" for name, (a, b) in counts.items())
        raise InputError(
            f"Expected a pattern with at least {least} passages in each half of "
            f"the documents of {source}; found {said or 'none'}. Give more text "
            "(--text)."
        )
    return DrawnText(
        source=source,
        patterns=tuple(wanted[number] for number in enough),
        left_out={
            p.name: (counts[p.name][0], counts[p.name][1])
            for n, p in enumerate(wanted)
            if n not in enough
        },
        passages=tuple(everything[place][1] for place in kept),
        document_of=np.array([everything[place][0] for place in kept], np.int64),
        half_of=half,
        is_random=np.array([place in at_random for place in kept], bool),
        spans=[[spans[number] for number in enough] for spans in found],
    )


def _select(items: Sequence[list[Spans]], chosen: np.ndarray) -> list[list[Spans]]:
    """Returns the chosen items of a list."""
    return [items[place] for place in np.flatnonzero(chosen).tolist()]


class _Drawing:
    """Decides passage by passage, as tagging all of a text would take long."""

    def __init__(
        self,
        wanted: Sequence[patterns_lib.Pattern],
        tagger: terms.Tagger | None,
        *,
        occurrences: int,
    ) -> None:
        self._wanted, self._tagger = wanted, tagger
        # Half of them in each half of the documents.
        self._missing = {
            (pattern.name, half): max(occurrences // 2, 1)
            for pattern in wanted
            for half in (CHOSEN_ON, MEASURED_ON)
        }
        self._of_document: dict[tuple[str, int], int] = {}

    def wants(self, document: int, half: int, passage: str) -> bool:
        """Returns whether a pattern that is still missing occurs in a passage."""
        missing = [
            pattern
            for pattern in self._wanted
            if self._missing[pattern.name, half] > 0
            and self._of_document.get((pattern.name, document), 0) < _PER_DOCUMENT
        ]
        is_wanted = False
        for pattern, spans in zip(
            missing, patterns_lib.spans(passage, missing, self._tagger), strict=True
        ):
            if spans:
                is_wanted = True
                self._missing[pattern.name, half] -= 1
                key = pattern.name, document
                self._of_document[key] = self._of_document.get(key, 0) + 1
        return is_wanted


def of_run(
    opened: setup.Setup,
    wanted: Sequence[patterns_lib.Pattern],
    tagger: terms.Tagger | None,
    *,
    paths: Sequence[str],
    occurrences: int,
    random_passages: int,
    least: int,
    seed: int,
    notify: Callable[[str], None] = warnings.warn,
) -> DrawnText:
    """Draws passages of files, or of the run's held-out windows if there are none.

    Args:
      opened: model and settings of the run.
      wanted: patterns to look for.
      tagger: returns a tag for each word, for patterns that need it.
      paths: files, folders or globs.
      occurrences: passages for each pattern, at most.
      random_passages: passages that are drawn whatever is in them.
      least: passages in each half with which a pattern is kept.
      seed: of the drawing.
      notify: told in a sentence what was left out of the files.

    Raises:
      InputError: the files cannot be read, the run holds nothing out, or no pattern
        occurs often enough.
    """
    if paths:
        candidates = candidates_of_files(opened, paths, seed=seed, notify=notify)
        source = ", ".join(str(path).rpartition("/")[2] for path in paths)
    else:
        windows = opened.windows()
        if not len(windows.held_out):
            raise InputError(
                f"{opened.run.path} holds no documents out; give another text (--text)."
            )
        candidates = candidates_of_windows(windows, windows.held_out)
        source = "held-out documents of the run"
    return draw(
        candidates,
        wanted,
        tagger,
        source=source,
        occurrences=occurrences,
        random_passages=random_passages,
        least=least,
        seed=seed,
    )
