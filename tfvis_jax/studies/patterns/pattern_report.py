"""The study of patterns as JSON, as Markdown tables, and as claims with verdicts."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfvis_jax.evaluation import representations
from tfvis_jax.reporting import claims, tables
from tfvis_jax.studies.patterns import (
    pattern_examples,
    pattern_scores,
    pattern_study,
    pattern_text,
)

# Names in tables; a hidden state's single feature is one of its dimensions.
_ONE_DIMENSION = "raw dimension"
_ALPHA = 0.05
_DIGITS = 4


def shown_name(name: str) -> str:
    """Returns what a representation is called where one feature of it is meant."""
    return _ONE_DIMENSION if name == representations.HIDDEN else name


def corrected(found: Sequence[pattern_examples.PatternShares]) -> dict[str, float]:
    """Returns the p-value of each tracked factor at its best layer, after Holm."""
    p_values = np.array([of_best_layer(shares).p_value for shares in found])
    return dict(
        zip(
            (shares.pattern for shares in found),
            pattern_scores.holm(p_values).tolist(),
            strict=True,
        )
    )


def of_best_layer(
    shares: pattern_examples.PatternShares,
) -> pattern_examples.LayerShare:
    """Returns the tracked factor at the layer at which it was chosen."""
    return next(s for s in shares.tracked if s.layer == shares.best_layer)


def layer_means(
    study: pattern_study.Study, representation: str, figure: str
) -> list[pattern_scores.Estimate]:
    """Returns the mean over the patterns at every layer.

    Args:
      study: the study.
      representation: whose best feature of each layer is meant.
      figure: "average_precision" or "same_word_auc".
    """
    return [
        pattern_scores.mean(
            [
                getattr(f, figure)
                for f in study.figures
                if (f.representation, f.layer) == (representation, layer)
            ]
        )
        for layer in study.layers
    ]


def to_json(
    drawn: pattern_text.DrawnText,
    study: pattern_study.Study,
    stored: Sequence[pattern_examples.PatternShares],
) -> dict[str, Any]:
    """Returns all figures; an estimate is [value, low, high]."""
    p_values = corrected(stored)
    return {
        "text": drawn.source,
        "n_passages": len(drawn.passages),
        "n_tokens_measured_on": study.n_tokens,
        "n_documents_measured_on": study.n_documents,
        "left_out": drawn.left_out,
        "stored_contexts": [
            {
                "pattern": shares.pattern,
                "n": shares.n,
                "n_tokens": shares.n_tokens,
                "base_rate": round(shares.base_rate, 6),
                "best_layer": shares.best_layer,
                "corrected_p_value": p_values[shares.pattern],
                "tracked": [_share(share) for share in shares.tracked],
                "best": [_share(share) for share in shares.best],
            }
            for shares in stored
        ],
        "all_tokens": [
            {
                "pattern": figure.pattern,
                "n_occurrences": study.n_occurrences[figure.pattern],
                "prevalence": round(study.prevalence[figure.pattern], 6),
                "base_rate": _number(study.base_rate[figure.pattern]),
                "representation": figure.representation,
                "layer": figure.layer,
                "features": list(figure.features),
                "when_chosen": _number(figure.when_chosen),
                "average_precision": _numbers(figure.average_precision),
                "same_word_auc": _numbers(figure.same_word_auc),
                "precision": _number(figure.precision),
                "recall": _number(figure.recall),
            }
            for figure in study.figures
        ],
    }


def table(
    drawn: pattern_text.DrawnText,
    study: pattern_study.Study,
    stored: Sequence[pattern_examples.PatternShares],
    document: dict[str, Any],
) -> str:
    """Returns the tables of a study.

    Args:
      drawn: the passages.
      study: their figures.
      stored: figures of stored contexts.
      document: begins with `environment.describe`; names the "source".
    """
    parts = [
        f"{document['source']}. {tables.where(document)}",
        "Features are chosen on half of the documents and measured on the other half. "
        "Intervals are 95 %, by a bootstrap over documents.",
    ]
    if stored:
        parts += [_contexts(stored, study.layers)]
    parts += [_tokens(drawn, study), _layers(study)]
    parts += [claims.table(conclusions(drawn, study, stored))]
    return "\n\n".join(parts)


def conclusions(
    drawn: pattern_text.DrawnText,
    study: pattern_study.Study,
    stored: Sequence[pattern_examples.PatternShares],
) -> list[claims.Claim]:
    """Returns what was found of the paper's claim about middle layers."""
    found = [_of_tokens(drawn, study), _of_layers(study)]
    return ([_of_contexts(stored)] if stored else []) + found


def _of_contexts(
    stored: Sequence[pattern_examples.PatternShares],
) -> claims.Claim:
    best = [of_best_layer(shares) for shares in stored]
    share = pattern_scores.mean([s.share for s in best])
    beyond = pattern_scores.mean([s.beyond_words for s in best])
    clear = [s for s in best if s.beyond_words.interval[0] > 0]
    names = [
        shares.pattern
        for shares, s in zip(stored, best, strict=True)
        if s.beyond_words.interval[0] > 0
    ]
    significant = sum(p < _ALPHA for p in corrected(stored).values())
    majority = len(clear) > len(best) / 2
    verdict = (
        "holds"
        if majority and share.value > 0.5
        else "holds in part"
        if clear
        else "does not hold here"
    )
    return claims.Claim(
        claim="The strongest contexts of some factors fit a sentence-level pattern.",
        measure="share of the strongest contexts that fit, mean over the patterns",
        ours=_rounded(share.value),
        interval=_interval(share),
        controls={
            "expected from the words": _rounded(
                float(np.mean([s.of_words for s in best]))
            ),
            "random firings": _rounded(
                float(np.nanmean([s.share_of_random for s in best]))
            ),
            "random tokens": _rounded(float(np.mean([s.base_rate for s in stored]))),
        },
        verdict=verdict,
        reason=(
            f"{significant} of {len(best)} factors fit better than chance (p < "
            f"{_ALPHA} after Holm), but what their words alone would give leaves "
            f"{claims.figure(_rounded(beyond.value), _interval(beyond))}, and the "
            f"interval of {len(clear)} of {len(best)} excludes 0"
            f"{': ' + ', '.join(names) if names else ''}."
        ),
    )


def _of_tokens(
    drawn: pattern_text.DrawnText, study: pattern_study.Study
) -> claims.Claim:
    names = [pattern.name for pattern in drawn.patterns]
    means = {
        representation: pattern_scores.mean(
            [study.chosen(name, representation).average_precision for name in names]
        )
        for representation in (*pattern_study.ASKED, pattern_study.WORD)
    }
    ours = means.pop(representations.FACTORS)
    gaps = {name: ours.less(control) for name, control in means.items()}
    ahead = [name for name, gap in gaps.items() if gap.interval[0] > 0]
    not_ahead = [name for name in gaps if name not in ahead]
    verdict = (
        "holds" if not not_ahead else "holds in part" if ahead else "does not hold here"
    )
    said = "; ".join(
        f"less {shown_name(name)} {claims.figure(_rounded(gap.value), _interval(gap))}"
        for name, gap in gaps.items()
    )
    return claims.Claim(
        claim="One factor singles out a pattern, and learning it is what does so.",
        measure=(
            "average precision over all segments of text of one feature, mean over "
            f"{len(names)} patterns"
        ),
        ours=_rounded(ours.value),
        interval=_interval(ours),
        controls={shown_name(n): _rounded(m.value) for n, m in means.items()},
        verdict=verdict,
        reason=(
            f"Factors {said}; the interval excludes 0 for "
            f"{', '.join(map(shown_name, ahead)) or 'none'}. Chance is "
            f"{np.mean(list(study.prevalence.values())):.3f}."
        ),
    )


def _of_layers(study: pattern_study.Study) -> claims.Claim:
    curves = {
        name: layer_means(study, name, "average_precision")
        for name in (representations.FACTORS, *_CURVES)
    }
    # By the documents chosen on, so that the layer is not chosen by what is measured.
    when_chosen = [
        np.mean(
            [
                f.when_chosen
                for f in study.figures
                if (f.representation, f.layer) == (representations.FACTORS, layer)
            ]
        )
        for layer in study.layers
    ]
    best = int(np.argmax(when_chosen))
    rises = {name: curve[best].less(curve[0]) for name, curve in curves.items()}
    ours = rises.pop(representations.FACTORS)
    falls = curves[representations.FACTORS][best].less(
        curves[representations.FACTORS][-1]
    )
    inside = 0 < best < len(study.layers) - 1
    rises_clearly = ours.interval[0] > 0 and inside and falls.interval[0] > 0
    own = [n for n, rise in rises.items() if ours.less(rise).interval[0] > 0]
    same_word = layer_means(study, representations.FACTORS, "same_word_auc")
    verdict = (
        "does not hold here"
        if not rises_clearly
        else "holds"
        if len(own) == len(rises)
        else "holds in part"
    )
    first, middle, last = (study.layers[place] for place in (0, best, -1))
    reason = (
        f"From layer {middle} to layer {last} it changes by "
        f"{claims.figure(_rounded(-falls.value), _minus(falls))}. The same-word AUC is "
        f"{claims.figure(_rounded(same_word[0].value), _interval(same_word[0]))} at "
        f"layer {first} and "
        f"{claims.figure(_rounded(same_word[best].value), _interval(same_word[best]))} "
        f"at layer {middle}. The rise is clearly larger than that of "
        f"{', '.join(map(shown_name, own)) or 'no control'}"
    )
    if len(own) < len(rises):
        reason += ": the hidden states themselves have it"
    return claims.Claim(
        claim="Patterns emerge in the middle layers.",
        measure=(
            f"average precision at layer {middle} less that at layer {first}, mean "
            "over the patterns"
        ),
        ours=_rounded(ours.value),
        interval=_interval(ours),
        controls={shown_name(n): _rounded(r.value) for n, r in rises.items()},
        verdict=verdict,
        reason=f"{reason}.",
    )


_CURVES = (
    representations.SAMPLES,
    representations.RANDOM,
    representations.HIDDEN,
)


def _contexts(
    stored: Sequence[pattern_examples.PatternShares], layers: Sequence[int]
) -> str:
    p_values = corrected(stored)
    lines = []
    for shares in stored:
        best = of_best_layer(shares)
        by_layer = {share.layer: share for share in shares.tracked}
        lines.append(
            (
                shares.pattern,
                str(best.factor),
                str(shares.n),
                *(
                    _percent(by_layer[layer].share.value)
                    + ("*" if layer == shares.best_layer else "")
                    for layer in layers
                ),
                _percent_interval(best.share),
                _percent(best.of_words),
                _percent_interval(best.beyond_words),
                _percent(best.share_of_random),
                f"{100 * shares.base_rate:.2f}",
                f"{p_values[shares.pattern]:.4f}",
            )
        )
    heads = ("pattern", "factor", "n", *(f"layer {layer}" for layer in layers))
    heads += ("95 %", "of its words", "beyond words, 95 %", "random firings")
    heads += ("random tokens", "p, Holm")
    caption = (
        "Stored contexts of the run's own text: share (%) of the n strongest that fit, "
        "of the factor that fitted best on the other half of the documents (* the "
        "layer it was chosen at). n is at most the number of tokens that take part. "
        "“Of its words”: the share if a token fitted as often as others of its word. "
        "p: the pattern moved along the text."
    )
    return f"{caption}\n\n{tables.markdown(heads, lines)}"


def _tokens(drawn: pattern_text.DrawnText, study: pattern_study.Study) -> str:
    names = (*pattern_study.ASKED, pattern_study.WORD)
    lines = []
    for pattern in drawn.patterns:
        chosen = [study.chosen(pattern.name, name) for name in names]
        ours = chosen[0]
        lines.append(
            (
                pattern.name,
                str(study.n_occurrences[pattern.name]),
                f"{study.prevalence[pattern.name]:.3f}",
                f"{ours.features[0]} at {ours.layer}",
                _cell(ours.average_precision),
                *(f"{figure.average_precision.value:.2f}" for figure in chosen[1:]),
                f"{ours.same_word_auc.value:.2f}",
                tables.or_dash(ours.precision, ".2f"),
                tables.or_dash(ours.recall, ".2f"),
            )
        )
    lines.append(
        (
            "mean",
            *("",) * 3,
            *(
                _cell(
                    pattern_scores.mean(
                        [
                            study.chosen(p.name, name).average_precision
                            for p in drawn.patterns
                        ]
                    )
                )
                for name in names
            ),
            *("",) * 3,
        )
    )
    heads = ("pattern", "occurrences", "chance", "factor", "factors", "projections")
    heads += (*map(shown_name, names[2:]), "same-word AUC", "precision", "recall")
    left_out = "; ".join(f"{n} ({a} and {b})" for n, (a, b) in drawn.left_out.items())
    caption = (
        f"{drawn.source}: {len(drawn.passages):,} passages drawn for the patterns and "
        f"at random; measured on {study.n_tokens:,} tokens of {study.n_documents:,} "
        "documents. Average precision of one feature over all segments of text, layer "
        "and feature chosen on the other half; same-word AUC, precision and recall of "
        "the factor."
    )
    if left_out:
        caption += f" Left out, by passages in each half: {left_out}."
    return f"{caption}\n\n{tables.markdown(heads, lines)}"


def _layers(study: pattern_study.Study) -> str:
    lines = []
    for figure, shown in (
        ("average_precision", "average precision"),
        ("same_word_auc", "same-word AUC"),
    ):
        for name in pattern_study.ASKED:
            cells = map(_cell, layer_means(study, name, figure))
            lines.append((f"{shown}, {shown_name(name)}", *cells))
    heads = ("mean over patterns", *(f"layer {layer}" for layer in study.layers))
    return tables.markdown(heads, lines)


def _share(share: pattern_examples.LayerShare) -> dict[str, Any]:
    return {
        "layer": share.layer,
        "factor": share.factor,
        "n_contexts": share.n_contexts,
        "share": _numbers(share.share),
        "of_words": _number(share.of_words),
        "beyond_words": _numbers(share.beyond_words),
        "n_random": share.n_random,
        "share_of_random": _number(share.share_of_random),
        "p_value": share.p_value,
    }


def _numbers(estimate: pattern_scores.Estimate) -> list[float | None]:
    return [_number(n) for n in (estimate.value, *estimate.interval)]


def _number(value: float | None) -> float | None:
    """Returns a rounded number; None for what is not known, as JSON has no NaN."""
    return None if value is None or np.isnan(value) else round(value, _DIGITS)


def _rounded(value: float) -> float:
    return round(value, _DIGITS)


def _interval(estimate: pattern_scores.Estimate) -> tuple[float, float]:
    low, high = estimate.interval
    return _rounded(low), _rounded(high)


def _minus(estimate: pattern_scores.Estimate) -> tuple[float, float]:
    low, high = _interval(estimate)
    return -high, -low


def _cell(estimate: pattern_scores.Estimate) -> str:
    low, high = estimate.interval
    return f"{estimate.value:.2f} [{low:.2f}, {high:.2f}]"


def _percent(value: float) -> str:
    return "–" if np.isnan(value) else f"{100 * value:.1f}"


def _percent_interval(estimate: pattern_scores.Estimate) -> str:
    return "[{}, {}]".format(*map(_percent, estimate.interval))
