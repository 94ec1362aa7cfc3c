"""Log-odds ratio with an informative Dirichlet prior.

"Fightin' Words", Monroe, Colaresi and Quinn (2008), equations 15, 16, 20 and 22: the
words of one text against those of another, by the difference of their log-odds in
standard deviations, so that neither the rarest nor the most frequent words win by
themselves.
"""

import numpy as np


def compare(
    count: np.ndarray,
    background: np.ndarray,
    *,
    total: np.ndarray | float,
    background_total: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the log-odds ratio of each word and its z-score, both [n] float64.

    δ = log (y + a) / (n + a₀ − y − a)  −  log (c + a) / (N + a₀ − c − a)
    z = δ / √(1 / (y + a) + 1 / (c + a))

    The prior a of a word is its share of both texts together, in which one more word
    stands for all that were never seen. The prior of all words, a₀, weighs as much as
    the text itself: a₀ = n.

    Args:
      count: [n] y, how often each word is in the text; fractions are fine.
      background: [n] c, how often in the other text.
      total: n, words of the text, those not asked for included; above 0. One number,
        or [n] where each word has evidence of its own weight.
      background_total: N, words of the other text.
    """
    y, c = np.float64(count), np.float64(background)
    prior = total * (y + c) / (total + background_total + 1)
    odds = np.log((y + prior) / (2 * total - y - prior))
    other = np.log((c + prior) / (background_total + total - c - prior))
    deviation = np.sqrt(1 / (y + prior) + 1 / (c + prior))
    return odds - other, (odds - other) / deviation
