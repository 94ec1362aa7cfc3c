"""The adversarial texts as JSON, as Markdown tables, and as claims with verdicts."""

import itertools
from typing import Any

from tfvis_jax.evaluation import report, representations
from tfvis_jax.reporting import claims, tables
from tfvis_jax.studies.adversarial import adversarial, adversarial_texts
from tfvis_jax.studies.patterns import pattern_scores, pattern_text

_ALPHA = 0.05
_DIGITS = 4
# What is left of a factor that needs its pattern, at most.
_GONE = 0.5
_SHOWN_EXAMPLES = 2
# The paper's table 4: one factor ("consecutive adjective", layer 8) of BERT base.
PAPER = {
    adversarial_texts.ORIGINAL: 9.5,
    adversarial_texts.NEAR: 9.2,
    adversarial_texts.FAR: 8.2,
    adversarial_texts.COMMON: 6.2,
    adversarial_texts.MASKED: 5.3,
    adversarial_texts.REMOVED: 7.8,
    adversarial_texts.ELSEWHERE: 0.0,
    adversarial_texts.OWN: 7.9,
}
NAMES = (*adversarial.ASKED, adversarial.WORD_FACTOR)

Means = dict[str, dict[str, pattern_scores.Estimate]]


def means(found: adversarial.Found, *, n_resamples: int, seed: int) -> Means:
    """Returns the mean of each grade, for every representation that has pairs.

    Args:
      found: what was found.
      n_resamples: bootstrap resamples over patterns.
      seed: of the resamples.
    """
    return {
        name: adversarial.grade_means(
            found.of(name), n_resamples=n_resamples, seed=seed
        )
        for name in NAMES
        if found.of(name)
    }


def to_json(
    found: adversarial.Found, drawn: pattern_text.DrawnText, of_grades: Means
) -> dict[str, Any]:
    """Returns all figures; an estimate is [value, low, high]."""
    figures = {
        "text": drawn.source,
        "grades": list(adversarial.GRADES),
        "in_order": list(adversarial_texts.GRADED),
        "n_contexts": found.n_contexts,
        "still_fits": {k: round(v, _DIGITS) for k, v in found.still_fits.items()},
        "means": {
            name: {grade: _numbers(estimate) for grade, estimate in grades.items()}
            for name, grades in of_grades.items()
        },
        "trend_p_value": {
            name: adversarial.trend_p_value(found.of(name)) for name in of_grades
        },
        "pairs": [
            {
                "pattern": pair.pattern,
                "representation": pair.representation,
                "layer": pair.layer,
                "feature": pair.feature,
                "n_contexts": pair.n_contexts,
                "original": round(pair.original, _DIGITS),
                "relative": {k: round(v, _DIGITS) for k, v in pair.relative.items()},
                "example": [
                    {"grade": grade, "text": text, "value": round(value, _DIGITS)}
                    for grade, text, value in pair.examples
                ],
            }
            for pair in found.pairs
        ],
    }
    # Where there was nothing to measure, null.
    return report.plain(figures)


def table(
    found: adversarial.Found,
    drawn: pattern_text.DrawnText,
    of_grades: Means,
    document: dict[str, Any],
) -> str:
    """Returns the tables.

    Args:
      found: what was found.
      drawn: the passages.
      of_grades: from `means`.
      document: begins with `environment.describe`; names the "source".
    """
    parts = [f"{document['source']}; {drawn.source}. {tables.where(document)}"]
    parts += [_grades(found, of_grades), _factors(found)]
    parts += [_examples(found), claims.table(conclusions(found, of_grades))]
    return "\n\n".join(parts)


def conclusions(found: adversarial.Found, of_grades: Means) -> list[claims.Claim]:
    """Returns what was found of the paper's claims about adversarial texts."""
    return [_of_order(found, of_grades), _of_own(of_grades)]


def _of_order(found: adversarial.Found, of_grades: Means) -> claims.Claim:
    ours = of_grades[representations.FACTORS]
    p_values = {name: adversarial.trend_p_value(found.of(name)) for name in of_grades}
    grades = adversarial_texts.GRADED
    steps = {(a, b): ours[a].less(ours[b]) for a, b in itertools.pairwise(grades)}
    wrong = [pair for pair, step in steps.items() if step.interval[1] < 0]
    unclear = [
        pair
        for pair, step in steps.items()
        if pair not in wrong and not step.interval[0] > 0
    ]
    fall = ours[adversarial_texts.NEAR].less(ours[adversarial_texts.ELSEWHERE])
    outside = ours[adversarial_texts.OUTSIDE].less(ours[adversarial_texts.NEAR])
    controls = {
        name: grades[adversarial_texts.NEAR].less(grades[adversarial_texts.ELSEWHERE])
        for name, grades in of_grades.items()
        if name != representations.FACTORS
    }
    same = [
        name for name, gap in controls.items() if not fall.less(gap).interval[0] > 0
    ]
    significant = p_values[representations.FACTORS] < _ALPHA
    verdict = (
        "does not hold here"
        if not significant or fall.interval[0] <= 0
        else "holds"
        if not wrong and not unclear and not same
        else "holds in part"
    )
    said = [
        f"Page's trend test over {len(found.of(representations.FACTORS))} factors, the "
        f"original left out: p = {p_values[representations.FACTORS]:.2g}.",
    ]
    for pairs, what in ((wrong, "Reversed"), (unclear, "Not told apart")):
        if pairs:
            listed = "; ".join(f"{a} and {b}" for a, b in pairs)
            said.append(f"{what}: {listed}.")
    said.append(
        "Near words outside of the pattern keep "
        f"{_cell(ours[adversarial_texts.OUTSIDE])}, "
        f"{_cell(outside)} more than near words inside."
    )
    gone = "; ".join(
        f"{sum(p.relative[adversarial_texts.ELSEWHERE] < _GONE for p in found.of(n))} "
        f"of {len(found.of(n))} {n}"
        for n in of_grades
    )
    said.append(
        f"Below {_GONE} of the original in a random sentence with the same word, so "
        f"more than a word: {gone}."
    )
    if same:
        said.append(f"Not clearly steeper than that of {', '.join(same)}.")
    trends = [n for n in controls if p_values[n] < _ALPHA]
    if trends:
        said.append(f"The trend is there for {', '.join(trends)}, too.")
    return claims.Claim(
        claim="The closer a text is to the pattern, the higher α.",
        measure=(
            "relative α with near words less that of a random sentence with the same "
            "word, mean over factors"
        ),
        ours=_rounded(fall.value),
        interval=_interval(fall),
        controls={name: _rounded(gap.value) for name, gap in controls.items()},
        verdict=verdict,
        reason=" ".join(said),
    )


def _of_own(of_grades: Means) -> claims.Claim:
    gaps = {
        name: grades[adversarial_texts.OWN].less(grades[adversarial_texts.OWN_CONTROL])
        for name, grades in of_grades.items()
    }
    ours = gaps.pop(representations.FACTORS)
    own = of_grades[representations.FACTORS][adversarial_texts.OWN]
    ahead = [n for n, gap in gaps.items() if ours.less(gap).interval[0] > 0]
    verdict = (
        "does not hold here"
        if ours.interval[0] <= 0
        else "holds"
        if len(ahead) == len(gaps)
        else "holds in part"
    )
    return claims.Claim(
        claim="A sentence of one's own that follows the pattern fires the factor.",
        measure=(
            "relative α, the best token of the pattern in own sentences less the best "
            "of as much of a random sentence, mean over factors"
        ),
        ours=_rounded(ours.value),
        interval=_interval(ours),
        controls={name: _rounded(gap.value) for name, gap in gaps.items()},
        verdict=verdict,
        reason=(
            f"Own sentences reach {_cell(own)} of the original. The gap is clearly "
            f"larger than that of {', '.join(ahead) or 'no control'}."
        ),
    )


def _grades(found: adversarial.Found, of_grades: Means) -> str:
    lines = []
    for grade in adversarial.GRADES:
        paper = PAPER.get(grade)
        share = None if paper is None else paper / PAPER[adversarial_texts.ORIGINAL]
        lines.append(
            (
                grade,
                *(_cell(grades[grade]) for grades in of_grades.values()),
                tables.or_dash(found.still_fits.get(grade), ".2f"),
                tables.or_dash(share, ".2f"),
            )
        )
    heads = ("text", *of_grades, "still in the pattern", "paper, one factor")
    n_pairs = ", ".join(f"{len(found.of(name))} {name}" for name in of_grades)
    caption = (
        f"Relative values, mean over pairs of a feature and its pattern ({n_pairs}): "
        "1 is the original text, 0 the mean of all tokens. Intervals are 95 %, by a "
        "bootstrap over patterns. The first "
        f"{len(adversarial_texts.GRADED)} grades are ordered by closeness beforehand."
    )
    return f"{caption}\n\n{tables.markdown(heads, lines)}"


def _factors(found: adversarial.Found) -> str:
    lines = [
        (
            pair.pattern,
            f"{pair.feature} at {pair.layer}",
            str(pair.n_contexts),
            f"{pair.original:.2f}",
            *(f"{pair.relative[grade]:.2f}" for grade in adversarial.GRADES[1:]),
        )
        for pair in found.of(representations.FACTORS)
    ]
    heads = ("pattern", "factor", "contexts", "α", *adversarial.GRADES[1:])
    return "Each factor, relative to α of the original.\n\n" + tables.markdown(
        heads, lines
    )


def _examples(found: adversarial.Found) -> str:
    pairs = sorted(found.of(representations.FACTORS), key=lambda p: -p.original)
    parts = []
    for pair in pairs[:_SHOWN_EXAMPLES]:
        lines = [
            (grade, f"{value:.2f}", text.replace("|", "\\|"))
            for grade, text, value in pair.examples
        ]
        caption = f"Factor {pair.feature} at layer {pair.layer}, {pair.pattern}."
        parts.append(
            f"{caption}\n\n{tables.markdown(('text', 'α', 'as written'), lines)}"
        )
    return "\n\n".join(parts)


def _numbers(estimate: pattern_scores.Estimate) -> list[float]:
    return [_rounded(n) for n in (estimate.value, *estimate.interval)]


def _rounded(value: float) -> float:
    return round(value, _DIGITS)


def _interval(estimate: pattern_scores.Estimate) -> tuple[float, float]:
    low, high = estimate.interval
    return _rounded(low), _rounded(high)


def _cell(estimate: pattern_scores.Estimate) -> str:
    low, high = estimate.interval
    return f"{estimate.value:.2f} [{low:.2f}, {high:.2f}]"
