"""Classify factors as low, mid or high: words, patterns of a sentence, or long range.

Yun et al. (2021) distinguish three levels by eye. Low-level factors are words and word
senses and are present from the first layers. Mid-level factors are sentence patterns
and rise in the middle layers. High-level factors depend on long-range context and rise
in the last layers. This rule scores two questions from four numbers, each in 0 … 1:

    word    mean of  alone   share of α that a token keeps without its neighbours
                     few     1 if its strongest tokens are one word form, 0 if many
    reach   mean of  far     share of α that the nearest neighbours do not restore
                     late    relative depth of the layer at which its importance sets in

A factor is low if ``word`` > 0.5, else high if ``reach`` > 0.5, else mid. If context
shares were not measured, the means are over the remaining numbers, and the reason says
so. A factor is unclear if it hardly fires, if a score is too close to 0.5, or if the
dictionary has fewer than three layers. docs/interpretation.md reports how often the
rule agrees with labels made from text.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from tfvis_jax.examples import results as results_lib
from tfvis_jax.levels import context_shares, level_file, word_forms

LEVELS = ("low", "mid", "high", "unclear")
# A mean over fewer firing tokens is too noisy.
MIN_FIRING = 20
# Two layers have no middle.
MIN_LAYERS = 3
# Importance sets in where it reaches this share of its peak: at half of the height, so
# that a tail of weak layers does not count.
ONSET_SHARE = 0.5
# ``few`` is 0 for this many equally frequent word forms. It is then 0.5 for four, the
# number of forms of an English verb.
MANY_FORMS = 16
# Number of tokens on either side that contain a pattern; one of `context_shares.RADII`.
NEAR = 3
# Share of α missing within `NEAR` tokens at which ``far`` is 1. Patterns miss about a
# tenth of α, factors of documents a quarter; ``far`` is 0.5 in between, at a fifth.
FAR_LOSS = 0.4
# A score this close to 0.5 decides nothing.
MARGIN = 0.02


@dataclasses.dataclass(frozen=True)
class Level:
    """The level of one factor.

    Attributes:
      name: one of `LEVELS`.
      reason: the evidence, in a sentence or two.
      score: margin of the closest decision that led to the name, from 0.5 (doubtful) to
        1; 0 if unclear.
    """

    name: str
    reason: str
    score: float = 0.0


@dataclasses.dataclass(frozen=True, eq=False)
class Evidence:
    """The evidence about one factor.

    Attributes:
      layers: [n_layers] numbers of the layers, ascending.
      importance: [n_layers] importance scores.
      firing: [n_layers] numbers of tokens on which the factor fires.
      forms: word forms of its strongest tokens; None if it never fires.
      shares: [len(context_shares.RADII)] share of α within each radius; None if not
        measured.
    """

    layers: tuple[int, ...]
    importance: np.ndarray
    firing: np.ndarray
    forms: word_forms.WordForms | None
    shares: np.ndarray | None


def peaks(importance: np.ndarray, firing: np.ndarray) -> np.ndarray:
    """Returns the index of the layer at which each factor peaks, [n_factors].

    Layers at which a factor fires on fewer than `MIN_FIRING` tokens do not count,
    unless it has no others.

    Args:
      importance: [n_layers, n_factors] importance scores.
      firing: [n_layers, n_factors] numbers of tokens on which a factor fires.
    """
    often = firing >= MIN_FIRING
    return np.argmax(np.where(often | ~often.any(axis=0), importance, 0), axis=0)


def of_results(results: results_lib.Results) -> list[Level]:
    """Returns the level of every factor of a run.

    Context shares are used if they were measured on the run's examples.

    Args:
      results: results of the run, with examples.

    Raises:
      InputError: the file of context shares is damaged, or there are no examples.
    """
    importance, examples = results.importance(), results.examples
    firing = np.asarray(examples.firing)
    try:
        shares = level_file.load(results.directory.levels, examples).shares
    except level_file.NotMeasured:
        shares = None
    return classify(
        importance,
        firing,
        layers=results.trained.layers,
        forms=word_forms.of_examples(
            results.windows, examples, peaks=peaks(importance, firing)
        ),
        shares=shares,
    )


def classify(
    importance: np.ndarray,
    firing: np.ndarray,
    *,
    layers: tuple[int, ...],
    forms: Sequence[word_forms.WordForms | None],
    shares: np.ndarray | None,
) -> list[Level]:
    """Returns the level of every factor.

    Args:
      importance: [n_layers, n_factors] importance scores.
      firing: [n_layers, n_factors] numbers of tokens on which a factor fires.
      layers: [n_layers] numbers of the layers, ascending.
      forms: [n_factors] word forms at the layer of `peaks`; None for factors that never
        fire.
      shares: [n_factors, len(context_shares.RADII)], NaN for factors that never fire;
        None if not measured.
    """
    return [
        judge(
            Evidence(
                layers=layers,
                importance=importance[:, factor],
                firing=firing[:, factor],
                forms=forms[factor],
                shares=None if shares is None else shares[factor],
            )
        )
        for factor in range(importance.shape[1])
    ]


def judge(evidence: Evidence) -> Level:
    """Returns the level of one factor, from its evidence."""
    firing = evidence.firing
    if evidence.forms is None or not firing.any():
        return Level("unclear", "It is dead: it never fires in the corpus.")
    if firing.max() < MIN_FIRING:
        return Level(
            "unclear", f"It fires on at most {firing.max()} tokens at any layer."
        )
    if len(evidence.layers) < MIN_LAYERS:
        return Level(
            "unclear", "Fewer than three layers do not show at which depth it rises."
        )
    word, word_reason = _mean(_few(evidence.forms), _alone(evidence))
    reach, reach_reason = _mean(_far(evidence), _late(evidence))
    unmeasured = evidence.shares is None
    note = " How much context it needs has not been measured." if unmeasured else ""
    if abs(word - 0.5) < MARGIN:
        return Level(
            "unclear", f"Between a word and more than a word: {word_reason}.{note}"
        )
    if word > 0.5:
        return Level("low", f"A word: {word_reason}.{note}", word)
    if abs(reach - 0.5) < MARGIN:
        return Level(
            "unclear", f"Between a pattern and long range: {reach_reason}.{note}"
        )
    more = f"More than a word: {word_reason}."
    if reach > 0.5:
        return Level(
            "high", f"{more} Long range: {reach_reason}.{note}", min(1 - word, reach)
        )
    return Level(
        "mid",
        f"{more} A nearby pattern: {reach_reason}.{note}",
        min(1 - word, 1 - reach),
    )


def _mean(*parts: tuple[float, str] | None) -> tuple[float, str]:
    """Returns the mean of the known numbers, and their reasons."""
    known = [part for part in parts if part is not None]
    mean = float(np.mean([number for number, _ in known]))
    return mean, ", and ".join(reason for _, reason in known)


def _few(forms: word_forms.WordForms) -> tuple[float, str]:
    number = 1 - math.log2(forms.effective) / math.log2(MANY_FORMS)
    # Shown as one form, although a few other tokens may be among them.
    if forms.effective < 1.05:
        return 1.0, f"its strongest tokens are all {forms.word!r}"
    return max(number, 0.0), (
        f"its strongest tokens spread over about {forms.effective:.0f} words "
        f"(most often {forms.word!r}, {forms.share:.0%})"
    )


def _alone(evidence: Evidence) -> tuple[float, str] | None:
    if evidence.shares is None:
        return None
    share = float(evidence.shares[0])
    return share, f"a token without its neighbours keeps {share:.0%} of α"


def _far(evidence: Evidence) -> tuple[float, str] | None:
    if evidence.shares is None:
        return None
    share = float(evidence.shares[context_shares.RADII.index(NEAR)])
    return min((1 - share) / FAR_LOSS, 1.0), (
        f"with {NEAR} tokens on either side it keeps {share:.0%} of α"
    )


def _late(evidence: Evidence) -> tuple[float, str]:
    # A stray token can have a large α: layers with few tokens do not count.
    curve = np.where(evidence.firing >= MIN_FIRING, evidence.importance, 0)
    onset = int(np.argmax(curve >= ONSET_SHARE * curve.max()))
    return onset / (len(curve) - 1), (
        f"its importance reaches half of its peak at layer {evidence.layers[onset]}"
    )
