"""What ratings of contexts say: shares with intervals, and how far raters agree."""

import collections
import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any

from tfvis_jax.reporting import tables
from tfvis_jax.runs import ratings as ratings_lib

# Of a normal distribution, 95 % is within so many standard deviations.
_Z = 1.959963984540054


@dataclasses.dataclass(frozen=True)
class Share:
    """How many contexts fit.

    Attributes:
      fits: contexts that fit.
      n: contexts that fit or do not; skipped ones are left out.
    """

    fits: int
    n: int

    @property
    def value(self) -> float:
        """The share; NaN of none."""
        return self.fits / self.n if self.n else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval."""
        return wilson(self.fits, self.n)


@dataclasses.dataclass(frozen=True)
class Agreement:
    """How far two raters agree on the contexts that both have judged.

    Attributes:
      n: contexts that both have judged.
      same: of which both say the same.
      kappa: Cohen's κ, agreement beyond chance; NaN if both always say one thing.
    """

    n: int
    same: int
    kappa: float


def wilson(fits: int, n: int) -> tuple[float, float]:
    """Returns Wilson's 95 % interval of a share; all of 0 … 1 where n is 0.

    Source: E. B. Wilson (1927), Probable inference, the law of succession, and
    statistical inference, Journal of the American Statistical Association 22, 209.
    """
    if n == 0:
        return 0.0, 1.0
    p, z2 = fits / n, _Z**2 / n
    middle = (p + z2 / 2) / (1 + z2)
    reach = math.sqrt(z2 * (p * (1 - p) + z2 / 4)) / (1 + z2)
    # Exactly 0 and 1 at the ends, where rounding would leave a little.
    return (middle - reach if fits else 0.0), (middle + reach if fits < n else 1.0)


def share(judged: Iterable[ratings_lib.Judgement], *, band: str) -> Share:
    """Returns how many of the judged contexts of a band fit."""
    said = [each.says for each in judged if each.band == band and each.says != "skip"]
    return Share(said.count("fits"), len(said))


def agreement(first: ratings_lib.Rating, second: ratings_lib.Rating) -> Agreement:
    """Returns how far two raters agree; what either has skipped is left out.

    Source: J. Cohen (1960), A coefficient of agreement for nominal scales, Educational
    and Psychological Measurement 20, 37.
    """
    said = {each.context: each.says for each in second.judged}
    pairs = [
        (each.says, said[each.context])
        for each in first.judged
        if each.says != "skip" and said.get(each.context, "skip") != "skip"
    ]
    n, same = len(pairs), sum(a == b for a, b in pairs)
    if n == 0:
        return Agreement(0, 0, math.nan)
    ours, theirs = (collections.Counter(side) for side in zip(*pairs, strict=True))
    by_chance = sum(ours[says] * theirs[says] for says in ours) / n**2
    kappa = (same / n - by_chance) / (1 - by_chance) if by_chance < 1 else math.nan
    return Agreement(n, same, kappa)


def to_json(ratings: Sequence[ratings_lib.Rating]) -> list[dict[str, Any]]:
    """Returns each rating's shares by band, each as [fits, judged]."""
    return [
        {
            "factor": rating.factor,
            "layer": rating.layer,
            "by": rating.by,
            "hypothesis": rating.hypothesis,
            "shares": {
                band: list(dataclasses.astuple(share(rating.judged, band=band)))
                for band in ratings_lib.BANDS
            },
        }
        for rating in ratings
    ]


def table(ratings: Sequence[ratings_lib.Rating]) -> str:
    """Returns the share of the strongest contexts that fit, as the paper's table 3.

    One row for each factor and rater, one column for each layer, in percent with its
    95 % interval; the last column says how many decoys were accepted.
    """
    layers = sorted({rating.layer for rating in ratings})
    rows: dict[tuple[int, str], dict[int, ratings_lib.Rating]] = {}
    for rating in sorted(ratings, key=lambda each: each.key):
        rows.setdefault((rating.factor, rating.by), {})[rating.layer] = rating
    return tables.markdown(
        [
            "factor",
            "rater",
            "pattern",
            *(f"layer {layer}" for layer in layers),
            "decoys",
        ],
        [
            [
                str(factor),
                by.replace("|", "\\|") or "–",
                next(iter(of.values())).hypothesis.replace("|", "\\|") or "–",
                *(_percent(of[layer]) if layer in of else "–" for layer in layers),
                _decoys(of.values()),
            ]
            for (factor, by), of in rows.items()
        ],
    )


def section(ratings: Sequence[ratings_lib.Rating]) -> str:
    """Returns `table` below a sentence on what it is, or how to rate."""
    if not ratings:
        return (
            "Nobody has rated contexts of this run; `tfvis view` has a page to do it, "
            "`#/rate`."
        )
    return (
        "Share of the strongest contexts that fit, as people say on the page, with its "
        "95 % interval and their number; decoys that fit as well.\n\n"
        f"{table(ratings)}"
    )


def _percent(rating: ratings_lib.Rating) -> str:
    found = share(rating.judged, band="top")
    low, high = found.interval
    if not found.n:
        return "–"
    return f"{found.value:.0%} ({low:.0%}–{high:.0%}), {found.n}"


def _decoys(ratings: Iterable[ratings_lib.Rating]) -> str:
    found = [share(rating.judged, band="decoy") for rating in ratings]
    return f"{sum(f.fits for f in found)} of {sum(f.n for f in found)}"
