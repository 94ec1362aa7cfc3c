"""The evidence about a factor's level, and the numbers that are made of it."""

import dataclasses
import math
from collections.abc import Mapping

from tfvis_jax.levels import spread as spread_lib

# A layer at which a factor fires less often is not its peak, and a factor that fires
# less often has no level.
MIN_FIRING = 20


@dataclasses.dataclass(frozen=True)
class Context:
    """What α owes to word and context, measured by `measuring.measure`.

    Attributes:
      shares: mean share of α after each of `measuring.ALTERATIONS`.
      kinship: how alike the firing words are, see `kinship`.
    """

    shares: Mapping[str, float]
    kinship: float

    def within(self, radius: int) -> float:
        """Returns the share of α that the words within a radius give.

        Both directions must agree, so the smaller one counts: the share in silence
        (all other words hidden) or in a foreign passage (all others replaced).
        """
        return min(self.shares[f"keep_{radius}"], self.shares[f"replace_{radius}"])

    @property
    def word(self) -> float:
        """The share of α that the word gives, without these neighbours.

        A word that fires wherever it occurs needs its neighbours no more than one that
        fires alone: a full stop is no text without a sentence before it. So the larger
        counts of the share alone and that at another place of the corpus.
        """
        return max(self.within(0), self.shares["elsewhere"])


@dataclasses.dataclass(frozen=True)
class Evidence:
    """The evidence about one factor, at the layer where it peaks.

    Attributes:
      firing: number of tokens on which it fires.
      spread: of its weight; None if it never fires.
      context: None if not measured.
    """

    firing: int
    spread: spread_lib.Spread | None
    context: Context | None = None


def numbers(evidence: Evidence) -> dict[str, float]:
    """Returns the numbers that a level is judged by; the evidence has a spread.

    None of them depends on the layer, so that levels can be compared with layers. Those
    of the context are there if it was measured. Probabilities and frequencies are on
    scales on which they spread evenly.
    """
    spread = evidence.spread
    assert spread is not None
    found = {
        "tip_few": spread.tip_few,
        "position": spread.position,
        "same_word": math.sqrt(spread.same_word),
        "tip_word": math.sqrt(spread.tip_word),
        "same_neighbour": math.sqrt(spread.same_neighbour),
        "frequency": _log10(spread.frequency),
        "evenness": spread.evenness,
        "any_token": _log10(spread.any_token),
    }
    context = evidence.context
    if context is None:
        return found
    return found | {
        "alone": context.within(0),
        "word": context.word,
        "near": context.within(3),
        "far": context.within(8),
        "elsewhere": context.shares["elsewhere"],
        "shuffled": context.shares["shuffled"],
        "without_word": context.shares["without_word"],
        "kinship": context.kinship,
    }


def _log10(share: float) -> float:
    return math.log10(max(share, 1e-6))
