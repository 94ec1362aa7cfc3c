"""Compare word frequencies by log-odds ratios with an informative Dirichlet prior.

Monroe, Colaresi and Quinn, "Fightin' Words" (2008), equations 15, 16, 20 and 22. Words
of one text are compared with those of another by the difference of their log-odds,
divided by its standard deviation. This favours neither the rarest nor the most frequent
words.
"""

import numpy as np


def compare(
    count: np.ndarray,
    background: np.ndarray,
    *,
    total: np.ndarray | float,
    background_total: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the log-odds ratio δ of each word and its z-score.

    δ = log (y + a) / (n + a₀ − y − a)  −  log (c + a) / (N + a₀ − c − a)
    z = δ / √(1 / (y + a) + 1 / (c + a))

    The prior counts of all words sum to a₀ = n, so the prior weighs as much as the text
    itself. The prior a of a word is its share of both texts together, with one extra
    count for all unseen words.

    Args:
      count: [words] y, occurrences of each word in the text; may be fractional.
      background: [words] c, occurrences of each word in the other text.
      total: n > 0, number of words in the text, including words not asked for. A
        scalar, or [words] if the evidence for each word has its own total.
      background_total: N, number of words in the other text.

    Returns:
      δ and z, each [words] float64.
    """
    y, c = np.float64(count), np.float64(background)
    prior = total * (y + c) / (total + background_total + 1)
    odds = np.log((y + prior) / (2 * total - y - prior))
    other = np.log((c + prior) / (background_total + total - c - prior))
    deviation = np.sqrt(1 / (y + prior) + 1 / (c + prior))
    return odds - other, (odds - other) / deviation
