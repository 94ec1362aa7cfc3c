"""How often gold labels are wrong, by a sample that was read.

`judged_left.jsonl` holds 139 occurrences of "left": a random 70 of the 480 of the Brown
corpus, and all 69 of UD English GUM. One reader judged each in its sentence, the tag in
sight: is this a form of *to leave* (participles included), or not? An occurrence is
"unclear" where it means *remaining* ("is there any left?"): a verb by the rule, but
another reader could call it an adjective.
"""

import collections
import pathlib
from typing import Any

import msgspec
import numpy as np
import scipy.stats

from tfvis_jax import probing, schema

_PATH = pathlib.Path(__file__).with_name("judged_left.jsonl")


class _Judged(msgspec.Struct):
    source: str
    word: str
    document: str
    occurrence: schema.Count
    judged: str
    unclear: bool


def check(
    labelled: probing.LabelledText, word: str, positive: str
) -> dict[str, Any] | None:
    """Compares the labels of a word with those of a reader.

    Args:
      labelled: a corpus with parts of speech, whole.
      word: the word.
      positive: the class that is looked for.

    Returns:
      "n" labels read, "n_wrong", "error_rate" with its 95 % "interval" (Clopper and
      Pearson), "n_unclear"; None if no label of this word and corpus was read.
    """
    lines = schema.read_lines(_PATH, _Judged, remedy="Install tfvis_jax again.")
    judged = {
        (each.document, each.occurrence): each
        for _, each in lines
        if each.word == word and each.source == labelled.source
    }
    if not judged or positive != "verb":
        return None
    spans = np.flatnonzero(labelled.words == word)
    seen: collections.Counter[str] = collections.Counter()
    n = n_wrong = n_unclear = 0
    for span in spans.tolist():
        name = labelled.document_names[labelled.span_documents[span]]
        seen[name] += 1
        found = judged.get((name, seen[name]))
        if found is not None:
            n += 1
            n_wrong += (labelled.labels[span] == positive) != (found.judged == positive)
            n_unclear += found.unclear
    if not n:
        return None
    interval = scipy.stats.binomtest(int(n_wrong), n).proportion_ci(method="exact")
    return {
        "n": n,
        "n_wrong": int(n_wrong),
        "error_rate": n_wrong / n,
        "interval": [float(interval.low), float(interval.high)],
        "n_unclear": n_unclear,
    }
