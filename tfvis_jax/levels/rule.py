"""Classify factors: words, patterns of a few words, long range, or something else.

Yun et al. (2021) distinguish three levels by eye. Low-level factors are words and word
senses; mid-level factors are patterns of a sentence; high-level factors depend on
long-range context. Two more classes are no levels: a *topic* is what a few documents
are about, and an *unreadable* factor fires at words and contexts that have nothing in
common.

What is known about a factor (see `evidence`) are a few numbers: how much of α the word
gives, alone or elsewhere, how much comes back as its context grows, what is left
without the word or the order of the others, how frequent its words are, how much of it
any token has, and whether its firings gather at one place of the window. A multinomial
logistic model over them (`calibration.json`, fitted by `benchmarks.levels.fit` on
factors that were read blind) gives the probability of each class. No number depends on
the layer, so it is a finding, not a definition, where in the network the factors of a
level are.
"""

import dataclasses
import functools
import math
import pathlib
from collections.abc import Mapping

from tfvis_jax.levels import evidence as evidence_lib
from tfvis_jax.levels import logistic
from tfvis_jax.levels import spread as spread_lib

LEVELS = ("low", "mid", "high", "topic", "unreadable", "unclear")
# Fewer documents cannot tell a level from the subject of a document.
MIN_DOCUMENTS = 10

# Of 100 factors with a reading in words or contexts, one is less even over the window.
_AT_ONE_PLACE = 0.4
# A few hundred factors were read, which does not make anything certain.
_MOST = 0.99
# A word with less of the weight is not what the factor is about.
_MAIN_WORD = 0.1

_CALIBRATION = pathlib.Path(__file__).with_name("calibration.json")
_UNMEASURED = " A guess: how much context it needs has not been measured."


@dataclasses.dataclass(frozen=True)
class Level:
    """The level of one factor.

    Attributes:
      name: one of `LEVELS`.
      reason: the probability and the evidence, in a sentence or two.
      probability: of the name, as calibrated on factors that were read; 0 if unclear.
      probabilities: of all classes; empty if there is too little evidence.
      is_guess: True if it fires, and its context was not measured.
    """

    name: str
    reason: str
    probability: float = 0.0
    probabilities: Mapping[str, float] = dataclasses.field(default_factory=dict)
    is_guess: bool = False


def judge(evidence: evidence_lib.Evidence) -> Level:
    """Returns the level of one factor, from its evidence."""
    spread, context = evidence.spread, evidence.context
    is_guess = context is None
    note = _UNMEASURED if is_guess else ""
    if spread is None or not evidence.firing:
        return Level("unclear", "It is dead: it never fires in the corpus.")
    if evidence.firing < evidence_lib.MIN_FIRING:
        return Level(
            "unclear",
            f"It fires on {evidence.firing} tokens, too few to tell.",
            is_guess=is_guess,
        )
    if spread.documents < MIN_DOCUMENTS:
        return Level(
            "unclear",
            f"It fires in {_count(spread.documents, 'document')}, too few to tell a "
            "level from what they are about.",
            is_guess=is_guess,
        )
    known = calibration()
    model = known.guess if is_guess else known.measured
    numbers = evidence_lib.numbers(evidence)
    p = of_classes(model.probabilities(numbers), known.split.topic(spread.tip_few))
    name, second = sorted(p, key=lambda each: -p[each])[:2]
    if p[name] < known.least:
        return Level(
            "unclear",
            f"Between {name} ({_percent(p[name])}) and {second} "
            f"({_percent(p[second])}): {_why(name, evidence)}.{note}",
            probabilities=p,
            is_guess=is_guess,
        )
    return Level(
        name,
        f"{_HEADS[name]} ({_percent(min(p[name], _MOST))}): "
        f"{_why(name, evidence)}.{note}",
        probability=p[name],
        probabilities=p,
        is_guess=is_guess,
    )


def of_classes(p: Mapping[str, float], topic: float) -> dict[str, float]:
    """Returns the probabilities of all classes, from those of the model.

    The model knows long range alone, which is a topic if few documents have most of
    the strongest firings.

    Args:
      p: probabilities of low, mid, high (any long range) and unreadable.
      topic: probability that a factor of long range is a topic.
    """
    return {
        "low": p["low"],
        "mid": p["mid"],
        "high": p["high"] * (1 - topic),
        "topic": p["high"] * topic,
        "unreadable": p["unreadable"],
    }


@functools.cache
def calibration() -> logistic.Calibration:
    """Returns the models that come with the package."""
    return logistic.read(_CALIBRATION)


_HEADS = {
    "low": "The word decides",
    "mid": "The words around it decide",
    "high": "Words further away decide",
    "topic": "The subject of a few documents",
    "unreadable": "Nothing that its firings have in common was found",
}


def _why(name: str, evidence: evidence_lib.Evidence) -> str:
    """Returns the evidence, what matters for a class first."""
    spread, context = evidence.spread, evidence.context
    assert spread is not None
    few = (
        f"{_percent(spread.tip_few)} of its strongest firings are in "
        f"{spread_lib.FEW_DOCUMENTS} of {spread.documents} documents"
    )
    words = f"“{spread.word}” has {_percent(spread.word_share)} of its weight"
    if spread.word_share < _MAIN_WORD:
        # Rounded up, so that none has more.
        most = math.ceil(round(100 * spread.word_share, 6)) / 100
        words = (
            f"many words fire it, none with more than {_percent(most)} of its weight"
        )
    parts = [few, words] if name == "topic" else [words]
    if context is not None:
        elsewhere = context.shares["elsewhere"]
        kept = [
            f"the word alone keeps {_percent(context.within(0))} of α, with 3 words on "
            f"either side {_percent(context.within(3))}, with 8 words "
            f"{_percent(context.within(8))}",
            f"at other places of the corpus the same words have {_percent(elsewhere)} "
            "of α",
        ]
        # What the word gives is the larger of the two.
        parts += kept if context.within(0) >= elsewhere else kept[::-1]
        if name == "unreadable" and spread.position > _AT_ONE_PLACE:
            parts.append("its firings gather at one place of the window")
        elif name == "unreadable":
            parts.append(
                f"its words are {'hardly ' if context.kinship < 0.06 else ''}alike "
                f"(mean cosine {context.kinship:.2f})"
            )
        without = context.shares["without_word"]
        if without > 0.5:
            parts.append(f"its context without it keeps {_percent(without)}")
    return "; ".join(parts)


def _percent(share: float) -> str:
    # A line must not break between the number and its sign.
    return f"{100 * share:.0f}\N{NO-BREAK SPACE}%"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
