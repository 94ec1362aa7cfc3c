"""The study of word senses as JSON, and as Markdown tables."""

from collections.abc import Sequence
from typing import Any

from tfvis_jax.evaluation import representations, word_probes, word_senses
from tfvis_jax.probing import scores
from tfvis_jax.reporting import tables

# Names in tables; a hidden state's single feature is one of its dimensions.
_ONE_DIMENSION = "raw dimension"
# In the order of the tables.
SHOWN = (
    representations.FACTORS,
    representations.SAE,
    representations.PROJECTIONS,
    representations.RANDOM,
    representations.SAMPLES,
    representations.HIDDEN,
)
_DIGITS = 4


def to_json(studies: Sequence[word_senses.WordStudy]) -> list[dict[str, Any]]:
    """Returns all figures; an estimate is [value, low, high]."""
    return [
        {
            "word": study.word,
            "source": study.source,
            "support": study.support,
            "n_documents": study.n_documents,
            "n_tokens": study.n_tokens,
            "alignment": study.alignment,
            "fvu": study.fvu,
            "fvu_of_text": study.fvu_of_text,
            "figures": [_figure(figure) for figure in study.figures],
            "activations": study.activations,
            "disagreements": study.disagreements,
        }
        for study in studies
    ]


def table(studies: Sequence[word_senses.WordStudy], document: dict[str, Any]) -> str:
    """Returns the tables of a study.

    Args:
      studies: what `word_senses.study_word` found.
      document: begins with `environment.describe`, and names the "source".
    """
    parts = [f"{document['source']}. {tables.where(document)}"]
    parts += [
        "Intervals are 95 %, by a bootstrap over documents. Layer, features, threshold "
        "and penalty are chosen on training folds; folds divide documents."
    ]
    for study in studies:
        if study.activations:
            parts += [_one_feature(study), _layers(study)]
    for study in studies[: 1 if len(studies) > 8 else len(studies)]:
        parts += [_sizes(study), _apart(study)]
    if len(studies) > 1:
        parts += [_over_words(studies)]
    return "\n\n".join(parts)


def by_layer(study: word_senses.WordStudy, name: str) -> list[scores.Estimate]:
    """Returns the average precision of one feature over all tokens at every layer.

    Args:
      study: of a word with a class that is looked for.
      name: the representation; an empty list if it was not probed.
    """
    found = [
        _all_tokens(study, name, word_probes.ONE, layer)
        for layer in sorted(study.activations)
    ]
    return [estimate for estimate in found if estimate is not None]


def _one_feature(study: word_senses.WordStudy) -> str:
    lines = []
    factors = _all_tokens(study, representations.FACTORS, word_probes.ONE)
    for name in (*SHOWN, word_probes.TAGGER, word_probes.MAJORITY):
        features = word_probes.ALL if name not in SHOWN else word_probes.ONE
        everywhere = _all_tokens(study, name, features)
        among = _among(study, name, features)
        if among is None:
            continue
        behind = None
        if everywhere and factors and name != representations.FACTORS:
            behind = scores.difference(factors, everywhere)
        lines.append((shown_name(name), _cell(everywhere), _cell(behind), _cell(among)))
    whole = _all_tokens(study, representations.HIDDEN, word_probes.ALL)
    among = _among(study, representations.HIDDEN, word_probes.ALL)
    lines.append(("hidden state, probe", _cell(whole), "–", _cell(among)))
    heads = ("one feature", "average precision, all tokens", "factor − this")
    heads += ("F1, occurrences",)
    return f"{_caption(study)}\n\n{tables.markdown(heads, lines)}"


def _layers(study: word_senses.WordStudy) -> str:
    lines = [
        (shown_name(name), *(f"{estimate.value:.3f}" for estimate in found))
        for name in SHOWN
        if (found := by_layer(study, name))
    ]
    heads = ("average precision, all tokens",)
    heads += tuple(f"layer {layer}" for layer in sorted(study.activations))
    return tables.markdown(heads, lines)


def _sizes(study: word_senses.WordStudy) -> str:
    """Accuracy of probes by the number of features."""
    sizes = sorted({f.features for f in study.figures if isinstance(f.features, int)})
    lines = []
    for name in SHOWN:
        found = [_accuracy(study, name, k) for k in (*sizes, word_probes.ALL)]
        if found[0] is not None:
            lines.append((name, *map(_cell, found)))
    for name in (word_probes.TAGGER, word_probes.MAJORITY):
        if (baseline := _accuracy(study, name, word_probes.ALL)) is not None:
            lines.append((name, *("–" for _ in sizes), _cell(baseline)))
    heads = ("accuracy, features", *map(str, sizes), "all")
    return f"{_caption(study)}\n\n{tables.markdown(heads, lines)}"


def _apart(study: word_senses.WordStudy) -> str:
    """What each part of x = codes @ factors + residual tells alone."""
    names = (
        representations.HIDDEN,
        representations.RECONSTRUCTION,
        representations.FACTORS,
        representations.RESIDUAL,
    )
    majority = _accuracy(study, word_probes.MAJORITY, word_probes.ALL)
    lines = []
    for layer, fvu in study.fvu.items():
        found = [_accuracy(study, name, word_probes.ALL, layer) for name in names]
        whole = _value(found[0]) - _value(majority)
        share = (_value(found[3]) - _value(majority)) / whole if whole > 0 else None
        lines.append(
            (
                str(layer),
                tables.or_dash(study.fvu_of_text.get(layer), ".3f"),
                f"{fvu:.3f}",
                *map(_cell, found),
                tables.or_dash(share, ".2f"),
            )
        )
    heads = ("layer", "FVU, text", "FVU, word", "x", "reconstruction", "codes")
    heads += ("residual", "residual's share of the way")
    caption = (
        f"“{study.word}” ({study.source}): accuracy of a probe of all features; "
        f"majority {_cell(majority)}. The last column is the way from there to x. FVU "
        "of the text is of all tokens, that of the word of its occurrences around "
        "their mean."
    )
    return f"{caption}\n\n{tables.markdown(heads, lines)}"


def _over_words(studies: Sequence[word_senses.WordStudy]) -> str:
    sizes = sorted(
        {f.features for s in studies for f in s.figures if isinstance(f.features, int)}
    )
    lines, notes = [], []
    for name in SHOWN:
        cells = []
        for features in (*sizes, word_probes.ALL):
            found = [_accuracy(study, name, features) for study in studies]
            known = [estimate for estimate in found if estimate is not None]
            whole = len(known) == len(studies)
            cells.append(_cell(scores.mean(known)) if whole else "–")
        if cells[0] != "–":
            lines.append((name, *cells))
    for size in sizes:
        pairs = [
            (
                _accuracy(study, representations.FACTORS, size),
                _accuracy(study, representations.HIDDEN, size),
            )
            for study in studies
        ]
        gaps = [scores.difference(a, b) for a, b in pairs if a and b]
        if gaps:
            won = sum(gap.value >= 0 for gap in gaps)
            notes.append(
                f"{size}: {_cell(scores.mean(gaps))}, at least as good for {won} of "
                f"{len(gaps)} words"
            )
    heads = ("mean accuracy, features", *map(str, sizes), "all")
    caption = f"{len(studies)} words: {', '.join(study.word for study in studies)}."
    return (
        f"{caption}\n\n{tables.markdown(heads, lines)}\n\n"
        f"Factors less raw dimensions, by features: {'; '.join(notes)}."
    )


def _caption(study: word_senses.WordStudy) -> str:
    support = ", ".join(f"{n:,} {name}" for name, n in study.support.items())
    return (
        f"“{study.word}” ({study.source}): {support}; {study.n_documents:,} documents; "
        f"{study.alignment}; {study.n_tokens:,} tokens in all."
    )


def _all_tokens(
    study: word_senses.WordStudy,
    name: str,
    features: int | str,
    layer: int | str = word_probes.CHOSEN,
) -> scores.Estimate | None:
    """Returns the average precision of the class that is looked for, if measured."""
    figure = study.figures.find(
        question="all tokens", representation=name, features=features, layer=layer
    )
    positive = f"{study.word} as "
    return figure and next(
        found.average_precision
        for label, found in figure.scores.of_class.items()
        if label.startswith(positive)
    )


def _among(
    study: word_senses.WordStudy, name: str, features: int | str
) -> scores.Estimate | None:
    """Returns F1 of the class that is looked for, among occurrences."""
    positive = next(iter(next(iter(study.activations.values()))))
    for layer in (word_probes.CHOSEN, None):
        figure = study.figures.find(
            question="occurrences", representation=name, features=features, layer=layer
        )
        if figure:
            return figure.scores.of_class[positive].f1
    return None


def _accuracy(
    study: word_senses.WordStudy,
    name: str,
    features: int | str,
    layer: int | str | None = word_probes.CHOSEN,
) -> scores.Estimate | None:
    if name in (word_probes.TAGGER, word_probes.MAJORITY):
        layer = None
    figure = study.figures.find(
        question="occurrences", representation=name, features=features, layer=layer
    )
    return figure and figure.scores.accuracy


def _figure(figure: word_probes.Figure) -> dict[str, Any]:
    return {
        "question": figure.question,
        "representation": figure.representation,
        "features": figure.features,
        "layer": figure.layer,
        "accuracy": _numbers(figure.scores.accuracy),
        "classes": {
            name: {
                "support": found.support,
                **{
                    metric: _numbers(getattr(found, metric))
                    for metric in (
                        *("precision", "recall", "f1", "auc", "average_precision"),
                    )
                },
            }
            for name, found in figure.scores.of_class.items()
        },
        "chosen": list(figure.chosen),
    }


def _numbers(estimate: scores.Estimate) -> list[float]:
    return [
        round(number, _DIGITS)
        for number in (estimate.value, estimate.low, estimate.high)
    ]


def shown_name(name: str) -> str:
    """Returns what a representation is called where one feature of it is meant."""
    return _ONE_DIMENSION if name == representations.HIDDEN else name


def _cell(estimate: scores.Estimate | None) -> str:
    return "–" if estimate is None else str(estimate)


def _value(estimate: scores.Estimate | None) -> float:
    return 0.0 if estimate is None else estimate.value
