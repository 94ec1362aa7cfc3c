"""What the study of word senses says of the paper's claims (Yun et al. 2021)."""

from collections.abc import Sequence

from tfvis_jax.evaluation import representations
from tfvis_jax.probing import scores
from tfvis_jax.reporting.claims import Claim
from tfvis_jax.studies.words import word_probes, word_senses, word_senses_report

HOLDS, IN_PART, NOT_HERE, UNDECIDED = (
    "holds",
    "holds in part",
    "does not hold here",
    "not decided by this test",
)
# Without factors, or without learning.
_CONTROLS = (
    representations.RANDOM,
    representations.SAMPLES,
    representations.PROJECTIONS,
    representations.HIDDEN,
)
# A test in which these do as well says nothing about what was learned.
_CHANCE = (representations.RANDOM, representations.SAMPLES)
_FEW = 5
# A factor that tells a use ranks nearly all of it first.
_TELLS = 0.9
# What codes may lose against hidden states, in accuracy; what residuals may tell, as a
# share of the way from the majority class to hidden states.
_LOSS = 0.02
_NOTHING, _HALF = 0.1, 0.5


def claims(studies: Sequence[word_senses.WordStudy]) -> list[Claim]:
    """Returns the claims that the words studied can speak to.

    Args:
      studies: of any words.
    """
    found = [_one_factor(study) for study in studies if study.positive is not None]
    words = [
        study
        for group in word_senses_report.groups(studies).values()
        for study in group
    ]
    words = words or list(studies)
    found += [_senses(words), _keep(words), _residual(words)]
    return [claim for claim in found if claim is not None]


def verdict(
    behind: dict[str, scores.Estimate], *, is_enough: bool
) -> tuple[str, list[str]]:
    """Judges a figure by its lead over controls.

    Args:
      behind: for each control the factors' figure less that of the control.
      is_enough: whether the figure itself is what the claim asks for.

    Returns:
      The verdict: it holds only if the interval of every lead is above zero; nothing is
      decided if random directions or untrained samples do as well. And the controls
      that do as well.
    """
    as_good = [name for name, lead in behind.items() if not lead.low > 0]
    if any(name in _CHANCE for name in as_good):
        return UNDECIDED, as_good
    if as_good:
        worse = any(behind[name].high < 0 for name in as_good)
        return (NOT_HERE if worse else IN_PART), as_good
    return (HOLDS if is_enough else IN_PART), as_good


def _one_factor(study: word_senses.WordStudy) -> Claim | None:
    def of(name: str, features: int | str = word_probes.ONE) -> scores.Estimate | None:
        return word_senses_report.average_precision(study, name, features)

    ours = of(representations.FACTORS)
    if ours is None:
        return None
    found = {name: of(name) for name in _CONTROLS}
    known = {name: each for name, each in found.items() if each is not None}
    behind = {name: scores.difference(ours, each) for name, each in known.items()}
    judged, as_good = verdict(behind, is_enough=ours.low >= _TELLS)
    beside = {
        word_senses_report.shown_name(name): each.value for name, each in known.items()
    }
    for name, features, shown in (
        (representations.SAE, word_probes.ONE, "SAE"),
        (word_probes.TAGGER, word_probes.ALL, "tagger, which knows the word"),
        (representations.HIDDEN, word_probes.ALL, "probe of the whole hidden state"),
    ):
        if (each := of(name, features)) is not None:
            beside[shown] = each.value
    reason = f"Average precision {ours} over {study.n_tokens:,} tokens"
    reason += f"; {_leads(behind)}."
    if not as_good and judged != HOLDS:
        reason += f" It leads every control, but is not above {_TELLS}."
    if study.gold is not None:
        reason += (
            f" Labels: {study.gold['n_wrong']} of {study.gold['n']} that were read are "
            "wrong."
        )
    return Claim(
        claim=(
            f"One factor tells “{study.word}” as a {study.positive} from its other "
            f"uses ({study.source})."
        ),
        measure="average precision of one feature in ranking all tokens",
        ours=ours.value,
        interval=(ours.low, ours.high),
        controls=beside,
        verdict=judged,
        reason=reason,
    )


def _senses(studies: Sequence[word_senses.WordStudy]) -> Claim | None:
    sizes = [f.features for s in studies for f in s.figures if f.features != "one"]
    few = (
        _FEW
        if _FEW in sizes
        else min((k for k in sizes if isinstance(k, int)), default=0)
    )
    ours = _mean(studies, representations.FACTORS, few)
    if ours is None:
        return None
    found = {name: _mean(studies, name, few) for name in _CONTROLS}
    known = {name: each for name, each in found.items() if each is not None}
    behind = {name: scores.difference(ours, each) for name, each in known.items()}
    judged, _ = verdict(behind, is_enough=True)
    beside = {
        word_senses_report.shown_name(name): each.value for name, each in known.items()
    }
    for name, features in (
        (representations.SAE, few),
        (word_probes.MAJORITY, word_probes.ALL),
    ):
        if (each := _mean(studies, name, features)) is not None:
            beside[name] = each.value
    if (whole := _mean(studies, representations.HIDDEN, word_probes.ALL)) is not None:
        beside["probe of the whole hidden state"] = whole.value
    return Claim(
        claim="Factors tell the senses of words.",
        measure=f"mean accuracy of a probe of {few} features, {len(studies)} words",
        ours=ours.value,
        interval=(ours.low, ours.high),
        controls=beside,
        verdict=judged,
        reason=f"Accuracy {ours} with {few} factors; {_leads(behind)}.",
    )


def _keep(studies: Sequence[word_senses.WordStudy]) -> Claim | None:
    codes = _mean(studies, representations.FACTORS, word_probes.ALL)
    whole = _mean(studies, representations.HIDDEN, word_probes.ALL)
    if codes is None or whole is None:
        return None
    gap = scores.difference(codes, whole)
    judged = HOLDS if gap.low >= -_LOSS else IN_PART
    if gap.high < -_LOSS:
        judged = NOT_HERE
    beside = {"hidden state": whole.value}
    for name in (representations.RECONSTRUCTION, representations.SAE):
        if (each := _mean(studies, name, word_probes.ALL)) is not None:
            beside[name] = each.value
    if (least := _mean(studies, word_probes.MAJORITY, word_probes.ALL)) is not None:
        beside["majority"] = least.value
    return Claim(
        claim="Codes keep what hidden states tell of a word.",
        measure=f"mean accuracy of a probe of all codes, {len(studies)} words",
        ours=codes.value,
        interval=(codes.low, codes.high),
        controls=beside,
        verdict=judged,
        reason=(
            f"Codes less hidden state: {gap}; the claim allows a loss of {_LOSS:.2f}."
        ),
    )


def _residual(studies: Sequence[word_senses.WordStudy]) -> Claim | None:
    """Judges means over words and layers: every part at the same layer."""
    layers = sorted(studies[0].fvu)

    def over_layers(name: str) -> scores.Estimate | None:
        found = [_mean(studies, name, word_probes.ALL, layer) for layer in layers]
        known = [each for each in found if each is not None]
        return scores.mean(known) if len(known) == len(found) and known else None

    residual, whole = map(
        over_layers, (representations.RESIDUAL, representations.HIDDEN)
    )
    least = _mean(studies, word_probes.MAJORITY, word_probes.ALL)
    if residual is None or whole is None or least is None or whole.value <= least.value:
        return None
    share = scores.ratio(
        scores.difference(residual, least), scores.difference(whole, least)
    )
    judged = IN_PART if share.high <= _HALF else NOT_HERE
    if share.high <= _NOTHING:
        judged = HOLDS
    beside = {"majority": least.value, "residual": residual.value, "x": whole.value}
    if (made := over_layers(representations.RECONSTRUCTION)) is not None:
        beside["reconstruction"] = made.value
    return Claim(
        claim="What the factors leave out tells nothing of a word.",
        measure=(
            "way from the majority class to the probe of x that the residual's goes "
            f"alone, mean of {len(studies)} words and {len(layers)} layers"
        ),
        ours=share.value,
        interval=(share.low, share.high),
        controls=beside,
        verdict=judged,
        reason=(
            f"The residual alone goes {share.value:.2f} of the way; 0 is nothing, 1 "
            "all that hidden states tell. The controls are accuracies."
        ),
    )


def _mean(
    studies: Sequence[word_senses.WordStudy],
    name: str,
    features: int | str,
    layer: int | str | None = word_probes.CHOSEN,
) -> scores.Estimate | None:
    """Returns the mean accuracy over words; None if a word lacks it."""
    found = [
        word_senses_report.accuracy(study, name, features, layer) for study in studies
    ]
    known = [each for each in found if each is not None]
    return scores.mean(known) if known and len(known) == len(found) else None


def _leads(behind: dict[str, scores.Estimate]) -> str:
    leads = [
        f"{lead} over {word_senses_report.shown_name(name)}"
        for name, lead in behind.items()
    ]
    return f"lead of {', '.join(leads)}"
