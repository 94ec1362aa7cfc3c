"""A verdict from margins over controls, the same for every experiment."""

from collections.abc import Mapping

from tfvis_jax.evaluation import intervals
from tfvis_jax.probing import scores

UNDECIDED = "not decided by this test"


def from_margins(
    margins: Mapping[str, scores.Estimate], *, n_documents: int | None = None
) -> str:
    """Returns one of `claims.VERDICTS`.

    A claim holds if our figure is ahead of every control by the interval of the paired
    difference, and in part if it is ahead of some. It does not hold if it is ahead of
    none and behind one. Otherwise, and with too few documents for an interval, the test
    does not decide.

    Args:
      margins: by name of the control, how far ours is ahead; below 0 is behind.
      n_documents: documents that the intervals are over; None for other intervals.
    """
    too_few = n_documents is not None and n_documents < intervals.LEAST_DOCUMENTS
    if too_few or not margins:
        return UNDECIDED
    ahead = [margin.low > 0 for margin in margins.values()]
    if all(ahead):
        return "holds"
    if any(ahead):
        return "holds in part"
    if any(margin.high < 0 for margin in margins.values()):
        return "does not hold here"
    return UNDECIDED


def in_words(margins: Mapping[str, scores.Estimate], *, unit: str = "") -> str:
    """Returns the margins as text, such as "0.1 [0.05, 0.15] ahead of random"."""
    parts = []
    for name, margin in margins.items():
        side = "ahead of" if margin.value >= 0 else "behind"
        low, high = margin.low, margin.high
        if margin.value < 0:
            low, high = -high, -low
        parts.append(
            f"{abs(margin.value):.3g}{unit} [{low:.3g}, {high:.3g}] {side} {name}"
        )
    return "; ".join(parts)
