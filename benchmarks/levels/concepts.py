"""Concepts of three classes in a corpus, found by rules on its text alone.

    low   a word form: all tokens of one id
    mid   a template of a few words whose target varies: tokens at a place in it
    high  a property of the document: all tokens of a domain, or of one document

The text of a window is its tokens joined by spaces, pieces of a word glued, in the
document's spelling; punctuation stands alone, as the tokeniser cuts it.
"""

import dataclasses
import re
from collections.abc import Iterator

import numpy as np

from tfvis_jax.data import windows as windows_lib

_MONTH = (
    "January|February|March|April|May|June|July|August|September|October|November|"
    "December"
)
_STATE = (
    "Alabama|Alaska|Arizona|Arkansas|California|Colorado|Connecticut|Delaware|Florida|"
    "Georgia|Hawaii|Idaho|Illinois|Indiana|Iowa|Kansas|Kentucky|Louisiana|Maine|"
    "Maryland|Massachusetts|Michigan|Minnesota|Mississippi|Missouri|Montana|Nebraska|"
    "Nevada|New|North|South|Ohio|Oklahoma|Oregon|Pennsylvania|Tennessee|Texas|Utah|"
    "Vermont|Virginia|Washington|Wisconsin|Wyoming|England|France|Germany|Italy|Spain|"
    "Canada|India|China|Japan|Russia|Scotland|Ireland"
)
_BE = "is|are|was|were|be|been|being|am"
_MODAL = "can|could|will|would|shall|should|may|might|must"
_ARTICLE = "the|a|an|this|that|these|those|its|his|her|their|our|my|your"
_PREPOSITION = (
    "of|in|to|for|with|on|at|by|from|into|through|between|during|under|over|against"
)
_PRONOUN = "I|you|he|she|it|we|they|who"
_SAID = "said|asked|cried|replied|answered|exclaimed|says|wrote|added"
# Each with a group t, the target. What is told apart by capitals is.
_TEMPLATES = {
    "in YEAR": r"\b[Ii]n (?P<t>1[0-9]\d\d|20[01]\d)\b",
    "MONTH and day": rf"\b(?:{_MONTH}) (?P<t>\d{{1,2}})\b",
    "day and MONTH": rf"\b\d{{1,2}} (?P<t>{_MONTH})\b",
    "MONTH YEAR": rf"\b(?:{_MONTH}) (?:\d{{1,2}} , )?(?P<t>1[0-9]\d\d|20[01]\d)\b",
    "years from – TO": r"\b1?[0-9]\d\d\d? [-–—] (?P<t>\d{2,4})\b",
    "in brackets": r"\( (?P<t>[^()]{1,60}) \)",
    "before a bracket": r"\b(?P<t>\w+) \(",
    "city, STATE": rf"\b[A-Z][a-z]+ , (?P<t>{_STATE})\b",
    "CITY, state": rf"\b(?P<t>[A-Z][a-z]+) , (?:{_STATE})\b",
    "NUMBER and unit": (
        r"\b(?P<t>\d+) (?:%|percent|per|million|billion|km|miles|feet|m)\b"
    ),
    "listed: a, B, and c": r"\b\w+ , (?P<t>\w+) (?:, )?and \w+",
    "listed: a, b, and C": r"\b\w+ , \w+ (?:, )?and (?P<t>\w+)",
    "listed: A, b, and c": r"\b(?P<t>\w+) , \w+ (?:, )?and \w+",
    "one of three or more, parted by commas": r"(?:\w+ , ){2}(?P<t>\w+) ,",
    "quoted": r"[\"“] (?P<t>[^\"“”]{1,80}) [\"”]",
    "quotation, VERB of saying": r"[\"”] (?:\w+ )?(?P<t>\w+ed|said|says|wrote)\b",
    "said WHO": rf"\b(?:{_SAID}) (?P<t>[A-Z]\w+)",
    "first of a sentence": r"[.!?] (?P<t>[A-Z]\w*)",
    "last of a sentence": r"(?P<t>\w+) [.!?]",
    "after a comma": r", (?P<t>\w+)",
    "before a comma": r"(?P<t>\w+) ,",
    "second of two capitalised": r"(?<![.!?\"“] )\b[A-Z]\w+ (?P<t>[A-Z]\w+)",
    "first of two capitalised": r"(?<![.!?\"“] )\b(?P<t>[A-Z]\w+) [A-Z]\w+",
    "second of a hyphened word": r"\w - (?P<t>\w+)",
    "first of a hyphened word": r"(?P<t>\w+) - \w",
    "owner": r"\b(?P<t>\w+) ['’] s\b",
    "owned": r"['’] s (?P<t>\w+)",
    "verb before n't": r"\b(?P<t>\w+) ['’] t\b",
    "after be": rf"\b(?i:{_BE}) (?P<t>\w+)",
    "before be": rf"\b(?P<t>\w+) (?:{_BE})\b",
    "after have": r"\b(?i:has|have|had|having) (?P<t>\w+)",
    "after a modal verb": rf"\b(?i:{_MODAL}) (?P<t>\w+)",
    "after an article or owner": rf"\b(?i:{_ARTICLE}) (?P<t>\w+)",
    "second after an article or owner": rf"\b(?i:{_ARTICLE}) \w+ (?P<t>\w+)",
    "after a preposition": rf"\b(?i:{_PREPOSITION}) (?P<t>\w+)",
    "before a preposition": rf"\b(?P<t>\w+) (?:{_PREPOSITION})\b",
    "after a preposition and article": (
        rf"\b(?i:{_PREPOSITION}) (?:{_ARTICLE}) (?P<t>\w+)"
    ),
    "after a pronoun": rf"\b(?i:{_PRONOUN}) (?P<t>\w+)",
    "after a joining word": r"\b(?i:and|or|but|nor) (?P<t>\w+)",
    "before a joining word": r"\b(?P<t>\w+) (?:and|or|but|nor)\b",
    "after a negation": r"\b(?i:not|no|never|cannot|without) (?P<t>\w+)",
    "after a number": r"\b\d+ (?P<t>[a-z]\w*)",
    "after a year": r"\b(?:1[0-9]\d\d|20[01]\d) (?P<t>\w+)",
    "the X of": r"\b[Tt]he (?P<t>\w+) of\b",
    "of the X": r"\b[Oo]f the (?P<t>\w+)",
    "in the X": r"\b[Ii]n the (?P<t>\w+)",
    "to the X": r"\b[Tt]o the (?P<t>\w+)",
    "on the X": r"\b[Oo]n the (?P<t>\w+)",
    "as X as": r"\b[Aa]s (?P<t>\w+) as\b",
    "more X": r"\b(?:[Mm]ore|[Mm]ost) (?P<t>\w+)",
    "a X of": r"\b[Aa] (?P<t>\w+) of\b",
    "have Xed": r"\b(?:has|have|had) (?P<t>\w+(?:ed|en|ne|wn|t))\b",
    "be Xed by": r"\b(?:is|are|was|were|been|be) (?P<t>\w+) by\b",
    "be Xing": r"\b(?:is|are|was|were|been|be) (?P<t>\w+ing)\b",
    "X Inc., X Party": r"\b(?P<t>[A-Z]\w+) (?:Party|Army|League|University|Church|War)",
    "title NAME": r"\b(?:Mr|Mrs|Dr|Miss|Sir|Lord|Lady|King|President|General) (?:\. )?"
    r"(?P<t>[A-Z]\w+)",
    "question": r"(?<=[.!?\"] )(?P<t>[A-Z][^.!?\"]{5,100}) \?",
}
# Words beside which a template of two is made.
_NUM_NEIGHBOURS = 60
_MIN_COUNT = 40
_MIN_FORMS = 12
# A document of fewer tokens has too few to fill a list of strongest tokens.
_MIN_DOCUMENT = 150


@dataclasses.dataclass(frozen=True, eq=False)
class Tokens:
    """All tokens of a corpus, in reading order.

    Attributes:
      window, position: [n] int64, where each stands.
      token_id: [n] int64.
      document: [n] int64, number of its document.
      domains: [n_documents] what stands before the slash of a document's name, or "".
      text: all windows, a line each.
      start: [n] int64, where each token begins in ``text``.
    """

    window: np.ndarray
    position: np.ndarray
    token_id: np.ndarray
    document: np.ndarray
    domains: tuple[str, ...]
    text: str
    start: np.ndarray

    def rows(self, window: np.ndarray, position: np.ndarray) -> np.ndarray:
        """Returns the numbers of tokens that stand at places of windows."""
        key = self.window * 100_000 + self.position
        return np.searchsorted(key, window.astype(np.int64) * 100_000 + position)


@dataclasses.dataclass(frozen=True, eq=False)
class Concept:
    """A class and the tokens that it holds.

    Attributes:
      name: in words.
      level: "mid", "high" or "topic"; the words of class "low" are the token ids
        themselves.
      rows: [n] numbers of tokens, increasing.
    """

    name: str
    level: str
    rows: np.ndarray


def read(windows: windows_lib.Windows, is_continuation: np.ndarray) -> Tokens:
    """Reads all windows of a run.

    Args:
      windows: of the run.
      is_continuation: [vocab_size] bool, pieces that go on a word.
    """
    columns, starts, parts, domains, size = [], [], [], {}, 0
    for window in range(len(windows)):
        rows = np.array([window])
        places = np.flatnonzero(windows.row_mask(rows)[0])
        ids = windows.token_ids(rows)[0, places]
        texts = windows.token_texts(window)
        document = windows.document(window)
        domain, slash, _ = windows.document_name(window).partition("/")
        domains[document] = domain if slash else ""
        for place, token_id in zip(places.tolist(), ids.tolist(), strict=True):
            piece = texts[place] or "\N{REPLACEMENT CHARACTER}"
            if parts and parts[-1] != "\n" and not is_continuation[token_id]:
                parts.append(" ")
                size += 1
            starts.append(size)
            parts.append(piece)
            size += len(piece)
            columns.append((window, place, token_id, document))
        parts.append("\n")
        size += 1
    table = np.array(columns, np.int64).reshape(-1, 4)
    return Tokens(
        *table.T,
        domains=tuple(domains[number] for number in sorted(domains)),
        text="".join(parts),
        start=np.array(starts, np.int64),
    )


def concepts(tokens: Tokens) -> list[Concept]:
    """Returns the concepts of the classes mid and high that the corpus holds."""
    return [
        concept
        for concept in (*_templates(tokens), *_documents(tokens))
        if len(concept.rows) >= _MIN_COUNT
        and len(np.unique(tokens.token_id[concept.rows])) >= _MIN_FORMS
    ]


def _templates(tokens: Tokens) -> Iterator[Concept]:
    for name, pattern in {**_TEMPLATES, **_neighbours(tokens)}.items():
        spans = np.array(
            [match.span("t") for match in re.finditer(pattern, tokens.text)], np.int64
        ).reshape(-1, 2)
        first, stop = np.searchsorted(tokens.start, spans).T
        rows = [np.arange(a, b) for a, b in zip(first, stop, strict=True)]
        found = np.unique(np.concatenate([np.zeros(0, np.int64), *rows]))
        yield Concept(name, "mid", found)


def _neighbours(tokens: Tokens) -> dict[str, str]:
    """Returns templates of a frequent word and whatever stands beside it."""
    ids, count = np.unique(tokens.token_id, return_counts=True)
    patterns = {}
    for token_id in ids[np.argsort(-count, kind="stable")][: 2 * _NUM_NEIGHBOURS]:
        row = int(np.flatnonzero(tokens.token_id == token_id)[0])
        match = re.match(r"[A-Za-z]{2,}(?=\s)", tokens.text[tokens.start[row] :])
        if match is None or len(patterns) >= 2 * _NUM_NEIGHBOURS:
            continue
        word = match[0].lower()
        patterns[f"{word} X"] = rf"(?i:\b{word}) (?P<t>\w+)"
        patterns[f"X {word}"] = rf"\b(?P<t>\w+) (?i:{word}\b)"
    return patterns


def _documents(tokens: Tokens) -> Iterator[Concept]:
    domain = np.array(tokens.domains)[tokens.document]
    for name in sorted(set(tokens.domains) - {""}):
        yield Concept(f"domain {name}", "high", np.flatnonzero(domain == name))
    numbers, count = np.unique(tokens.document, return_counts=True)
    for number in numbers[count >= _MIN_DOCUMENT]:
        rows = np.flatnonzero(tokens.document == number)
        yield Concept(f"document {number}", "topic", rows)
