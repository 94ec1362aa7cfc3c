"""The study of steering as JSON, as Markdown tables, and as claims."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfvis_jax.evaluation import intervals
from tfvis_jax.probing import scores
from tfvis_jax.reporting import claims as claims_lib
from tfvis_jax.reporting import tables
from tfvis_jax.studies import by_document, verdicts
from tfvis_jax.studies.steering import steering, steering_study, steering_words

# Strength at which directions are compared: the factor as much as it was active.
_WHOLE = 1.0
_FIGURES = ("kl", "log_share", "odds", "flipped", "typical_kl")


def to_json(study: steering_study.Study) -> dict[str, Any]:
    """Returns all figures; an estimate is [value, low, high]."""
    return {
        "figures": [
            {
                name: value
                for name, value in vars(figure).items()
                if name not in _FIGURES
            }
            | {name: by_document.numbers(getattr(figure, name)) for name in _FIGURES}
            for figure in study.figures
        ],
        "factors": [vars(factor) for factor in study.factors],
        "words": [
            {
                "word": word.found.word,
                "class": word.found.positive,
                "n_occurrences": len(word.found.first),
                "n_of_class": int(word.found.is_positive.sum()),
                "n_documents": word.found.n_documents,
                "chosen": vars(word.chosen),
                "lowered": word.lowered,
                "raised": word.raised,
                "added": word.added,
            }
            for word in study.words
        ],
    }


def table(study: steering_study.Study, document: dict[str, Any]) -> str:
    """Returns the tables of a study.

    Args:
      study: what was found.
      document: begins with `environment.describe`; names the "source" and has the
        "claims".
    """
    parts = [
        f"{document['source']}. {tables.where(document)}",
        "A factor is taken out of one layer (x' = x − α φ), or added, and the model "
        "runs on; the controls are changes of the same size at the same tokens. KL is "
        "the divergence of predictions at masked words from what they were, in nats. "
        "Intervals are 95 %, by a bootstrap over documents.",
    ]
    if study.factors:
        parts += [_any_factor(study), _one_by_one(study)]
    if study.words:
        parts.append(_chosen(study.words))
        for word in study.words:
            parts.append(_word(study, word))
    parts.append(
        claims_lib.table(
            [claims_lib.Claim.from_json(entry) for entry in document["claims"]]
        )
    )
    return "\n\n".join(parts)


def claims(study: steering_study.Study) -> list[claims_lib.Claim]:
    """Returns what the study says of the claims."""
    found = []
    if study.factors:
        found += [_claim_any_kl(study), _claim_any_words(study)]
    if study.words:
        best = study.words[0].found.best
        word, positive = study.words[0].found.word, study.words[0].found.positive
        found += _word_claims(study, best, word=word, positive=positive)
    return found


def _at_strength_one(study: steering_study.Study) -> float:
    strengths = sorted({figure.strength for figure in study.figures})
    return min(strengths, key=lambda strength: abs(strength - _WHOLE))


def _by_direction(
    study: steering_study.Study, **where: Any
) -> dict[str, steering_study.Figure]:
    """Returns the figures of one place at strength 1, by direction."""
    strength = _at_strength_one(study)
    found = {
        direction: study.find(direction=direction, strength=strength, **where)
        for direction in steering.DIRECTIONS
    }
    return {name: figure for name, figure in found.items() if figure is not None}


def _margins(
    figures: dict[str, steering_study.Figure], name: str, *, sign: float = 1
) -> dict[str, scores.Estimate]:
    """How far the factor is ahead of each control."""
    ours = getattr(figures[steering.FACTOR], name)
    return {
        control: by_document.difference(
            ours, getattr(figures[control], name), sign=sign
        )
        for control in steering.CONTROLS
    }


def _ratios(
    figures: dict[str, steering_study.Figure],
) -> dict[str, scores.Estimate]:
    """The factor's typical KL over that of each control."""
    ours = figures[steering.FACTOR].typical_kl
    return {
        control: by_document.quotient(ours, figures[control].typical_kl)
        for control in steering.CONTROLS
    }


def _claim_kl(
    figures: dict[str, steering_study.Figure],
    *,
    claim: str,
    measure: str,
    remark: str = "",
) -> claims_lib.Claim:
    ours = figures[steering.FACTOR]
    ratios = _ratios(figures)
    margins = {
        name: by_document.estimate(np.append(ratio.value, ratio.samples) - 1)
        for name, ratio in ratios.items()
    }
    told = "; ".join(f"{_cell(ratio)} times {name}" for name, ratio in ratios.items())
    return claims_lib.Claim(
        claim=claim,
        measure=measure,
        ours=ours.typical_kl.value,
        interval=_interval(ours, "typical_kl"),
        controls={
            control: figures[control].typical_kl.value for control in steering.CONTROLS
        },
        verdict=verdicts.from_margins(margins, n_documents=ours.n_documents),
        reason=(
            f"{ours.n_positions:,} predictions of {ours.n_documents} documents; the "
            f"factor's KL is {told}. {remark}"
        ).strip(),
    )


def _interval(figure: steering_study.Figure, name: str) -> tuple[float, float] | None:
    if figure.n_documents < intervals.LEAST_DOCUMENTS:
        return None
    found = getattr(figure, name)
    return found.low, found.high


def _claim(
    figures: dict[str, steering_study.Figure],
    name: str,
    *,
    claim: str,
    measure: str,
    sign: float,
    remark: str = "",
    undecided: str = "",
) -> claims_lib.Claim:
    ours = figures[steering.FACTOR]
    margins = _margins(figures, name, sign=sign)
    estimate = getattr(ours, name)
    verdict = verdicts.from_margins(margins, n_documents=ours.n_documents)
    if undecided:
        verdict, remark = verdicts.UNDECIDED, f"{remark} {undecided}".strip()
    reason = (
        f"{ours.n_positions:,} predictions of {ours.n_documents} documents; the factor "
        f"is {verdicts.in_words(margins, unit=' nats')}."
    )
    return claims_lib.Claim(
        claim=claim,
        measure=measure,
        ours=estimate.value,
        interval=_interval(ours, name),
        controls={
            control: getattr(figures[control], name).value
            for control in steering.CONTROLS
        },
        verdict=verdict,
        reason=f"{reason} {remark}".strip(),
    )


def _claim_any_kl(study: steering_study.Study) -> claims_lib.Claim:
    figures = _by_direction(
        study, question=steering_study.ANY, place=steering_study.HERE, layer=None
    )
    shares = ", ".join(
        f"{_share_ahead(study.factors, control):.0%} ({control})"
        for control in steering.CONTROLS
    )
    return _claim_kl(
        figures,
        claim="Removing a factor moves the model's predictions more than removing as "
        "much of something else.",
        measure="KL at masked words where the factor fires, all layers, nats, "
        "geometric mean",
        remark=f"Factor by factor, it has the larger KL for {shares} of "
        f"{len(study.factors)}.",
    )


def _claim_any_words(study: steering_study.Study) -> claims_lib.Claim:
    figures = _by_direction(
        study, question=steering_study.ANY, place=steering_study.HERE, layer=None
    )
    return _claim(
        figures,
        "log_share",
        claim="What a factor holds is needed: removing it makes the masked word itself "
        "less probable than removing as much of something else.",
        measure="change of the masked word's log-probability where the factor fires, "
        "all layers, nats",
        sign=-1,
    )


def _word_claims(
    study: steering_study.Study,
    best: steering_words.ChosenFactor,
    *,
    word: str,
    positive: str,
) -> list[claims_lib.Claim]:
    def at(place: str) -> dict[str, steering_study.Figure]:
        return _by_direction(study, question=word, place=place, layer=best.layer)

    named = f"the factor of “{word}” as {positive} (layer {best.layer})"
    told = (
        f"Over all tokens of unseen documents factor {best.factor} finds the "
        f"{positive} with an average precision of {best.test_average_precision:.2f}; a "
        f"detector of the word alone would have {best.word_average_precision:.2f}."
    )
    found = [
        _claim(
            at(steering_words.READ),
            "log_share",
            claim=f"Removing {named} takes the word out of the prediction at its "
            "place.",
            measure=f"change of log p(“{word}”) at the word, nats",
            sign=-1,
            remark=told,
        ),
        _claim(
            at(steering_words.READ),
            "odds",
            claim=f"Removing {named} makes its place less of a {positive}.",
            measure=f"change of the log-odds of words that are always {positive}s "
            "against words that never are, at the word, nats",
            sign=-1,
            undecided=""
            if best.tells_class
            else f"But no factor tells the {positive} from the word itself ({told})",
        ),
        _claim(
            at(steering_words.HIDDEN),
            "log_share",
            claim=f"Adding {named} where the word is hidden makes the model expect it.",
            measure=f"change of log p(“{word}”) at [MASK], nats",
            sign=1,
        ),
    ]
    # Not looked at above the last layer.
    if beside := at(steering_words.BESIDE):
        found.append(
            _claim_kl(
                beside,
                claim=f"Removing {named} moves the predictions around the word more "
                "than removing as much of something else.",
                measure="KL at the masked token before or behind the word, nats, "
                "geometric mean",
            )
        )
    return found


def _share_ahead(factors: Sequence[steering_study.FactorEffect], control: str) -> float:
    ahead = [each.kl[steering.FACTOR] > each.kl[control] for each in factors]
    return float(np.mean(ahead))


def _any_factor(study: steering_study.Study) -> str:
    lines = []
    for place in (steering_study.HERE, steering_study.ELSEWHERE):
        layers = dict.fromkeys(
            figure.layer for figure in study.figures if figure.place == place
        )
        for layer in layers if place == steering_study.HERE else [None]:
            figures = _by_direction(
                study, question=steering_study.ANY, place=place, layer=layer
            )
            ratios = _ratios(figures)
            for direction, figure in figures.items():
                ratio = _cell(ratios[direction]) if direction in ratios else "–"
                lines.append(
                    (
                        place,
                        "all" if layer is None else str(layer),
                        direction,
                        _cell(figure.kl),
                        f"{figure.typical_kl.value:.3g}",
                        ratio,
                        _cell(figure.log_share),
                        f"{figure.flipped.value:.1%}",
                        f"{figure.n_positions:,}",
                    )
                )
    heads = ("place", "layer", "removed", "mean KL", "typical KL")
    heads += (
        "the factor's / this",
        "change of log p",
        "other word on top",
        "predictions",
    )
    caption = (
        f"{len(study.factors)} factors drawn at random, removed as much as they were "
        "active. Typical KL is the geometric mean, which few large ones do not rule."
    )
    return f"{caption}\n\n{tables.markdown(heads, lines)}"


def _one_by_one(study: steering_study.Study) -> str:
    shares = [
        f"{_share_ahead(study.factors, control):.0%} (than {control})"
        for control in steering.CONTROLS
    ]
    return (
        "One by one, where a factor fires, its removal has the larger KL for "
        f"{', '.join(shares)} of {len(study.factors)} factors."
    )


def _chosen(words: Sequence[steering_study.WordEffect]) -> str:
    lines = [
        (
            str(word.chosen.layer),
            str(word.chosen.factor),
            f"{word.chosen.average_precision:.3f}",
            f"{word.chosen.test_average_precision:.3f}",
            f"{word.chosen.word_average_precision:.3f}",
            f"{word.chosen.amount:.3f}",
            _listed(word.lowered),
            _listed(word.raised),
            _listed(word.added),
        )
        for word in words
    ]
    found = words[0].found
    heads = ("layer", "factor", "AP, chosen on", "AP, other documents")
    heads += (
        "AP of the word alone",
        "mean α",
        "removed: words that fall",
        "that rise",
        "added: words that rise",
    )
    caption = (
        f"“{found.word}” as {found.positive}: {int(found.is_positive.sum())} of "
        f"{len(found.first)} occurrences in {found.n_documents} documents. The factor "
        "is chosen on half of the documents, by its average precision (AP) over all "
        "tokens; it is steered in the other half. Words: mean change of probability."
    )
    return f"{caption}\n\n{tables.markdown(heads, lines)}"


def _word(study: steering_study.Study, word: steering_study.WordEffect) -> str:
    lines = []
    for place in (steering_words.READ, steering_words.HIDDEN, steering_words.BESIDE):
        figures = _by_direction(
            study, question=word.found.word, place=place, layer=word.chosen.layer
        )
        for direction, figure in figures.items():
            lines.append(
                (
                    place,
                    f"{direction} {figure.change}",
                    _cell(figure.kl),
                    _cell(figure.log_share),
                    _cell(figure.odds),
                    f"{figure.n_positions:,}",
                )
            )
    heads = ("place", f"layer {word.chosen.layer}", "KL", "change of log p")
    heads += (f"change of log-odds, {word.found.positive}s", "predictions")
    return tables.markdown(heads, lines)


def _listed(words: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"{piece} {shift:+.3f}" for piece, shift in words[:4])


def _cell(estimate: scores.Estimate) -> str:
    return f"{estimate.value:.3g} [{estimate.low:.3g}, {estimate.high:.3g}]"
