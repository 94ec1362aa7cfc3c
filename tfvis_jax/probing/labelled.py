"""Text with labelled spans: the tags of words, the senses of a word, anything else."""

import collections
import dataclasses
import difflib
import functools
import pathlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Annotated

import msgspec
import numpy as np

from tfvis_jax import schema
from tfvis_jax.errors import InputError

# An array of labels is as wide as the longest; it drops NULs at the end.
MAX_LABEL = 1_000
# Labels or words that a message lists at most.
_LISTED = 40
_Number = Annotated[int, msgspec.Meta(ge=-(2**62), lt=2**62)]


@dataclasses.dataclass(frozen=True, eq=False)
class LabelledText:
    """Texts, the documents they belong to, and labelled spans of characters.

    Attributes:
      source: where the labels come from, in words.
      texts: the texts, such as sentences.
      document_of: [n_texts] int64, the index of each text's document.
      document_names: the name of every document.
      text_of: [n_spans] int64, the index of each span's text.
      spans: [n_spans, 2] int64, the first character of each span and the one after its
        last.
      labels: [n_spans] str, the label of each span.
      n_not_found: labelled words that the reader did not find in their text; they are
        not among the spans.
    """

    source: str
    texts: tuple[str, ...]
    document_of: np.ndarray
    document_names: tuple[str, ...]
    text_of: np.ndarray
    spans: np.ndarray
    labels: np.ndarray
    n_not_found: int = 0

    def __repr__(self) -> str:
        # Without the arrays, which hold a million spans.
        return (
            f"LabelledText({self.source!r}, {len(self.texts):,} texts of "
            f"{self.n_documents:,} documents, {len(self.spans):,} spans)"
        )

    @property
    def n_documents(self) -> int:
        """Number of documents that have a text here."""
        return len(np.unique(self.document_of))

    @functools.cached_property
    def words(self) -> np.ndarray:
        """The text of every span with its case folded, [n_spans] of str."""
        found = [
            self.texts[text][start:end].casefold()
            for text, (start, end) in zip(
                self.text_of.tolist(), self.spans.tolist(), strict=True
            )
        ]
        return np.array(found, dtype=object)

    @property
    def span_documents(self) -> np.ndarray:
        """The index of each span's document, [n_spans] int64."""
        return self.document_of[self.text_of]

    def select(self, chosen: np.ndarray) -> "LabelledText":
        """Keeps some of the spans, and of the texts only those that hold one.

        Args:
          chosen: [n_spans] bool, or indices of the spans to keep, in order.
        """
        text_of = self.text_of[chosen]
        kept, place = np.unique(text_of, return_inverse=True)
        return dataclasses.replace(
            self,
            texts=tuple(self.texts[text] for text in kept.tolist()),
            document_of=self.document_of[kept],
            text_of=place.astype(np.int64),
            spans=self.spans[chosen],
            labels=self.labels[chosen],
        )

    def occurrences(self, word: str) -> "LabelledText":
        """Keeps the spans that are one word, whatever its case.

        Args:
          word: the word to look for.

        Raises:
          InputError: the word is not among the spans; names similar words that are.
        """
        chosen = self.words == word.casefold()
        if not chosen.any():
            raise InputError(
                f"Expected a word of {self.source}, got {word!r}, which it does not "
                f"label; it has {_similar(word, self.words.tolist())}."
            )
        return self.select(chosen)

    def relabelled(
        self, groups: Mapping[str, Collection[str]], *, other: str | None = None
    ) -> "LabelledText":
        """Joins labels into classes.

        Args:
          groups: the labels of each class.
          other: class of every other label; None leaves the other spans out.

        Raises:
          InputError: a group names a label that does not occur; lists those that do.
        """
        known = set(np.unique(self.labels).tolist())
        class_of = {label: name for name, group in groups.items() for label in group}
        unknown = [label for label in class_of if label not in known]
        if unknown:
            raise InputError(
                f"Expected labels of {self.source}, got {', '.join(unknown)}; it has "
                f"{_listed(sorted(known, key=_letters_first))}."
            )
        found = [class_of.get(label, other) for label in self.labels.tolist()]
        chosen = np.array([name is not None for name in found], bool)
        kept = self if chosen.all() else self.select(chosen)
        return dataclasses.replace(
            kept, labels=np.array([name for name in found if name is not None], str)
        )

    def mapped(self, new_label: Callable[[str], str]) -> "LabelledText":
        """Replaces every label.

        Args:
          new_label: from an old label to a new one, such as `coarse_tag`.
        """
        old, place = np.unique(self.labels, return_inverse=True)
        new = np.array([new_label(label) for label in old.tolist()], str)
        return dataclasses.replace(self, labels=new[place])

    def named(self, source: str) -> "LabelledText":
        """Says otherwise where the labels come from."""
        return dataclasses.replace(self, source=source)

    def sample_texts(self, n: int, *, seed: int = 0) -> "LabelledText":
        """Keeps the spans of ``n`` random texts, or of all where there are no more."""
        rng = np.random.default_rng(seed)
        chosen = np.zeros(len(self.texts), bool)
        chosen[rng.permutation(len(self.texts))[:n]] = True
        return self.select(chosen[self.text_of])

    def sample(self, n: int, *, seed: int = 0) -> "LabelledText":
        """Keeps ``n`` random spans, or all of them where there are no more."""
        if n >= len(self.spans):
            return self
        rng = np.random.default_rng(seed)
        return self.select(np.sort(rng.permutation(len(self.spans))[:n]))


class _Record(msgspec.Struct):
    """A line of labels of one's own."""

    text: str
    span: tuple[schema.Count, schema.Count]
    label: str | _Number
    document: str | _Number | None = None


_REMEDY = (
    'Write lines such as {"text": "He left.", "span": [3, 7], "label": "verb"}, the '
    "last of the span being the character after it."
)


def build(
    source: str,
    records: Sequence[tuple[str, str, Sequence[tuple[int, int, str]]]],
    *,
    n_not_found: int = 0,
) -> LabelledText:
    """Builds the arrays of a `LabelledText`.

    Args:
      source: where the labels come from, in words.
      records: of each text its document's name, the text, and its spans as
        (first character, one after the last, label).
      n_not_found: labelled words that are not among the spans.

    Raises:
      InputError: there is no labelled span, a span is not within its text, or a label
        is empty or longer than `MAX_LABEL`.
    """
    numbers: dict[str, int] = {}
    document_of = [numbers.setdefault(name, len(numbers)) for name, _, _ in records]
    flat = [
        (text, *span) for text, (_, _, spans) in enumerate(records) for span in spans
    ]
    if not flat:
        raise InputError(f"Expected labelled text, got no label in {source}.")
    for text, start, end, label in flat:
        if not 0 <= start < end <= len(records[text][1]):
            raise InputError(
                f"Expected spans within the {len(records[text][1])} characters of a "
                f"text of {source}, got [{start}, {end}]."
            )
        if not label.rstrip("\0") or len(label) > MAX_LABEL:
            raise InputError(
                f"Expected labels of 1 to {MAX_LABEL:,} characters in {source}, got "
                f"{schema.short(label)}."
            )
    text_of, starts, ends, labels = zip(*flat, strict=True)
    return LabelledText(
        source=source,
        texts=tuple(text for _, text, _ in records),
        document_of=np.array(document_of, np.int64),
        document_names=tuple(numbers),
        text_of=np.array(text_of, np.int64),
        spans=np.stack([starts, ends], axis=1).astype(np.int64),
        labels=np.array(labels, str),
        n_not_found=n_not_found,
    )


def read_json_lines(path: pathlib.Path | str) -> LabelledText:
    """Reads labels of one's own.

    Every line is an object with ``text``, ``span`` ([first character, one after the
    last]) and ``label``, and may have ``document``, the name of the document that the
    text belongs to. Lines with the same text and document label the same text. A text
    without ``document`` is a document of its own.

    Args:
      path: a file of JSON lines.

    Raises:
      InputError: the file does not exist, or a line is something else; names the line.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise InputError(
            f"Expected a file of JSON lines (text, span, label) at {path}, found none."
        )
    spans: dict[tuple[str, str], list[tuple[int, int, str]]] = collections.defaultdict(
        list
    )
    for number, record in schema.read_lines(path, _Record, remedy=_REMEDY):
        start, end = record.span
        if not start < end <= len(record.text):
            raise schema.damaged(
                f"Line {number} of {path}",
                f"Expected a span within the {len(record.text)} characters of the "
                f"text, got {schema.short(list(record.span))}",
                remedy=_REMEDY,
            )
        document = record.text if record.document is None else str(record.document)
        spans[document, record.text].append((start, end, str(record.label)))
    records = [(name, text, found) for (name, text), found in spans.items()]
    return build(path.name, records)


def _similar(word: str, words: Sequence[str]) -> str:
    counts = collections.Counter(words)
    near = difflib.get_close_matches(word.casefold(), list(counts), n=5)
    often = [other for other, _ in counts.most_common(5)]
    return f"{len(counts):,} others, such as {', '.join(near or often)}"


def _letters_first(label: str) -> tuple[bool, str]:
    return not label[:1].isalpha(), label


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _LISTED
    shown = ", ".join(names[:_LISTED])
    return f"{shown} and {more} more" if more > 0 else shown
