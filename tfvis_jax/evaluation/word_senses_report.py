"""The study of word senses as JSON, as Markdown tables and as a plot."""

import pathlib
import textwrap
from collections.abc import Sequence
from typing import Any

from tfvis_jax.evaluation import representations, word_senses
from tfvis_jax.probing import scores
from tfvis_jax.reporting import plot_style, tables

# Names in tables; a hidden state's single feature is one of its dimensions.
_ONE_DIMENSION = "raw dimension"
_COLOURS = {
    representations.FACTORS: plot_style.BLUE,
    representations.SAE: plot_style.ORANGE,
    representations.PROJECTIONS: plot_style.SKY,
    representations.RANDOM: plot_style.GREY,
    representations.SAMPLES: plot_style.GREEN,
    representations.HIDDEN: plot_style.VERMILION,
}
_NOTE_WIDTH = 110
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


def table(
    studies: Sequence[word_senses.WordStudy], document: dict[str, Any], *, k: int = 5
) -> str:
    """Returns the tables of a study.

    Args:
      studies: what `word_senses.study_word` found.
      document: begins with `environment.describe`, and names the "source".
      k: number of features that the text compares at.
    """
    parts = [f"{document['source']}. {tables.where(document)}"]
    parts += [
        "Intervals are 95 %, by a bootstrap over documents. Layer, features, threshold "
        "and penalty are chosen on training folds; folds divide documents."
    ]
    for study in studies:
        if study.activations:
            parts += [_one_feature(study), _by_layer(study)]
    for study in studies[: 1 if len(studies) > 8 else len(studies)]:
        parts += [_sizes(study), _apart(study)]
    if len(studies) > 1:
        parts += [_over_words(studies, k=k)]
    return "\n\n".join(parts)


def draw(
    studies: Sequence[word_senses.WordStudy],
    document: dict[str, Any],
    path: pathlib.Path,
) -> None:
    """Draws average precision by layer, and the best factor's activations by class.

    Args:
      studies: of which the first with a positive class is drawn.
      document: begins with `environment.describe`, and names the "source".
      path: PNG to write.
    """
    study = next((study for study in studies if study.activations), None)
    if study is None:
        return
    figure, axes = plot_style.subplots(1, 2, figsize=(9, 3.8))
    layers = sorted(study.activations)
    for name, colour in _COLOURS.items():
        found = [_all_tokens(study, name, word_senses.ONE, layer) for layer in layers]
        if any(estimate is None for estimate in found):
            continue
        known = [estimate for estimate in found if estimate is not None]
        axes[0, 0].plot(
            layers, [e.value for e in known], "o-", color=colour, label=_name(name)
        )
        axes[0, 0].fill_between(
            layers,
            [e.low for e in known],
            [e.high for e in known],
            color=colour,
            alpha=0.12,
            linewidth=0,
        )
    axes[0, 0].set_xticks(layers)
    axes[0, 0].set_xlabel("layer")
    axes[0, 0].set_ylabel("average precision")
    axes[0, 0].set_title(f"One feature for “{study.word}”, all tokens")
    figure.legend(loc="outside right upper")
    best = max(
        layers,
        key=lambda layer: _value(
            _all_tokens(study, representations.FACTORS, word_senses.ONE, layer)
        ),
    )
    classes = study.activations[best]
    axes[0, 1].hist(
        list(classes.values()),
        bins=30,
        density=True,
        histtype="stepfilled",
        alpha=0.6,
        color=[plot_style.BLUE, plot_style.ORANGE, plot_style.GREY],
        label=list(classes),
    )
    axes[0, 1].legend()
    axes[0, 1].set_xlabel("activation α")
    axes[0, 1].set_title(f"The factor at layer {best}; other tokens where it fires")
    note = f"{document['source']}; {tables.where(document)}"
    plot_style.footnote(figure, textwrap.fill(note, _NOTE_WIDTH))
    plot_style.save(figure, path)


def _one_feature(study: word_senses.WordStudy) -> str:
    lines = []
    factors = _all_tokens(study, representations.FACTORS, word_senses.ONE)
    for name in (*_COLOURS, word_senses.TAGGER, word_senses.MAJORITY):
        features = word_senses.ALL if name not in _COLOURS else word_senses.ONE
        everywhere = _all_tokens(study, name, features)
        among = _among(study, name, features)
        if among is None:
            continue
        behind = None
        if everywhere and factors and name != representations.FACTORS:
            behind = scores.difference(factors, everywhere)
        lines.append((_name(name), _cell(everywhere), _cell(behind), _cell(among)))
    whole = _all_tokens(study, representations.HIDDEN, word_senses.ALL)
    among = _among(study, representations.HIDDEN, word_senses.ALL)
    lines.append(("hidden state, probe", _cell(whole), "–", _cell(among)))
    heads = ("one feature", "average precision, all tokens", "factor − this")
    heads += ("F1, occurrences",)
    return f"{_caption(study)}\n\n{tables.markdown(heads, lines)}"


def _by_layer(study: word_senses.WordStudy) -> str:
    layers = sorted(study.activations)
    lines = []
    for name in _COLOURS:
        found = [_all_tokens(study, name, word_senses.ONE, layer) for layer in layers]
        if None not in found:
            lines.append((_name(name), *(f"{_value(e):.3f}" for e in found)))
    heads = ("average precision, all tokens", *(f"layer {n}" for n in layers))
    return tables.markdown(heads, lines)


def _sizes(study: word_senses.WordStudy) -> str:
    """Accuracy of probes by the number of features."""
    sizes = sorted({f.features for f in study.figures if isinstance(f.features, int)})
    lines = []
    for name in _COLOURS:
        found = [_accuracy(study, name, k) for k in (*sizes, word_senses.ALL)]
        if found[0] is not None:
            lines.append((name, *map(_cell, found)))
    for name in (word_senses.TAGGER, word_senses.MAJORITY):
        if (baseline := _accuracy(study, name, word_senses.ALL)) is not None:
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
    majority = _accuracy(study, word_senses.MAJORITY, word_senses.ALL)
    lines = []
    for layer, fvu in study.fvu.items():
        found = [_accuracy(study, name, word_senses.ALL, layer) for name in names]
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
    heads = (
        "layer",
        "FVU, text",
        "FVU, word",
        "x",
        "reconstruction",
        "codes",
        "residual",
    )
    heads += ("residual's share of the way",)
    caption = (
        f"“{study.word}” ({study.source}): accuracy of a probe of all features; "
        f"majority {_cell(majority)}. The last column is the way from there to x. FVU "
        "of the text is of all tokens, that of the word of its occurrences around "
        "their mean."
    )
    return f"{caption}\n\n{tables.markdown(heads, lines)}"


def _over_words(studies: Sequence[word_senses.WordStudy], *, k: int) -> str:
    sizes = sorted(
        {f.features for s in studies for f in s.figures if isinstance(f.features, int)}
    )
    lines, notes = [], []
    for name in _COLOURS:
        cells = []
        for features in (*sizes, word_senses.ALL):
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
    layer: int | str = word_senses.CHOSEN,
) -> scores.Estimate | None:
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
    for layer in (word_senses.CHOSEN, None):
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
    layer: int | str | None = word_senses.CHOSEN,
) -> scores.Estimate | None:
    if name in (word_senses.TAGGER, word_senses.MAJORITY):
        layer = None
    figure = study.figures.find(
        question="occurrences", representation=name, features=features, layer=layer
    )
    return figure and figure.scores.accuracy


def _figure(figure: word_senses.Figure) -> dict[str, Any]:
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


def _name(name: str) -> str:
    return _ONE_DIMENSION if name == representations.HIDDEN else name


def _cell(estimate: scores.Estimate | None) -> str:
    return "–" if estimate is None else str(estimate)


def _value(estimate: scores.Estimate | None) -> float:
    return 0.0 if estimate is None else estimate.value
