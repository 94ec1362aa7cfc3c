"""Word forms: how many different tokens make a factor fire.

A word that one document repeats would count as often as it stands there, and an
article about Achilles would make a factor of that article look like one of his name. So
strong tokens are counted once for each document and form: a (document, form) pair
weighs as much as any other, however often it stands in the list.
"""

import dataclasses

import numpy as np

from tfvis_jax.data import windows as windows_lib
from tfvis_jax.examples import stored

# Strongest tokens that are counted. A word that occurs less often than this in the
# corpus is joined by what fires the factor next; more tokens make more words so.
NUM_STRONGEST = 30


@dataclasses.dataclass(frozen=True)
class WordForms:
    """The tokens that fire a factor most, as word forms.

    Attributes:
      effective: 2^entropy of the forms, in bits: n forms that are equally frequent
        have n, one form alone has 1.
      commonest: index of the strongest token of the most frequent form.
      share: of the pairs, that it has.
      word: the text of the commonest, "" where it was not looked up.
    """

    effective: float
    commonest: int
    share: float
    word: str = ""


def of_tokens(token_id: np.ndarray, document: np.ndarray) -> WordForms:
    """Counts the forms of the tokens that fire a factor most.

    Args:
      token_id: [n] int, at least one, the strongest first.
      document: [n] int, number of the document that each stands in.
    """
    pairs = np.unique(np.stack([document, token_id], axis=1), axis=0)
    forms, count = np.unique(pairs[:, 1], return_counts=True)
    share = count / count.sum()
    largest = int(np.argmax(share))
    return WordForms(
        effective=float(2 ** -np.sum(share * np.log2(share))),
        commonest=int(np.flatnonzero(token_id == forms[largest])[0]),
        share=float(share[largest]),
    )


def of_examples(
    windows: windows_lib.Windows, examples: stored.Examples, *, peaks: np.ndarray
) -> list[WordForms | None]:
    """Counts the forms of every factor at one layer; None where it fires nowhere.

    Args:
      windows: the corpus.
      examples: of its dictionary.
      peaks: [n_factors] index of the layer to look at.
    """
    factors = np.arange(len(peaks))
    window = np.asarray(examples.window[peaks, factors, :NUM_STRONGEST])
    position = np.asarray(examples.position[peaks, factors, :NUM_STRONGEST])
    fires = np.asarray(examples.activation[peaks, factors, :NUM_STRONGEST]) > 0
    used = np.unique(window[fires])
    token_ids = windows.token_ids(used)
    document = np.array([windows.document(number) for number in used.tolist()])
    found: list[WordForms | None] = []
    for row in factors:
        chosen = window[row, fires[row]], position[row, fires[row]]
        if not len(chosen[0]):
            found.append(None)
            continue
        place = np.searchsorted(used, chosen[0])
        forms = of_tokens(token_ids[place, chosen[1]], document[place])
        first = forms.commonest
        texts = windows.token_texts(int(chosen[0][first]))
        found.append(dataclasses.replace(forms, word=texts[int(chosen[1][first])]))
    return found
