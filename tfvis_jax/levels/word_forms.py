"""Count word forms: how many different tokens make a factor fire.

Each pair of document and form counts once, however often it occurs among the strongest
tokens. Otherwise the words that one document repeats would dominate: an article about
Achilles would make a factor for that article look like a factor for his name.
"""

import dataclasses

import numpy as np

from tfvis_jax.data import windows as windows_lib
from tfvis_jax.examples import stored

# Number of strongest tokens that are counted. The factor of a word that is rarer than
# this in the corpus also lists the words that fire it next; more tokens would add more.
NUM_STRONGEST = 30


@dataclasses.dataclass(frozen=True)
class WordForms:
    """The word forms among a factor's strongest tokens.

    Attributes:
      effective: effective number of forms, 2^entropy in bits: n for n equally frequent
        forms, 1 for a single form.
      commonest: index of the strongest token of the most frequent form.
      share: share of that form among the (document, form) pairs.
      word: text of that token; "" if it was not looked up.
    """

    effective: float
    commonest: int
    share: float
    word: str = ""


def of_tokens(token_id: np.ndarray, document: np.ndarray) -> WordForms:
    """Counts the word forms of a factor's strongest tokens.

    Args:
      token_id: [n] int, n ≥ 1, strongest first.
      document: [n] int, index of the document of each token.
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
    """Counts the word forms of every factor at one layer.

    Args:
      windows: token windows of the run.
      examples: examples of the run.
      peaks: [n_factors] index of the layer to use for each factor.

    Returns:
      [n_factors]; None for factors that never fire.
    """
    strongest = [
        examples.top(peak, factor, stop=NUM_STRONGEST)
        for factor, peak in enumerate(peaks.tolist())
    ]
    # Each window and document is looked up once for all factors.
    none = np.zeros(0, np.int32)
    used = np.unique(np.concatenate([none, *(top.window for top in strongest)]))
    token_ids = windows.token_ids(used)
    document = np.array([windows.document(number) for number in used.tolist()])
    found: list[WordForms | None] = []
    for top in strongest:
        if not len(top.window):
            found.append(None)
            continue
        place = np.searchsorted(used, top.window)
        forms = of_tokens(token_ids[place, top.position], document[place])
        first = forms.commonest
        texts = windows.token_texts(int(top.window[first]))
        found.append(dataclasses.replace(forms, word=texts[int(top.position[first])]))
    return found
