"""Low, mid or high: what a factor stands for, a word, a pattern or a document.

Yun et al. (2021) tell three levels apart by eye: low-level factors are words and word
senses, there from the first layers; mid-level ones are patterns of a sentence, rising
in the middle; high-level ones are of long range and rise at the top. Here three kinds
of evidence are weighed, all of them numbers in 0 … 1:

    word    mean of  alone   share of α that the token keeps without its neighbours
                     few     how few word forms its strongest tokens are
    reach   mean of  far     share of α that a few neighbours do not bring back
                     late    depth of the layer at which its importance sets on

A factor is low if ``word`` is above a half; else high if ``reach`` is above a half;
else mid. Where context has not been measured the means are of what there is, and the
reason says so. A factor is unclear that hardly fires, that is too close to a half, or
that has fewer than three layers. How often that agrees with labels made from text is in
docs/interpretation.md.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from tfvis_jax.errors import InputError
from tfvis_jax.examples import results
from tfvis_jax.levels import context_shares, level_file, word_forms

LEVELS = ("low", "mid", "high", "unclear")
# A mean over fewer firing tokens than this says nothing.
MIN_FIRING = 20
# With two layers there is no middle.
MIN_LAYERS = 3
# The onset is where importance reaches this share of its peak: half the height, so that
# a tail of weak layers does not count.
ONSET_SHARE = 0.5
# Of so many equally frequent word forms ``few`` is 0, and of four, as many as a verb
# has, it is a half.
MANY_FORMS = 16
# Tokens on either side within which a pattern is whole, one of `context_shares.RADII`.
NEAR = 3
# Share of α that is missing within `NEAR` tokens at which ``far`` is 1. Patterns miss a
# tenth of it, factors of documents a quarter: a fifth is between them.
FAR_LOSS = 0.4
# Both questions are decided at a half; as close to it as this, nothing is.
MARGIN = 0.02


@dataclasses.dataclass(frozen=True)
class Level:
    """The level of one factor.

    Attributes:
      name: one of `LEVELS`.
      reason: a sentence or two.
      score: of the decisions that lead to the name the closest, from 0.5, doubtful, to
        1; 0 where unclear.
    """

    name: str
    reason: str
    score: float = 0.0


@dataclasses.dataclass(frozen=True, eq=False)
class Evidence:
    """What is known of one factor.

    Attributes:
      layers: [n_layers] numbers of the layers, rising.
      importance: [n_layers] importance scores.
      firing: [n_layers] tokens on which it fires.
      forms: the word forms of its strongest tokens; None where it never fires.
      shares: [len(context_shares.RADII)] share of α within each radius, where it was
        measured.
    """

    layers: tuple[int, ...]
    importance: np.ndarray
    firing: np.ndarray
    forms: word_forms.WordForms | None
    shares: np.ndarray | None


def peaks(importance: np.ndarray, firing: np.ndarray) -> np.ndarray:
    """Returns the index of the layer at which each factor peaks, [n_factors].

    Layers in which it fires on fewer than `MIN_FIRING` tokens do not count, unless
    there is no other.

    Args:
      importance: [n_layers, n_factors] importance scores.
      firing: [n_layers, n_factors] numbers of tokens on which a factor fires.
    """
    often = firing >= MIN_FIRING
    return np.argmax(np.where(often | ~often.any(axis=0), importance, 0), axis=0)


def of_run(run: results.Results) -> list[Level]:
    """Returns the level of every factor of a run, from the evidence that it has.

    Context shares that are missing, or belong to other examples, are not used.
    """
    importance, examples = run.importance(), run.examples
    firing = np.asarray(examples.firing)
    try:
        shares = level_file.load(run.directory.levels, examples).shares
    except InputError:
        shares = None
    return classify(
        importance,
        firing,
        layers=run.trained.layers,
        forms=word_forms.of_examples(
            run.windows, examples, peaks=peaks(importance, firing)
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
      layers: numbers of the layers, rising.
      forms: [n_factors] word forms at the layer of `peaks`; None where it never fires.
      shares: [n_factors, len(context_shares.RADII)], NaN where a factor never fires;
        None where they have not been measured.
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
    """Returns the level that the evidence of one factor speaks for."""
    firing = evidence.firing
    if not firing.any():
        return Level("unclear", "It is dead: it fires nowhere.")
    if firing.max() < MIN_FIRING:
        return Level(
            "unclear", f"It fires on {firing.max()} tokens of a layer at most."
        )
    if len(evidence.layers) < MIN_LAYERS:
        return Level("unclear", "Fewer than three layers say nothing about depth.")
    word, word_reason = _together(_few(evidence), _alone(evidence))
    reach, reach_reason = _together(_far(evidence), _late(evidence))
    unmeasured = evidence.shares is None
    note = " How much context it needs has not been measured." if unmeasured else ""
    if abs(word - 0.5) < MARGIN:
        return Level("unclear", f"Between a word and more: {word_reason}.{note}")
    if word > 0.5:
        return Level("low", f"Of a word: {word_reason}.{note}", word)
    if abs(reach - 0.5) < MARGIN:
        return Level(
            "unclear", f"Between a pattern and long range: {reach_reason}.{note}"
        )
    more = f"More than a word: {word_reason}."
    if reach > 0.5:
        return Level(
            "high", f"{more} Of long range: {reach_reason}.{note}", min(1 - word, reach)
        )
    return Level(
        "mid",
        f"{more} A pattern nearby: {reach_reason}.{note}",
        min(1 - word, 1 - reach),
    )


def _together(*parts) -> tuple[float, str]:
    """Returns the mean of the numbers that there are, and their reasons."""
    known = [part for part in parts if part is not None]
    mean = float(np.mean([number for number, _ in known]))
    return mean, ", and ".join(reason for _, reason in known)


def _few(evidence):
    forms = evidence.forms
    number = 1 - math.log2(forms.effective) / math.log2(MANY_FORMS)
    if forms.effective < 1.05:
        return 1.0, f"its strongest tokens are all {forms.word!r}"
    return max(number, 0.0), (
        f"its strongest tokens spread over about {forms.effective:.0f} words "
        f"(most often {forms.word!r}, {forms.share:.0%})"
    )


def _alone(evidence):
    if evidence.shares is None:
        return None
    share = float(evidence.shares[0])
    return share, f"a token without its neighbours keeps {share:.0%} of α"


def _far(evidence):
    if evidence.shares is None:
        return None
    share = float(evidence.shares[context_shares.RADII.index(NEAR)])
    return min((1 - share) / FAR_LOSS, 1.0), (
        f"with {NEAR} tokens on either side {share:.0%} of α is there"
    )


def _late(evidence):
    curve = np.where(evidence.firing >= MIN_FIRING, evidence.importance, 0)
    onset = int(np.argmax(curve >= ONSET_SHARE * curve.max()))
    return onset / (len(curve) - 1), (
        f"its importance reaches half of its peak at layer {evidence.layers[onset]}"
    )
